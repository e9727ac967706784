"""sentencepiece's unigram model with a vocabulary of one's own.  pytest --impl=examples/sentencepiece_unigram.py

Its model files are protocol buffers, written here by hand: a field is its number and kind, and its value.
"""

import struct

import sentencepiece

NORMAL, UNKNOWN, BYTE = 1, 2, 6


def varint(number):
    high, low = number >> 7, number & 127
    return bytes([low]) if not high else bytes([low | 128]) + varint(high)


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


class unigram:
    def __init__(self, pieces, unk="<unk>", byte_fallback=False):
        if not pieces:
            raise ValueError("there are no pieces")
        rows = [(unk, 0.0, UNKNOWN), *((piece, float(score), NORMAL) for piece, score in pieces.items())]
        if byte_fallback:
            rows += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
        model = b"".join(field(1, field(1, piece) + field(2, score) + field(3, kind)) for piece, score, kind in rows)
        trainer = (
            field(3, 1) + field(35, int(byte_fallback)) + field(41, 2**32 - 1) + field(42, 2**32 - 1) + field(45, unk)
        )
        normalizer = field(1, "identity") + field(3, 1) + field(4, 0) + field(5, 1)
        model += field(2, trainer) + field(3, normalizer)
        self.inner = sentencepiece.SentencePieceProcessor(model_proto=model)

    def encode(self, text):
        return [self.inner.id_to_piece(i) for i in self.inner.encode(text)]

    def decode(self, pieces):
        return self.inner.decode(list(pieces))
