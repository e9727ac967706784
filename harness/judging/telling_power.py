"""What each case of a pool tells: known mistakes and legal forms from the reference, from each other, and which claims
say something on it. `plumbline cases` chooses the telling set by it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import torch

from harness.core.case import Case
from harness.core.claim import Claim, NotApplicable, NotSupported, ToDo, Violation
from harness.core.contract import Contract
from harness.core.implementation import Answer, Request
from harness.core.mistake import KnownMistake, fits
from harness.core.tree import leaves
from harness.diagnosis.finding import variants_as_mistakes
from harness.diagnosis.matching import Observation
from harness.judging.catalogue import Catalogue
from harness.judging.evidence import COTANGENT_SEED
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from harness.judging.trial import BenchTrial, RanOutOfTime, outcome_of
from harness.project.forms import edits_of_forms, that_fit
from harness.project.variants import in_one_line

APART = 1e-7
"""Two answers tell two mistakes apart where random sums of their numbers differ by this share of their size."""

HOPELESS = 30
"""... and after so many on which it never does."""
MANY = 8
"""Of a claim: after so many cases that it says something on, or fails on, no more are looked for."""


@dataclass
class Pooled:
    """One case of a pool: what regenerates it, what it costs, and what it shows."""

    seed: int
    case: Case
    sizes: dict[str, int] = field(default_factory=dict)
    cost: float = 0.0
    shows: set[Hashable] = field(default_factory=set)


@dataclass(frozen=True)
class Told:
    """A known mistake, or legal form, is told from the reference."""

    mistake: str


@dataclass(frozen=True)
class Apart:
    """Two of them are told from each other."""

    one: str
    other: str


@dataclass(frozen=True)
class Speaks:
    """A claim says something of right code."""

    claim: str


@dataclass(frozen=True)
class Breaks:
    """A claim fails where a known mistake is in force."""

    claim: str
    mistake: str


@dataclass(frozen=True)
class Least:
    """An axis has a single position."""

    axis: str


class Power:
    """Measures what cases of one component tell. ``known``: the catalogue."""

    def __init__(self, known: Catalogue, component: str) -> None:
        self.known, self.contract = known, known.contracts[component]
        self._right: dict[tuple[str, ...], Inspection] = {}
        self._wrong: dict[str, Inspection] = {}

    @cached_property
    def own(self) -> list[KnownMistake]:
        """The known mistakes of the component, and its legal forms."""
        return [*self.known.mistakes.get(self.contract.name, ()), *variants_as_mistakes(self.contract)]

    @cached_property
    def below(self) -> list[KnownMistake]:
        """Those of its parts."""
        return [mistake for part in self.contract.parts for mistake in Power(self.known, part).reach]

    @property
    def reach(self) -> list[KnownMistake]:
        """All of them."""
        return list(dict.fromkeys([*self.own, *self.below]))

    def right(self, under: tuple[str, ...] = ()) -> Inspection:
        """The reference judged against itself, in the forms that a mistake exists in."""
        if under not in self._right:
            declared = in_one_line(",".join(under), self.known.contracts, "KnownMistake.under")
            variants = that_fit(declared.variants, self.known.contracts, "KnownMistake.under")
            edits = edits_of_forms(variants, self.known.contracts)
            executor = reference_executor(self.known.contracts, edits, trusted=True)
            self._right[under] = Inspection(self.known, executor, 0, None, variants)
        return self._right[under]

    def wrong(self, mistake: KnownMistake) -> Inspection:
        """The reference with this mistake, judged against the right one."""
        if mistake.full_name not in self._wrong:
            right = self.right(mistake.under)
            executor = reference_executor(self.known.contracts, (*right.edits, *mistake.edits))
            self._wrong[mistake.full_name] = Inspection(self.known, executor, 0, None, right.variants, like=right)
        return self._wrong[mistake.full_name]

    def tell(self, pooled: Pooled, mistakes: Iterable[KnownMistake], pairs: bool = True) -> None:
        """Note which of these mistakes a case tells by the reference's numbers, from the reference and each other."""
        sketches: dict[tuple[str, ...], list[tuple[str, torch.Tensor]]] = {}
        for mistake in mistakes:
            right = self.right(mistake.under)
            if not right.bench.generated.fits_declared_forms(self.contract, pooled.case):
                continue
            if not fits((*right.edits, *mistake.edits)):
                continue
            seen = self._observed(right, mistake, pooled)
            if seen is not None and seen.wrong:
                pooled.shows.add(Told(mistake.full_name))
                sketches.setdefault(mistake.under, []).append((mistake.full_name, sketch(seen.answer)))
        for group in sketches.values() if pairs else ():
            for (one, first), (other, second) in combinations(group, 2):
                if bool(((first - second).abs() > APART * (1e-30 + first.abs() + second.abs())).any()):
                    pooled.shows.add(Apart(*sorted((one, other))))

    def _observed(self, right: Inspection, mistake: KnownMistake, pooled: Pooled) -> Observation | None:
        name, seed = self.contract.name, COTANGENT_SEED if self.contract.differentiable else None
        request = Request(name, pooled.case, gradients=seed)
        reference = right.bench.reference.run(request)
        executor = reference_executor(self.known.contracts, (*right.edits, *mistake.edits), trusted=True)
        answer = executor.run(request)
        if not self.contract.agrees and answer.crash is None:
            return Observation(request, answer, reference, Answer()) if _differ(answer, reference) else None
        _, tolerance = right.bench.agreement(name, pooled.case, torch.float64, seed is not None)
        return Observation(request, answer, reference, tolerance if tolerance.crash is None else Answer())

    def outcome(self, inspection: Inspection, claim: Claim, case: Case, index: int) -> Any:
        """What a claim ends in on one case: None or a number where it passes, the exception otherwise."""
        trial = BenchTrial(inspection.bench, self.contract, case, index)
        try:
            return outcome_of(claim, trial)
        except (RanOutOfTime, ToDo) as stopped:
            return stopped

    def speaks(self, claim: Claim, pool: Sequence[Pooled], enough: int = MANY) -> float:
        """Note on which cases a claim says something of right code, up to so many; the share of those looked at."""
        found = tried = 0
        for index, pooled in enumerate(pool):
            tried += 1
            outcome = self.outcome(self.right(), claim, pooled.case, index)
            if outcome is None or isinstance(outcome, float):
                pooled.shows.add(Speaks(claim.name))
                found += 1
            if found >= enough or (not found and tried >= HOPELESS):
                break
        return found / max(tried, 1)

    def breaks(self, claim: Claim, mistake: KnownMistake, pool: Sequence[Pooled], enough: int = MANY) -> float:
        """Note on which cases a claim fails where a mistake is in force, up to so many; the share of those looked
        at."""
        wrong, found, tried = self.wrong(mistake), 0, 0
        for index, pooled in enumerate(pool):
            if not wrong.bench.generated.fits_declared_forms(self.contract, pooled.case):
                continue
            tried += 1
            outcome = self.outcome(wrong, claim, pooled.case, index)
            silent = isinstance(outcome, (NotApplicable, NotSupported)) or not isinstance(outcome, Exception)
            if not silent and not (isinstance(outcome, Violation) and outcome.advice):
                pooled.shows.add(Breaks(claim.name, mistake.full_name))
                found += 1
            if found >= enough or (not found and tried >= HOPELESS):
                break
        return found / max(tried, 1)


def priced(contract: Contract, run: Callable[[Request], Answer], pool: Iterable[Pooled]) -> Iterator[Pooled]:
    """The cases of a pool that the reference takes, each with the processor seconds that it costs."""
    seed = COTANGENT_SEED if contract.differentiable else None
    for pooled in pool:
        started = time.process_time()
        answer = run(Request(contract.name, pooled.case, gradients=seed))
        if answer.crash is None or not answer.crash.kind.says_nothing:
            pooled.cost = time.process_time() - started
            yield pooled


def sketch(answer: Answer) -> torch.Tensor:
    """Three random sums of all that an answer holds: equal for equal answers, and hardly ever for others."""
    if answer.crash is not None:
        return torch.full((3,), _number(f"{answer.crash.error}{answer.crash.call}"), dtype=torch.float64)
    total = torch.zeros(3, dtype=torch.float64)
    for path, leaf in leaves([*answer.outputs, dict(answer.gradients)]):
        if torch.is_tensor(leaf):
            values = leaf.detach().to(torch.float64).reshape(-1).nan_to_num(3.7e7, 1.3e8, -1.9e8)
            generator = torch.Generator().manual_seed(int(_number(f"{path}{tuple(leaf.shape)}")))
            total += torch.randn((3, values.numel()), generator=generator, dtype=torch.float64) @ values
        else:
            total += _number(f"{path}{leaf!r}") / 1e6
    return total


def _differ(one: Answer, other: Answer) -> bool:
    if (one.crash is None) != (other.crash is None):
        return True
    first, second = sketch(one), sketch(other)
    return bool(((first - second).abs() > APART * (1e-30 + first.abs() + second.abs())).any())


def _number(text: str) -> float:
    """A number that stands for a text, the same in every process."""
    return float(int(hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:12], 16))
