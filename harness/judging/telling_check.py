"""Whether a telling set is still what its file says: the cases are made as they were, and tell what they told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.core.claim import Claim
from harness.core.contract import Contract
from harness.core.mistake import KnownMistake
from harness.judging.catalogue import Catalogue
from harness.judging.telling import TellingCase, TellingSet
from harness.judging.telling_power import Breaks, Pooled, Power, Told


def changed_cases(known: Catalogue, chosen: TellingSet) -> list[str]:
    """What is not made as it was, in words; cheap. ``plumbline cases`` makes the file anew."""
    found = []
    for claim, entries, strategy in _groups(known, chosen):
        if strategy is None:
            found.append(f"{chosen.component} has no claim {claim!r} with a strategy of its own")
            continue
        made = strategy()
        for entry in entries:
            if entry.drawn(made) is None:
                of = f"{chosen.component}::{claim}" if claim else chosen.component
                found.append(f"{of}: seed {entry.seed} gives another case than {entry.looks!r}")
    return found


def untold(known: Catalogue, chosen: TellingSet) -> list[str]:
    """The known mistakes of the component that no chosen case tells, by the file."""
    told = {name for _, entries, _ in _groups(known, chosen) for entry in entries for name in entry.tells}
    return [mistake.name for mistake in known.mistakes.get(chosen.component, ()) if mistake.name not in told]


def lost_power(known: Catalogue, chosen: TellingSet) -> list[str]:
    """What the cases of the file do not tell, though it says so. Tries every mistake on every case."""
    power = Power(known, chosen.component)
    claims = {claim.name: claim for claim in known.claims_of(chosen.component)}
    found = []
    for claim, entries, strategy in _groups(known, chosen):
        tried = [claims[claim]] if claim in claims else _shared(list(claims.values()))
        made = None if strategy is None else strategy()
        for entry in entries if made is not None else ():
            case = entry.drawn(made)
            if case is not None:
                lost = _lost(power, tried, Pooled(entry.seed, case), entry, bool(claim))
                found += [
                    f"{chosen.component}: {name} is not told by seed {entry.seed} ({entry.looks})" for name in lost
                ]
    return found


def _groups(
    known: Catalogue, chosen: TellingSet
) -> Iterator[tuple[str, Sequence[TellingCase], Callable[[], Any] | None]]:
    """The cases of the component, and of each claim with a strategy of its own; None where there is none any more."""
    contract = known.contracts[chosen.component]
    claims = {claim.name: claim for claim in known.claims_of(chosen.component)}
    yield "", chosen.cases, contract.cases
    for name, entries in chosen.claims.items():
        yield name, entries, _own_strategy(contract, claims.get(name))


def _own_strategy(contract: Contract, claim: Claim | None) -> Callable[[], Any] | None:
    if claim is None or claim.cases is not None:
        return claim.cases if claim is not None else None
    return contract.invalid if "invalid" in claim.tags else None


def _shared(claims: Sequence[Claim]) -> list[Claim]:
    return [claim for claim in claims if claim.cases is None and "invalid" not in claim.tags]


def _lost(power: Power, claims: Sequence[Claim], pooled: Pooled, entry: TellingCase, of_claim: bool) -> list[str]:
    prefix = f"{power.contract.name}."
    mistakes = {mistake.full_name.removeprefix(prefix): mistake for mistake in power.own}
    if power.contract.agrees and not of_claim:
        power.tell(pooled, [mistakes[name] for name in entry.tells if name in mistakes], pairs=False)
    lost = []
    for name in entry.tells:
        mistake = mistakes.get(name)
        if mistake is None or not _is_told(power, claims, pooled, mistake):
            lost.append(name)
    return lost


def _is_told(power: Power, claims: Sequence[Claim], pooled: Pooled, mistake: KnownMistake) -> bool:
    """Whether numbers tell it, or else a claim, its own one first."""
    if Told(mistake.full_name) in pooled.shows:
        return True
    for claim in sorted(claims, key=lambda claim: claim.broken_by != mistake.name):
        power.breaks(claim, mistake, [pooled])
        if Breaks(claim.name, mistake.full_name) in pooled.shows:
            return True
    return False
