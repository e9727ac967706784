"""The WordPiece of tokenizers, with a vocabulary of one's own.  pytest --impl=examples/tokenizers_wordpiece.py"""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers


class wordpiece:
    def __init__(self, vocab, unk="[UNK]", max_chars=100):
        self.inner = Tokenizer(models.WordPiece(vocab, unk_token=unk, max_input_chars_per_word=max_chars))
        self.inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self.inner.decoder = decoders.WordPiece(cleanup=False)

    def encode(self, text):
        return self.inner.encode(text).tokens

    def decode(self, pieces):
        return self.inner.decode([self.inner.token_to_id(piece) for piece in pieces])
