"""A measurement: an informational number about an implementation; it affects no verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.core.claim import Trial


@dataclass(frozen=True)
class Measurement:
    """``sentence`` says it in words with its number; ``how`` says how to obtain that number.

    ``value`` in ``unit`` is the one number to compare between runs. ``series``: more of them by label (per rank, per
    script, per size), for a table or a plot. ``component`` and ``name`` are filled in from the measure that took it.
    """

    sentence: str
    how: str
    value: float | None = None
    unit: str = ""
    series: Mapping[str, float] = field(default_factory=dict)
    component: str = ""
    name: str = ""
    grids: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    """Tables of numbers by label, to be shown as error_map maps side by side."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which other processes and JSON take."""
        return asdict(self)


@dataclass(frozen=True)
class Measure:
    """What a component is measured for, beyond right and wrong.

    ``take(trial)`` is called with the first case of the component (or of ``cases``, a strategy of its own) and
    returns the fact, or None where there is none to tell; it may run any case, and ``trial.run(weigh=True)`` tells
    what an object holds in memory (``facts["bytes"]``). It must not judge: what raises there is no failure.
    """

    name: str
    sentence: str
    take: Callable[[Trial], Measurement | None]
    cases: Callable[[], Any] | None = None
