"""What scripts of components with a state are made of: vocabularies of byte strings, numbered names, cuts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st

Value = TypeVar("Value")

ORDERS = ("by value", "printable first", "shuffled")
"""How the 256 single bytes are numbered, the plainest first."""


def byte_order(order: str, seed: int = 0) -> list[int]:
    """The 256 bytes in the order of their ids."""
    values = list(range(256))
    if order == "printable first":
        seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        return seen + [value for value in values if value not in seen]
    if order == "shuffled":
        random.Random(seed).shuffle(values)
    return values


def merged(piece: bytes, ranks: Mapping[bytes, int]) -> list[bytes]:
    """The piece in parts: single bytes, of which the two whose join has the lowest rank become one, over and over."""
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        joins = [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
        if not joins:
            return parts
        at = min(joins)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def grown(pieces: Sequence[bytes], picks: Sequence[int], bytes_in_order: Sequence[int]) -> dict[bytes, int]:
    """256 single bytes, and one more token per pick: two neighbours in the pieces as they stand by then, made one.

    So every token can be reached by merging, each is the join of two older ones, and which pair is taken (the pick-th)
    owes nothing to how often or how early it stands: the longest match is often not what merging gives. Where every
    token can be reached, all ways to merge agree: one pair at a time or all its places at once, by pair or by join.
    """
    ranks = {bytes([value]): rank for rank, value in enumerate(bytes_in_order)}
    in_parts = [[piece[i : i + 1] for i in range(len(piece))] for piece in dict.fromkeys(pieces)]
    for pick in picks:
        pairs = [a + b for parts in in_parts for a, b in pairwise(parts)]
        if not pairs:
            break
        token = pairs[pick % len(pairs)]
        ranks[token] = len(ranks)
        for parts in in_parts:
            at = 0
            while at < len(parts) - 1:
                if parts[at] + parts[at + 1] == token:
                    parts[at : at + 2] = [token]
                at += 1
    return ranks


@st.composite
def byte_vocabularies(
    draw: st.DrawFn, pieces: Sequence[bytes], most: int = 24, *, all_or_none: bool = False
) -> tuple[dict[bytes, int], str]:
    """A vocabulary grown from these pieces, with up to ``most`` tokens beyond the 256 bytes, and how it was made.

    ``all_or_none``: none at all, or so many that short pieces become one token each.
    """
    order = draw(st.sampled_from(ORDERS))
    seed = draw(st.integers(0, 99)) if order == "shuffled" else 0
    count = draw(st.sampled_from((0, *[64] * 7)) if all_or_none else st.integers(0, most))
    picks = draw(st.lists(st.integers(0, 60), min_size=count, max_size=count))
    return grown(pieces, picks, byte_order(order, seed)), f"bytes {order}, {count} merges"


@st.composite
def numbered_names(draw: st.DrawFn, names: Sequence[str], start: int) -> dict[str, int]:
    """The names with ids from ``start`` on; now and then some ids are left free before them."""
    gap = draw(st.sampled_from((0, 0, 5)))
    return {name: start + gap + place for place, name in enumerate(names)}


def cuts(values: Sequence[Value]) -> list[tuple[Sequence[Value], Sequence[Value]]]:
    """Every way to cut a sequence in two, the empty ends included."""
    return [(values[:at], values[at:]) for at in range(len(values) + 1)]
