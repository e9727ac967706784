"""GPT-2's byte-level byte-pair encoding.

Sennrich et al. 2016, section 3.2 (byte pair encoding); Radford et al. 2019, section 2.2 (on bytes);
openai/gpt-2 src/encoder.py.  The vocabulary is kept as one table from bytes to rank, as in openai/tiktoken:
the rank of a token is its id, and the order in which its two halves are merged.
"""

import base64
import functools
import math
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import resources

import regex

# openai/gpt-2 src/encoder.py `self.pat`, less the special token, which is split out before.
GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def gpt2_ranks() -> dict[bytes, int]:
    """The 50,256 tokens of GPT-2, each with its rank; `<|endoftext|>` (50256) is not among them.

    The file is read once; every call returns a dict of its own.
    Source: openai/whisper whisper/assets/gpt2.tiktoken (MIT; the licence lies beside the file).
    """
    return dict(_read_gpt2_ranks())


@functools.cache
def _read_gpt2_ranks() -> tuple[tuple[bytes, int], ...]:
    """The lines of the vocabulary file, each `base64 rank`."""
    file = resources.files("reference_model") / "data" / "gpt2.tiktoken"
    lines = file.read_text(encoding="ascii").splitlines()
    fields = [line.split() for line in lines if line]
    return tuple((base64.b64decode(token), int(rank)) for token, rank in fields)


def pair_rank(parts: list[bytes], index: int, ranks: Mapping[bytes, int]) -> float:
    """The rank of what parts[index] and its right neighbour make together; infinite when that is no token."""
    joined = parts[index] + parts[index + 1]
    return ranks.get(joined, math.inf)


def byte_pair_encode(piece: bytes, ranks: Mapping[bytes, int]) -> list[bytes]:
    """Merge neighbours, the pair of lowest rank first and the leftmost of equals, until no pair is a token.

    Not the longest match: the order of the merges decides.
    Source: Sennrich et al. 2016, section 3.2; openai/gpt-2 src/encoder.py `bpe`.
    """
    parts = [bytes([byte]) for byte in piece]
    pair_ranks = [pair_rank(parts, index, ranks) for index in range(len(parts) - 1)]
    while pair_ranks:
        lowest = min(pair_ranks)
        if lowest == math.inf:
            break
        best = pair_ranks.index(lowest)
        merge_pair(parts, pair_ranks, best, ranks)
    return parts


def merge_pair(parts: list[bytes], pair_ranks: list[float], index: int, ranks: Mapping[bytes, int]) -> None:
    """Make parts[index] and parts[index + 1] one part, in place, and rank the pairs it forms with its neighbours."""
    parts[index] = parts[index] + parts[index + 1]
    del parts[index + 1]
    del pair_ranks[index]
    if index > 0:
        pair_ranks[index - 1] = pair_rank(parts, index - 1, ranks)
    if index < len(pair_ranks):
        pair_ranks[index] = pair_rank(parts, index, ranks)


def split_special(text: str, special: Collection[str]) -> list[str]:
    """Cut the text so that every special token stands alone; at one place the longest of them wins."""
    if not special:
        return [text]
    longest_first = sorted(special, key=len, reverse=True)
    alternatives = "|".join(regex.escape(token) for token in longest_first)
    parts = regex.split(f"({alternatives})", text)
    return [part for part in parts if part]


def refuse_surrogates(text: str) -> None:
    """Raise ValueError at the first code point that has no UTF-8 form."""
    found = regex.search(r"[\ud800-\udfff]", text)
    if found is not None:
        code_point = ord(found.group())
        raise ValueError(f"text[{found.start()}] is the lone surrogate U+{code_point:04X}, which has no UTF-8 form")


class tokenizer:
    """Text to ids and back.

    ranks: every token's bytes and its id, which is also its place in the order of merges.
    pattern: what the text is cut into before anything is merged; no merge crosses a cut.
    special_tokens: names with ids of their own, which ordinary text never produces.
    Raises ValueError when two tokens share an id or a special token is empty.
    Source: openai/gpt-2 src/encoder.py `Encoder`; the treatment of special tokens is openai/tiktoken's.
    """

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        pattern: str = GPT2_PATTERN,
        special_tokens: Mapping[str, int] | None = None,
    ) -> None:
        self.ranks = dict(ranks)
        self.special_tokens = dict(special_tokens or {})
        self.pattern = regex.compile(pattern)
        self.bytes_of = {rank: token for token, rank in self.ranks.items()}
        if len(self.bytes_of) != len(self.ranks):
            raise ValueError(f"ranks: {len(self.ranks)} tokens share {len(self.bytes_of)} ids")
        for token, special_id in self.special_tokens.items():
            if not token:
                raise ValueError("special_tokens: a special token may not be empty")
            if special_id in self.bytes_of:
                raise ValueError(f"special token {token!r} has the id {special_id} of {self.bytes_of[special_id]!r}")
            self.bytes_of[special_id] = token.encode("utf-8")

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """The ids of a text.

        allowed_special: the special tokens to be recognised, or "all"; any other is ordinary text.
        Raises ValueError for a lone surrogate (with its place), a byte that is no token, text that the pattern
        leaves out, and a name in allowed_special that is no special token; TypeError for any other string there.
        """
        refuse_surrogates(text)
        allowed = self.allowed(allowed_special)
        ids: list[int] = []
        for part in split_special(text, allowed):
            if part in allowed:
                ids.append(self.special_tokens[part])
            else:
                ids.extend(self.encode_ordinary(part))
        return ids

    def encode_iterable(self, texts: Iterable[str]) -> Iterator[int]:
        """The ids of one text after the other, all special tokens recognised; of each before the next is read."""
        for text in texts:
            yield from self.encode(text, "all")

    def allowed(self, allowed_special: Collection[str]) -> set[str]:
        """The special tokens that `encode` shall recognise."""
        if allowed_special == "all":
            return set(self.special_tokens)
        if isinstance(allowed_special, str):
            raise TypeError(f'allowed_special is "all" or a collection of names, not the string {allowed_special!r}')
        unknown = [name for name in allowed_special if name not in self.special_tokens]
        if unknown:
            raise ValueError(f"allowed_special: {unknown[0]!r} is no special token of {sorted(self.special_tokens)}")
        return set(allowed_special)

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text without special tokens: cut by the pattern, to bytes, merged, looked up."""
        pieces = [match.group() for match in self.pattern.finditer(text)]
        if sum(map(len, pieces)) != len(text):
            raise ValueError(f"the pattern leaves out a part of {text[:60]!r}")
        ids: list[int] = []
        for piece in pieces:
            encoded = piece.encode("utf-8")
            parts = byte_pair_encode(encoded, self.ranks)
            ids.extend(self.id_of(part) for part in parts)
        return ids

    def id_of(self, part: bytes) -> int:
        """The id of one token's bytes."""
        if part not in self.ranks:
            raise ValueError(f"the byte {part!r} (0x{part.hex()}) is no token of this vocabulary")
        return self.ranks[part]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of the ids, joined.  Raises ValueError naming an id that is not in the vocabulary."""
        chunks = []
        for place, token_id in enumerate(ids):
            number = operator.index(token_id)
            if number not in self.bytes_of:
                raise ValueError(f"ids[{place}] = {number} is no id of this vocabulary of {len(self.bytes_of)} tokens")
            chunks.append(self.bytes_of[number])
        return b"".join(chunks)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids.  Bytes that are not UTF-8 become U+FFFD: any list of known ids has a text."""
        joined = self.decode_bytes(ids)
        return joined.decode("utf-8", errors="replace")
