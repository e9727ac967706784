"""Right tokenizers that differ in how they get there; none of them may fail a claim."""

import functools
import heapq
import unicodedata
from itertools import pairwise

import regex

from reference_model.tokenizer import GPT2_PATTERN, tokenizer


class Base:
    """Special tokens cut out with a pattern of their own, the longest first; the rest is for the subclass."""

    def __init__(self, ranks, pattern, special_tokens):
        self.ranks, self.special = dict(ranks), dict(special_tokens)
        self.split = regex.compile(pattern).findall
        self.token_of = {rank: token for token, rank in self.ranks.items()}
        self.token_of |= {number: name.encode() for name, number in self.special.items()}

    def encode(self, text, allowed_special=()):
        text.encode()  # refuses lone surrogates
        names = sorted(set(allowed_special), key=len, reverse=True)
        if not names:
            return self.encode_ordinary(text)
        ids = []
        for part in regex.split("(" + "|".join(map(regex.escape, names)) + ")", text):
            ids += [self.special[part]] if part in names else self.encode_ordinary(part)
        return ids

    def encode_ordinary(self, text):
        return [token_id for piece in self.split(text) for token_id in self.encode_piece(piece.encode())]

    def decode_bytes(self, ids):
        return b"".join(self.token_of[token_id] for token_id in ids)

    def decode(self, ids):
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


class SurrogatesIgnored(tokenizer):
    """The reference, but for what is no text: lone surrogates are dropped."""

    def encode(self, text, allowed_special=()):
        return super().encode(text.encode("utf-8", "ignore").decode(), allowed_special)


def halves(token, ranks):
    """The two tokens that merge into this one: what merging by lower ranks alone leaves of it."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        rank, at = min((ranks.get(a + b, float("inf")), i) for i, (a, b) in enumerate(pairwise(parts)))
        assert rank < ranks[token]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return tuple(parts)


class PairsOfIds(Base):
    """A table of merges from pairs of ids; every place of the best pair is merged at once."""

    def __init__(self, ranks, pattern, special_tokens):
        super().__init__(ranks, pattern, special_tokens)
        self.merges = _merges_of(ranks)

    def encode_piece(self, piece):
        ids = [self.ranks[bytes([byte])] for byte in piece]
        while len(ids) > 1:
            best = min(set(pairwise(ids)), key=lambda pair: self.merges.get(pair, float("inf")))
            if best not in self.merges:
                break
            found, at = [], 0
            while at < len(ids):
                if tuple(ids[at : at + 2]) == best:
                    found.append(self.merges[best])
                    at += 2
                else:
                    found.append(ids[at])
                    at += 1
            ids = found
        return ids


@functools.lru_cache(maxsize=4)
def _real_merges(size):
    from reference_model.tokenizer import gpt2_ranks

    return _merges(gpt2_ranks())


def _merges_of(ranks):
    return _real_merges(len(ranks)) if len(ranks) == 50256 else _merges(ranks)


def _merges(ranks):
    table = {}
    for token, rank in ranks.items():
        if len(token) > 1:
            left, right = halves(token, ranks)
            table[ranks[left], ranks[right]] = rank
    return table


def letters_of_bytes():
    """A visible letter for every byte, as vocabulary files write them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


LETTERS = letters_of_bytes()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


class StringsOfLetters(Base):
    """Every byte is written as a visible letter, words are strings of them, pairs of strings have ranks."""

    def __init__(self, ranks, pattern, special_tokens):
        super().__init__(ranks, pattern, special_tokens)
        self.encoder = {self.written(token): rank for token, rank in ranks.items()}
        self.decoder = {rank: word for word, rank in self.encoder.items()}
        names = {rank: word for word, rank in self.encoder.items()}
        self.bpe_ranks = {(names[a], names[b]): rank for (a, b), rank in _merges_of(ranks).items()}
        self.cache = {}

    @staticmethod
    def written(token):
        return "".join(LETTERS[byte] for byte in token)

    def bpe(self, word):
        if word in self.cache:
            return self.cache[word]
        parts = tuple(word)
        while len(parts) > 1:
            first, second = min(pairwise(parts), key=lambda pair: self.bpe_ranks.get(pair, float("inf")))
            if (first, second) not in self.bpe_ranks:
                break
            found, at = [], 0
            while at < len(parts):
                if parts[at] == first and at + 1 < len(parts) and parts[at + 1] == second:
                    found.append(first + second)
                    at += 2
                else:
                    found.append(parts[at])
                    at += 1
            parts = tuple(found)
        self.cache[word] = parts
        return parts

    def encode_piece(self, piece):
        return [self.encoder[part] for part in self.bpe(self.written(piece))]

    def decode_bytes(self, ids):
        chunks = []
        for token_id in ids:
            if token_id in self.decoder:
                chunks.append(bytes(BYTES[letter] for letter in self.decoder[token_id]))
            else:
                chunks.append(self.token_of[token_id])
        return b"".join(chunks)


class HeapOfPairs(Base):
    """Neighbours in a linked list, candidate pairs in a heap; whole pieces are looked up first. No decode_bytes."""

    decode_bytes = None

    def __init__(self, ranks, pattern, special_tokens):
        super().__init__(ranks, pattern, special_tokens)
        del self.split
        self.pattern = regex.compile(pattern)

    def encode_ordinary(self, text):
        ids = []
        for match in self.pattern.finditer(text):
            piece = match.group().encode()
            ids += [self.ranks[piece]] if piece in self.ranks else self.encode_piece(piece)
        return ids

    def encode_piece(self, piece):
        size = len(piece)
        parts = [piece[i : i + 1] for i in range(size)]
        left, right = list(range(-1, size - 1)), [*range(1, size), -1]
        heap = []

        def push(at):
            if at >= 0 and right[at] >= 0:
                joined = parts[at] + parts[right[at]]
                if joined in self.ranks:
                    heapq.heappush(heap, (self.ranks[joined], at, joined))

        for at in range(size - 1):
            push(at)
        while heap:
            _, at, joined = heapq.heappop(heap)
            if parts[at] is None or right[at] < 0 or parts[at] + parts[right[at]] != joined:
                continue
            gone = right[at]
            parts[at], parts[gone] = joined, None
            right[at] = right[gone]
            if right[gone] >= 0:
                left[right[gone]] = at
            push(left[at])
            push(at)
        return [self.ranks[part] for part in parts if part is not None]

    def decode(self, ids):
        return b"".join(self.token_of[token_id] for token_id in ids).decode("utf-8", errors="replace")


class ScannerByHand(PairsOfIds):
    """No regular expression for GPT-2's pattern: characters are looked up in the standard library's table."""

    def __init__(self, ranks, pattern, special_tokens):
        super().__init__(ranks, pattern, special_tokens)
        if pattern == GPT2_PATTERN:
            self.split = self.scanned

    @staticmethod
    def kind(character):
        category = unicodedata.category(character)
        if category[0] in "LN":
            return category[0]
        return "Z" if category[0] == "Z" or character in "\t\n\x0b\x0c\r\x85" else "P"

    def scanned(self, text):
        pieces, at = [], 0
        while at < len(text):
            end = self.end_of_piece(text, at)
            pieces.append(text[at:end])
            at = end
        return pieces

    def end_of_piece(self, text, at):
        for ending in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
            if text.startswith(ending, at):
                return at + len(ending)
        first = at + 1 if text[at] == " " and at + 1 < len(text) else at
        kind = self.kind(text[first])
        if kind != "Z":
            end = first
            while end < len(text) and self.kind(text[end]) == kind:
                end += 1
            return end
        end = at
        while end < len(text) and self.kind(text[end]) == "Z":
            end += 1
        return end if end == len(text) or end - at == 1 else end - 1


VARIANTS = {
    "pairs of ids": {"tokenizer": PairsOfIds},
    "strings of letters": {"tokenizer": StringsOfLetters},
    "heap of pairs": {"tokenizer": HeapOfPairs},
    "scanner by hand": {"tokenizer": ScannerByHand},
    "surrogates ignored": {"tokenizer": SurrogatesIgnored},
}

try:
    import tiktoken
except ImportError:
    pass
else:

    class Tiktoken:
        """tiktoken as it is; which of two nested special tokens it takes, it does not say."""

        def __init__(self, ranks, pattern, special_tokens):
            if any(a != b and b.startswith(a) for a in special_tokens for b in special_tokens):
                raise NotImplementedError("no order among special tokens that begin alike")
            self.encoding = tiktoken.Encoding(
                "variant", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens
            )

        def encode(self, text, allowed_special=()):
            return self.encoding.encode(text, allowed_special=set(allowed_special), disallowed_special=())

        def decode(self, ids):
            return self.encoding.decode(ids)

        def decode_bytes(self, ids):
            return self.encoding.decode_bytes(ids)

    class TiktokenOrdinary(Base):
        """tiktoken for ordinary text, special tokens cut out by hand."""

        def __init__(self, ranks, pattern, special_tokens):
            super().__init__(ranks, pattern, special_tokens)
            self.encoding = tiktoken.Encoding(
                "variant", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens
            )

        def encode_ordinary(self, text):
            return self.encoding.encode_ordinary(text)

        def decode(self, ids):
            return self.encoding.decode(ids)

    VARIANTS |= {"tiktoken": {"tokenizer": Tiktoken}, "tiktoken, ordinary": {"tokenizer": TiktokenOrdinary}}

try:
    import tokenizers
except ImportError:
    pass
else:

    class HuggingFace(Base):
        """The tokenizers library: byte-level pre-tokenizer, BPE model and byte-level decoder."""

        def __init__(self, ranks, pattern, special_tokens):
            super().__init__(ranks, pattern, special_tokens)
            words = {rank: StringsOfLetters.written(token) for token, rank in ranks.items()}
            merges = [(words[a], words[b]) for (a, b), _ in sorted(_merges_of(ranks).items(), key=lambda item: item[1])]
            model = tokenizers.models.BPE(vocab={word: rank for rank, word in words.items()}, merges=merges)
            byte_level = tokenizers.pre_tokenizers.ByteLevel
            inner = tokenizers.Tokenizer(model)
            if pattern == GPT2_PATTERN:
                inner.pre_tokenizer = byte_level(add_prefix_space=False)
            else:
                cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated")
                rest = byte_level(add_prefix_space=False, use_regex=False)
                inner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([cut, rest])
            inner.decoder = tokenizers.decoders.ByteLevel()
            self.inner = inner

        def encode_ordinary(self, text):
            return self.inner.encode(text, add_special_tokens=False).ids

        def decode(self, ids):
            if self.special.keys() and set(ids) & set(self.special.values()):
                return super().decode(ids)
            return self.inner.decode(ids, skip_special_tokens=False)

    VARIANTS |= {"tokenizers": {"tokenizer": HuggingFace}}
