"""How the telling set of a component is chosen: a pool of single draws, what each tells, and a small cover of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from harness.core.case import Case
from harness.core.claim import Claim
from harness.core.formatting import weight
from harness.core.implementation import Request
from harness.core.mistake import KnownMistake
from harness.judging.catalogue import Catalogue
from harness.judging.set_cover import cover
from harness.judging.telling import TellingCase, TellingSet, fingerprint
from harness.judging.telling_power import Apart, Breaks, Least, Pooled, Power, Speaks, Told, priced
from harness.strategies.sampling import single

LARGEST_POOL, POOL_PER_CASE, SMALLEST_POOL = 30, 3, 8
"""Single draws to choose from: in proportion to the cases of a run, of which dear components state few."""
FURTHER = 2
"""So many times more for what these do not tell, or not often enough."""
OWN_POOL = 20
"""Draws from a strategy of a claim's own."""
FEWER = 16
"""Cases on which the mistakes of the parts are tried, of which one that tells them is enough, and claims that do not
name a mistake as theirs."""
TWICE, ONCE = 2, 1
RARE = 0.75
"""A claim that says something on fewer of the cases, or is broken on fewer, needs cases of its choice."""
BEYOND, AROUND = 129, (64, 127, 32, 65, 31)
"""Sizes at and around which programs work in blocks: 129 is one more than a multiple of every usual size of a block."""
NO_EDGES = frozenset({"heads", "kv_heads", "layers", "context", "documents", "new", "window"})
"""Sizes that other sizes follow from, or that are no axis of a tensor."""
CONTEXT, ROOM = "context", 3
"""The size that positions must fit in, and how many more it has where they are set."""
MOST_EDGES = 5
DEAREST = 0.03
"""Processor seconds of one run with gradients, at the most, for a case at an edge."""
MOST_CHOSEN = 16
OVERHEAD = 200
"""What a case costs beside the number of its elements, in elements. (Times would make another choice every time.)"""


def choose(known: Catalogue, component: str, progress: Callable[[str], None] = lambda text: None) -> TellingSet:
    """The telling set of a component, and of its claims with a strategy of their own."""
    power = Power(known, component)
    pool = _looked_at(power, progress)
    claims = [claim for claim in known.claims_of(component) if claim.cases is None and "invalid" not in claim.tags]
    rare = _by_claims(power, claims, pool)
    left = [mistake for mistake in known.mistakes.get(component, ()) if _times(pool, mistake) < TWICE]
    progress(f"{component}: {len(left)} mistakes that claims must show")
    own = [claim for claim in known.claims_of(component) if claim.cases is not None or "invalid" in claim.tags]
    left = _shown_by_claims(power, claims, pool, left, rare)
    chosen = _cover(pool, power)
    edges = list(_edges(power, pool)) if power.contract.agrees else []
    cases = [_entry(pool[index], power, rare) for index in chosen]
    cases += [_entry(pooled, power, rare) for pooled in edges]
    return TellingSet(component, tuple(cases), dict(_of_own(power, own, left)))


def _looked_at(power: Power, progress: Callable[[str], None]) -> list[Pooled]:
    """A pool of cases of the component, and what each tells by the reference's numbers."""
    contract = power.contract
    size = min(LARGEST_POOL, max(SMALLEST_POOL, POOL_PER_CASE * contract.case_count))
    pool = _pool(power, contract.cases, range(size))
    for pooled in pool:
        power.tell(pooled, power.own)
    weak = _told_too_seldom(power, pool)
    progress(f"{contract.name}: {len(pool)} cases to choose from, {len(weak)} of {len(power.own)} mistakes need others")
    if weak and contract.agrees:
        more = _pool(power, contract.cases, range(size, (1 + FURTHER) * size))
        for pooled in more:
            power.tell(pooled, weak)
        pool += [pooled for pooled in more if pooled.shows]
    for pooled in pool[:FEWER] if contract.agrees else ():
        power.tell(pooled, power.below, pairs=False)
    for pooled in pool:
        if not contract.agrees:  # other numbers are no fault there: claims must tell
            pooled.shows = {thing for thing in pooled.shows if not isinstance(thing, Told)}
        pooled.shows |= {Least(name) for name, size in pooled.case.dimensions.items() if size == 1}
    return pool


def _pool(power: Power, strategy: Callable[[], Any], seeds: range) -> list[Pooled]:
    made, found, keys = strategy(), list[Pooled](), set[str]()
    for seed in seeds:
        case = single(made, seed)
        if case is not None and case.key not in keys:
            keys.add(case.key)
            found.append(Pooled(seed, case))
    return list(priced(power.contract, power.right().bench.reference.run, found))


def _told_too_seldom(power: Power, pool: Sequence[Pooled]) -> list[KnownMistake]:
    """The mistakes that few of these cases tell, from the reference or from another one that they tell."""
    times: Counter[Hashable] = Counter(thing for pooled in pool for thing in pooled.shows)
    found: dict[str, None] = {m.full_name: None for m in power.own if times[Told(m.full_name)] < TWICE}
    by_form: dict[tuple[str, ...], list[str]] = {}
    for mistake in power.own:
        if times[Told(mistake.full_name)]:
            by_form.setdefault(mistake.under, []).append(mistake.full_name)
    for names in by_form.values():
        for one, other in combinations(sorted(names), 2):
            if times[Apart(one, other)] < TWICE:
                found.update({one: None, other: None})
    return [mistake for mistake in power.own if mistake.full_name in found]


def _by_claims(power: Power, claims: Sequence[Claim], pool: Sequence[Pooled]) -> set[Hashable]:
    """Note what claims say on the pool; what few cases show."""
    by_name = {mistake.name: mistake for mistake in power.known.mistakes.get(power.contract.name, ())}
    rare: set[Hashable] = set()
    for claim in claims:
        if power.speaks(claim, pool) < RARE:
            rare.add(Speaks(claim.name))
        broken_by = by_name.get(claim.broken_by)
        if broken_by is not None and power.breaks(claim, broken_by, pool) < RARE:
            rare.add(Breaks(claim.name, broken_by.full_name))
    return rare


def _shown_by_claims(
    power: Power, claims: Sequence[Claim], pool: Sequence[Pooled], left: Sequence[KnownMistake], rare: set[Hashable]
) -> list[KnownMistake]:
    """Let a claim show each mistake that numbers do not; those that none shows."""
    still = []
    for mistake in left:
        for claim in sorted(claims, key=lambda claim: claim.broken_by != mistake.name):
            if share := power.breaks(claim, mistake, pool[:FEWER]):
                if share < RARE:
                    rare.add(Breaks(claim.name, mistake.full_name))
                break
        else:
            still.append(mistake)
    return still


def _times(pool: Sequence[Pooled], mistake: KnownMistake) -> int:
    def shows(thing: Hashable) -> bool:
        return thing == Told(mistake.full_name) or (isinstance(thing, Breaks) and thing.mistake == mistake.full_name)

    return sum(any(map(shows, pooled.shows)) for pooled in pool)


def _cover(pool: Sequence[Pooled], power: Power) -> list[int]:
    """The chosen ones; where these would be many, what is told is told less often."""
    own = {mistake.full_name for mistake in power.own}
    chosen: list[int] = []
    for apart, told in ((TWICE, TWICE), (ONCE, TWICE), (ONCE, ONCE)):
        needs: dict[Hashable, int] = {}
        for pooled in pool:
            for thing in pooled.shows:
                if isinstance(thing, Apart):
                    needs[thing] = apart if power.contract.agrees else ONCE
                else:
                    of_a_part = isinstance(thing, Told) and thing.mistake not in own
                    needs[thing] = ONCE if of_a_part or isinstance(thing, Least) else told
        chosen = cover([p.shows for p in pool], [OVERHEAD + weight(p.case)[0] for p in pool], needs)
        if len(chosen) <= MOST_CHOSEN:
            break
    return chosen


def _entry(pooled: Pooled, power: Power, rare: set[Hashable]) -> TellingCase:
    needed = {thing.claim for thing in pooled.shows & rare if isinstance(thing, (Speaks, Breaks))}
    prefix = f"{power.contract.name}."
    tells = {thing.mistake for thing in pooled.shows if isinstance(thing, Told)}
    tells |= {thing.mistake for thing in pooled.shows if isinstance(thing, Breaks)}
    own = sorted(name.removeprefix(prefix) for name in tells if name.startswith(prefix))
    looks = in_words(pooled.case)
    return TellingCase(pooled.seed, fingerprint(pooled.case), pooled.sizes, looks, tuple(own), tuple(sorted(needed)))


def in_words(case: Case) -> str:
    """Its sizes and its family."""
    sizes = ", ".join(f"{name} {size}" for name, size in case.dimensions.items())
    return "; ".join(filter(None, (sizes, case.family)))


def _edges(power: Power, pool: Sequence[Pooled]) -> Iterator[Pooled]:
    """For each axis a case that reaches beyond the usual blocks, and one that ends at the edge of one."""
    contract, strategy = power.contract, power.contract.cases()
    names = [name for name in pool[0].case.dimensions if name not in NO_EDGES] if pool else []
    run = power.right().bench.reference.run
    sizes = [(name, BEYOND) for name in names] + [(name, AROUND[n % len(AROUND)]) for n, name in enumerate(names)]
    yielded = 0
    for number, (name, size) in enumerate(sizes):
        found = _at(strategy, {name: size}, 7 * number)
        if found is None or run(Request(contract.name, found.case)).crash is not None:  # it may need a longer context
            found = _at(strategy, {name: size, CONTEXT: size + ROOM}, 7 * number)
        for pooled in priced(contract, run, [] if found is None else [found]):
            if (
                pooled.cost <= DEAREST
                and yielded < MOST_EDGES
                and run(Request(contract.name, pooled.case)).crash is None
            ):
                power.tell(pooled, power.own, pairs=False)
                yielded += 1
                yield pooled


def _at(strategy: Any, sizes: Mapping[str, int], seed: int) -> Pooled | None:
    """A case whose sizes are these; None where the strategy has no such sizes."""
    for further in range(3):
        try:
            case = single(strategy, seed + further, sizes)
        except Exception:  # whatever a strategy raises that cannot be had at this size
            return None
        if case is not None and all(case.dimensions.get(name) == size for name, size in sizes.items()):
            return Pooled(seed + further, case, dict(sizes))
    return None


def _of_own(
    power: Power, claims: Sequence[Claim], left: Sequence[KnownMistake]
) -> Iterator[tuple[str, tuple[TellingCase, ...]]]:
    """The chosen cases of the claims with a strategy of their own: where they speak, and where what they must show, and
    what nothing else shows, breaks them."""
    still = list(left)
    by_name = {mistake.name: mistake for mistake in power.known.mistakes.get(power.contract.name, ())}
    for claim in claims:
        strategy = claim.cases or power.contract.invalid
        if strategy is None:
            continue
        pool = _pool(power, strategy, range(OWN_POOL)) if claim.cases else _unpriced(strategy, OWN_POOL)
        power.speaks(claim, pool)
        owed = [by_name[claim.broken_by]] if claim.broken_by in by_name else []
        for mistake in dict.fromkeys([*owed, *still]):
            if power.breaks(claim, mistake, pool) and mistake in still:
                still.remove(mistake)
        if pool:
            chosen = _cover(pool, power)
            yield claim.name, tuple(_entry(pool[index], power, set()) for index in chosen)


def _unpriced(strategy: Callable[[], Any], count: int) -> list[Pooled]:
    """Cases that must be refused."""
    made = strategy()
    cases = {case.key: Pooled(seed, case, {}, 1e-3) for seed in range(count) if (case := single(made, seed))}
    return list(cases.values())
