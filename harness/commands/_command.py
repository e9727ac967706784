"""What every subcommand is, and how they read names."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.core.claim import Claim
from harness.core.errors import UsageError
from harness.judging.catalogue import Catalogue


@dataclass(frozen=True)
class Command:
    """One subcommand.

    ``help``: one line for ``plumbline --help``. ``arguments(parser)`` adds its arguments. ``run(options)`` returns the
    exit code or raises UsageError. ``details``: further text for its own ``--help``, printed as it stands.
    """

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    details: str = ""


def component_of(known: Catalogue, name: str) -> str:
    """The name, if it is a component's. Raises UsageError with the nearest names otherwise."""
    if name not in known.contracts:
        raise UsageError(f"there is no component {name!r}; {nearest(name, known.contracts)}")
    return name


def claim_of(known: Catalogue, component: str, name: str) -> Claim:
    """The claim of this name or earlier name. Raises UsageError with the nearest names where the component has none."""
    claims = {claim.name: claim for claim in known.claims_of(component)}
    if name in claims:
        return claims[name]
    for claim in claims.values():
        if name in claim.aliases:
            return claim
    raise UsageError(f"{component} has no claim {name!r}; {nearest(name, claims)}")


def nearest(name: str, among: Iterable[str]) -> str:
    """``did you mean a or b?``, or what there is."""
    names = list(among)
    near = difflib.get_close_matches(name, names, 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names[:40])}"
