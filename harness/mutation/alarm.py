"""Says whether a line was reached: :func:`ring` is called there."""

from __future__ import annotations

_rung = [False]


def ring() -> None:
    """Note that the line was reached."""
    _rung[0] = True


def reset() -> None:
    """From now on, nothing was reached."""
    _rung[0] = False


def has_rung() -> bool:
    """Whether the line was reached since the last reset."""
    return _rung[0]
