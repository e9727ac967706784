"""The tokenizer as Stanford's CS336 spells it: a vocabulary with merges, in place of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.core.claim import NotSupported
from harness.strategies.scripts import merged
from reference_model.tokenizer import GPT2_PATTERN
from specs.naming.cs336 import adapter

_MERGES: dict[int, list[tuple[bytes, bytes]]] = {}


def merges_of(ranks: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The pairs that the longer tokens are merged from, in the order of their ranks, as in a file of merges.

    Raises NotSupported where a token is no join of two lower ones.
    """
    key = hash(frozenset(ranks.items()))
    if key not in _MERGES:
        found = []
        for token, rank in sorted(ranks.items(), key=lambda pair: pair[1]):
            if len(token) > 1:
                parts = merged(token, RanksBelow(ranks, rank))
                if len(parts) != 2:
                    raise NotSupported(
                        f"{token!r} is not the concatenation of two tokens of lower rank, which merges require"
                    )
                found.append((parts[0], parts[1]))
        _MERGES[key] = found
    return _MERGES[key]


class RanksBelow(Mapping[bytes, int]):
    """The tokens of a lower rank than ``limit``."""

    def __init__(self, ranks: Mapping[bytes, int], limit: int) -> None:
        self.ranks, self.limit = ranks, limit

    def __contains__(self, token: object) -> bool:
        return self.ranks.get(token, self.limit) < self.limit  # type: ignore[call-overload, no-any-return]

    def __getitem__(self, token: bytes) -> int:
        return self.ranks[token]

    def __iter__(self) -> Iterator[bytes]:
        return (token for token in self.ranks if token in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def cs336_tokenizer(get_tokenizer: Callable[..., Any]) -> type:
    """``get_tokenizer(vocab, merges, special_tokens)``: GPT-2's pattern, and all special tokens are allowed."""

    class Tokenizer:
        def __init__(self, ranks: Mapping[bytes, int], pattern: str, special_tokens: Mapping[str, int]) -> None:
            if pattern != GPT2_PATTERN:
                raise NotSupported("it has no argument for the pattern")
            self.special = dict(special_tokens)
            vocab = {rank: token for token, rank in ranks.items()}
            vocab.update({i: name.encode() for name, i in self.special.items()})
            self.inner = get_tokenizer(vocab, list(merges_of(ranks)), list(self.special) or None)

        def encode(self, text: str, allowed_special: Sequence[str] = ()) -> Any:
            if any(name in text and name not in allowed_special for name in self.special):
                raise NotSupported("it always allows every special token")
            return self.inner.encode(text)

        def encode_iterable(self, texts: Iterable[str]) -> Any:
            if not callable(getattr(self.inner, "encode_iterable", None)):
                raise NotSupported("it has no method encode_iterable()")
            return self.inner.encode_iterable(texts)

        def decode(self, ids: list[int]) -> Any:
            return self.inner.decode(ids)

    return Tokenizer


CS336_TOKENIZER = adapter(
    "get_tokenizer",
    ("vocab", "merges", "special_tokens"),
    lambda a: a,
    made=cs336_tokenizer,
)
