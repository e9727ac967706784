"""Sizes. No two sizes coincide by accident: many published mistakes live exactly where a test used equal numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from hypothesis import strategies as st

_SET: ContextVar[Mapping[str, int] | None] = ContextVar("sizes that are set", default=None)


@contextmanager
def sizes_set(sizes: Mapping[str, int]) -> Iterator[None]:
    """Inside the ``with``, these sizes are what they are, whatever the limits that a strategy states."""
    token = _SET.set(sizes)
    try:
        yield
    finally:
        _SET.reset(token)


def size_set(name: str, among: Sequence[int]) -> Sequence[int]:
    """The one size that is set under this name; ``among`` where none is."""
    size = (_SET.get() or {}).get(name)
    return among if size is None else (size,)


@st.composite
def distinct_sizes(draw: st.DrawFn, /, **limits: tuple[int, int]) -> dict[str, int]:
    """One integer per name within its ``(least, most)``, all those above one different from each other.

    Built, never filtered: each size is drawn from what the earlier ones left over. Raises ValueError where nothing is
    left, which is a mistake of the contract sheet.
    """
    taken: set[int] = set()
    sizes = {}
    for name, (least, most) in limits.items():
        free = [n for n in range(least, most + 1) if n == 1 or n not in taken]
        if not free:
            raise ValueError(f"no size is left for {name} in {least}..{most}: {sorted(taken)} are taken")
        sizes[name] = draw(st.sampled_from(size_set(name, free)))
        taken.add(sizes[name])
    return sizes
