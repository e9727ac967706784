"""One case at the implementation and at the reference: what a claim's function receives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from harness.core.case import Case
from harness.core.claim import Claim, Crashed, Misfit, NotApplicable, NotSupported, ToDo, Violation
from harness.core.contract import Contract, Variant
from harness.core.implementation import Answer, Crash, CrashKind, Offer, Request
from harness.core.result_form import wrong_kind
from harness.judging.evidence import COTANGENT_SEED, Evidence
from harness.numerics.bounds import accepts_everything, least_of
from harness.numerics.compare import Comparison, compare

if TYPE_CHECKING:
    from harness.judging.judge import Bench

NEARLY, PATIENT_PERTURBATIONS = 10.0, 24
"""An error of up to ten times the tolerance is looked at again with a tolerance from many more perturbations: where a
gradient is a difference of large numbers, three of them may happen to move it little."""

Unmeasured = tuple[float, Callable[[], float]]
"""An error that is fine, in units of its tolerance: what it is at most, and how it is found out."""


class BenchTrial:
    """The Trial of harness.core.claim: one case at the two executors.

    What a claim draws on a case of a telling set is the same in every run, so that its tolerance can be kept; not where
    the claim holds ``by_chance`` alone: such a chance must not be the same every time.
    """

    def __init__(self, bench: Bench, contract: Contract, case: Case, index: int, by_chance: bool = False) -> None:
        self.bench, self.contract, self.case, self.index = bench, contract, case, index
        self.offer = bench.implementation.offers(contract.name) or Offer(contract.name)
        self.dtype = bench.precision(contract)
        lasts = case.chosen is not None and not by_chance
        self.seed = int(case.key[:12], 16) if lasts else bench.seed * 1_000_003 + index
        self.patient = False
        self.error: float | None = None
        self.unmeasured: list[Unmeasured] = []
        """Comparisons that are fine, whose tolerance was not worked out."""
        self.judged_nothing = False
        """Whether the reference overflowed at every number of a comparison."""
        self.log: list[Evidence] = []

    @cached_property
    def forms(self) -> tuple[Variant, ...]:
        return self.contract.legal.in_text(self.bench.variants.get(self.contract.name, ""))

    @property
    def is_varied(self) -> bool:
        return any(not form.is_default for form in self.forms)

    def has_form(self, *names: str) -> bool:
        return any(form.name in names or form.axis in names for form in self.forms if not form.is_default)

    def number(self, axis: str) -> float | None:
        values = (form.name.partition("=")[2] for form in self.forms if form.axis == axis)
        return next(map(float, filter(None, values)), None)

    @property
    def is_in_half_precision(self) -> bool:
        """Whether the latest run had 16-bit numbers in it."""
        latest = self.log[-1].request.case.tensors() if self.log else ()
        return any(leaf.is_floating_point() and leaf.dtype.itemsize == 2 for _, leaf in latest)

    @property
    def companions(self) -> tuple[Case, ...]:
        cases = self.bench.cases_of(self.contract)
        return tuple(cases[(self.index + step) % len(cases)] for step in (1, len(cases) // 2))

    def _request(self, case: Case | None, options: dict[str, Any]) -> Request:
        dtype = options.pop("dtype", None) or self.dtype
        gradients = COTANGENT_SEED if options.pop("gradients", False) else None
        return Request(self.contract.name, (case or self.case).cast(dtype), gradients=gradients, **options)

    def attempt(self, case: Case | None = None, **options: Any) -> Answer:
        request = self._request(case, options)
        answer = self.bench.implementation.run(request)
        self.log.append(Evidence(request, answer))
        if answer.crash is not None:
            if answer.crash.kind == CrashKind.TO_DO:
                raise ToDo(answer.crash.message)
            if answer.crash.kind == CrashKind.NOT_SUPPORTED:
                raise NotSupported(answer.crash.message)
            if answer.crash.kind == CrashKind.MISFIT:
                raise Misfit(answer.crash.message)
            if answer.crash.kind == CrashKind.TIMED_OUT:
                raise RanOutOfTime(answer.crash)
        return answer

    def probe(self, case: Case | None = None, **options: Any) -> Answer:
        return self.bench.implementation.run(self._request(case, options))

    def run(self, case: Case | None = None, **options: Any) -> Answer:
        answer = self.attempt(case, **options)
        if answer.crash is not None:
            raise Crashed(answer)
        odd = wrong_kind(self.contract, (case or self.case).calls, answer.outputs)
        if odd is not None:
            raise odd.violation()
        return answer

    def expect(self, case: Case | None = None, **options: Any) -> Answer:
        answer = self.bench.reference.run(self._request(case, options))
        if answer.crash is not None and answer.crash.kind == CrashKind.NOT_SUPPORTED:
            raise NotSupported(answer.crash.message)  # a reference that is made on somebody's own model
        return answer

    def agreement(
        self, case: Case | None = None, *, dtype: torch.dtype | None = None, gradients: bool = False
    ) -> tuple[Answer, Answer]:
        return self.bench.agreement(self.contract.name, case or self.case, dtype or self.dtype, gradients, self.patient)

    def spread(self, case: Case | None = None) -> Any:
        return tuple(_doubled(bound) for bound in self.agreement(case)[1].outputs)

    def spread_of_value(self, case: Case | None = None) -> Any:
        return self.spread(case)[-1]

    def note_error(self, error: float) -> None:
        self.error = error if self.error is None else max(self.error, error)

    def close(self, actual: Any, expected: Any, tolerance: Any, what: str) -> None:
        least = least_of(tolerance)
        if least is not None:
            at_most = self._compared(actual, expected, least, what).ratio
            if at_most <= 1.0:
                self.note_error(0.0)
                if at_most > 0.0:
                    self.unmeasured.append((at_most, lambda: self._compared(actual, expected, tolerance, what).ratio))
                return
        found = self._compared(actual, expected, tolerance, what)
        if found.fine:
            if accepts_everything(tolerance):
                self.judged_nothing = True
            else:
                self.note_error(found.ratio)
            return
        raise Violation(
            f"wrong {'output' if what == 'out' else what.removeprefix('the ').rstrip(',')}",
            worst=found.where,
            error=found.ratio,
            error_map=found.error_map,
            explains=False,
        )

    def _compared(self, actual: Any, expected: Any, tolerance: Any, what: str) -> Comparison:
        """The comparison; of the results of a script call by call, the worst of them."""
        if isinstance(expected, tuple) and isinstance(actual, tuple) and len(actual) == len(expected) == 1:
            (actual,), (expected,), (tolerance,) = actual, expected, tolerance
        calls = self.case.calls
        if isinstance(expected, tuple) and isinstance(actual, tuple) and len(expected) == len(actual) == len(calls) > 1:
            name = f"{what} of " if what != "out" else ""  # a script: say which of its calls
            bounds = tolerance if isinstance(tolerance, (list, tuple)) else [tolerance] * len(calls)
            each = zip(calls, actual, expected, bounds, strict=True)
            parts = [compare(a, e, bound, f"{name}{call.method}()") for call, a, e, bound in each]
            return max(parts, key=lambda part: part.ratio)
        return compare(actual, expected, tolerance, what)

    def cotangent(self, value: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(COTANGENT_SEED)
        return torch.randn(value.shape, generator=generator, dtype=torch.float32).double()

    def random(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed % 2**31)

    def not_applicable(self) -> None:
        raise NotApplicable


def largest_error(known: float, unmeasured: Sequence[Unmeasured]) -> float:
    """The largest of some errors; only those are found out that may be it. ``known``: the largest of the others."""
    for at_most, found_out in sorted(unmeasured, key=lambda one: -one[0]):
        if at_most <= known:
            break
        known = max(known, found_out())
    return known


class RanOutOfTime(Exception):
    """The implementation ran out of time: no further case of this claim is tried."""

    def __init__(self, crash: Crash) -> None:
        super().__init__(crash.message)
        self.crash = crash


def is_offered(trial: BenchTrial) -> bool:
    """Whether the implementation runs this case at all (an option it does not take is no failure)."""
    try:
        trial.attempt()
    except NotSupported:
        return False
    return True


def outcome_of(claim: Claim, trial: BenchTrial) -> Any:
    """The claim's number, or the exception it ended with (those that end the whole claim are raised)."""
    try:
        claim.test(trial)
        if trial.judged_nothing and trial.error is None:
            return NotApplicable()
        return trial.error
    except Violation as violation:
        answers = [(item.request.case.calls, item.answer) for item in trial.log if item.answer.crash is None]
        odd = next((o for calls, a in answers if (o := wrong_kind(trial.contract, calls, a.outputs))), None)
        if odd is not None:  # whatever the claim says of it
            return odd.violation()
        if 1.0 < violation.error <= NEARLY and not trial.patient:
            trial.patient, trial.log, trial.error, trial.judged_nothing = True, [], None, False
            trial.unmeasured = []
            return outcome_of(claim, trial)
        trial.log = [replace(item, effects=bool(violation.effects)) for item in trial.log]
        return violation
    except (NotApplicable, NotSupported, Crashed) as outcome:
        return outcome


def _doubled(bound: Any) -> Any:
    if isinstance(bound, (list, tuple)):
        return type(bound)(_doubled(b) for b in bound)
    if isinstance(bound, dict):
        return {k: _doubled(b) for k, b in bound.items()}
    return None if bound is None else 2 * bound
