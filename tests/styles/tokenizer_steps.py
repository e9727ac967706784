"""A tokenizer built up in steps: a base class with get_stats and merge, then one on bytes, then one with a pattern."""

import regex as re

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def get_stats(ids, counts=None):
    counts = {} if counts is None else counts
    for pair in zip(ids, ids[1:]):
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def merge(ids, pair, idx):
    newids, i = [], 0
    while i < len(ids):
        if ids[i] == pair[0] and i < len(ids) - 1 and ids[i + 1] == pair[1]:
            newids.append(idx)
            i += 2
        else:
            newids.append(ids[i])
            i += 1
    return newids


class Tokenizer:
    """What both have; it neither trains nor encodes."""

    def __init__(self):
        self.merges, self.pattern = {}, ""
        self.vocab = {idx: bytes([idx]) for idx in range(256)}

    def train(self, text, vocab_size, verbose=False):
        raise NotImplementedError

    def encode(self, text):
        raise NotImplementedError

    def decode(self, ids):
        return b"".join(self.vocab[idx] for idx in ids).decode("utf-8", errors="replace")

    def _encode_chunk(self, ids):
        while len(ids) >= 2:
            pair = min(get_stats(ids), key=lambda p: self.merges.get(p, float("inf")))
            if pair not in self.merges:
                break
            ids = merge(ids, pair, self.merges[pair])
        return ids

    def _learn(self, chunks, vocab_size):
        assert vocab_size >= 256
        for i in range(vocab_size - 256):
            stats = {}
            for ids in chunks:
                get_stats(ids, stats)
            if not stats:
                break
            pair, idx = max(stats, key=stats.get), 256 + i
            chunks = [merge(ids, pair, idx) for ids in chunks]
            self.merges[pair] = idx
            self.vocab[idx] = self.vocab[pair[0]] + self.vocab[pair[1]]


class BasicTokenizer(Tokenizer):
    def train(self, text, vocab_size, verbose=False):
        self._learn([list(text.encode("utf-8"))], vocab_size)

    def encode(self, text):
        return self._encode_chunk(list(text.encode("utf-8")))


class RegexTokenizer(Tokenizer):
    def __init__(self, pattern=None):
        super().__init__()
        self.pattern = PATTERN if pattern is None else pattern
        self.compiled_pattern = re.compile(self.pattern)

    def train(self, text, vocab_size, verbose=False):
        self._learn([list(ch.encode("utf-8")) for ch in re.findall(self.compiled_pattern, text)], vocab_size)

    def encode(self, text):
        chunks = re.findall(self.compiled_pattern, text)
        return [i for chunk in chunks for i in self._encode_chunk(list(chunk.encode("utf-8")))]
