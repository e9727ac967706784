"""What the verdicts on one component rest on: what was given to it, and what was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Grounds:
    """What is known of how much a component was tried.

    ``given`` of ``generated`` cases: the rest was refused, for the reasons in ``refused``, each with its number of
    cases. ``unmet``: what no given case has, though a pass would need it. ``never_given``: its own arguments with a
    default that no case gives. ``never_varied``: ``name=value`` of what the contract varies, and had one value.
    ``unreached``: lines of the implementation that no run reached (``model.py:12-14``), where lines were watched; in
    ``runs_watched`` runs. Of a misfit: ``structure`` is what came of its structural checks, in words, ``needs`` what it
    needs, and ``plug_in`` the shortest lines that would plug it in.
    """

    component: str = ""
    generated: int = 0
    given: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    never_given: tuple[str, ...] = ()
    never_varied: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    runs_watched: int = 0
    structure: str = ""
    needs: str = ""
    plug_in: tuple[str, ...] = ()

    def joined(self, other: Grounds) -> Grounds:
        """What both together rest on: lines that either reached are reached."""
        both = tuple(line for line in self.unreached if line in other.unreached)
        runs = max(self.runs_watched, other.runs_watched)
        return replace(other, unreached=both, runs_watched=runs) if self.runs_watched else other

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Grounds:
        """The grounds whose fields these plain values are."""
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**plain)


def is_thin(given: int, generated: int) -> bool:
    """Whether so few of the generated cases were given that a pass says next to nothing."""
    return given < FEW and given < SHARE * generated


FEW = 4
"""So many cases say something, however many were refused."""
SHARE = 0.25
"""Fewer cases say something where they are at least this share of those that were generated."""
