"""Which dtype each component of an implementation is judged in."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from harness.core.case import Case, is_float
from harness.core.claim import ToDo
from harness.core.contract import Contract
from harness.core.implementation import Answer, Request
from harness.core.mistake import Edit, EditDoesNotFit
from harness.core.note import NoteCode
from harness.core.tree import leaves
from harness.judging.trial import RanOutOfTime, is_offered
from harness.numerics.precision import working_precision

if TYPE_CHECKING:
    from harness.judging.judge import Bench


class WorkingPrecision:
    """What the implementation at a bench computes each component in, found once per component.

    Code that computes in float32 inside on purpose misses the rule of meaning and meets the rule of rounding, and its
    error is noise: that is a note, not a failure.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._found: dict[str, torch.dtype] = {}
        self._misses: set[str] = set()
        """Components that are wrong in float64 somewhere."""

    def of(self, contract: Contract) -> torch.dtype:
        """torch.float64, or torch.float32 where float64 is refused or not reached."""
        if contract.name not in self._found:
            self._found[contract.name] = torch.float64  # while probing
            dtype = self._probed(contract)
            parts = [name for name in contract.parts if name in self.bench.contracts]
            wrong = dtype == torch.float64 and contract.name in self._misses
            if wrong and any(self._is_in_float32(part) for part in parts):
                # Its parts are right in float32 alone: what is wrong in it can be seen in float32 only.
                dtype = torch.float32
                self.bench.note(contract, NoteCode.PRECISION, "judged in float32, as its parts are")
            self._found[contract.name] = dtype
        return self._found[contract.name]

    def _is_in_float32(self, part: str) -> bool:
        """Whether a part is there and computes in float32.

        False where that ends in no answer, which the part's own checks report.
        """
        if self.bench.implementation.offers(part) is None:
            return False
        try:
            return self.of(self.bench.contracts[part]) == torch.float32
        except (RanOutOfTime, ToDo):
            return False

    def _probed(self, contract: Contract) -> torch.dtype:
        cases = self.bench.cases_of(contract)
        if not any(is_float(leaf) for case in cases[:3] for _, leaf in case.tensors()):
            return self._dtype_of_the_result(contract)
        trials = [self.bench.trial(contract, case, i) for i, case in enumerate(cases)]
        trials = [trial for trial in trials if is_offered(trial)]
        declared = self.bench.generated.declared(contract)
        tables = contract.tables_in_float32 or any(form.tables_in_float32 for form in declared)
        found = working_precision(trials, contract, self._with_rounded_constants, tables)
        if found.misses:
            self._misses.add(contract.name)
        if found.note:
            self.bench.note(contract, NoteCode.PRECISION, found.note)
        return found.dtype

    def _dtype_of_the_result(self, contract: Contract) -> torch.dtype:
        """Where no argument has a floating-point dtype: that of the contract's results, which no case can widen."""
        reference = self.bench.reference
        answers = [reference.run(Request(contract.name, case)) for case in self.bench.cases_of(contract)[:1]]
        floats = [leaf.dtype for answer in answers for _, leaf in leaves(list(answer.outputs)) if is_float(leaf)]
        return torch.float32 if floats and all(dtype == torch.float32 for dtype in floats) else torch.float64

    def _with_rounded_constants(self, contract: Contract, case: Case) -> list[Answer]:
        """The reference's answers with each constant of the contract, or of its parts, moved by one float32 unit."""
        edited, answers = self.bench.edited, []
        if edited is None:
            return []
        for edit in self._roundings(contract.name):
            with suppress(EditDoesNotFit):  # a declared form has no such constant
                answers.append(edited((edit,)).run(Request(contract.name, case)))
        return answers

    def _roundings(self, component: str) -> list[Edit]:
        contract = self.bench.contracts[component]
        below = [edit for part in contract.parts if part in self.bench.contracts for edit in self._roundings(part)]
        return [*contract.roundings, *below]
