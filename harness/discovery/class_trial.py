"""One class, tried as one component: built at the sizes of a few cases, its parameters matched."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.discovery.refusals import takes_its_arrays, what_does_not_fit, why_not_built
from harness.discovery.resemblance import may_be_another, not_told, resemblance
from harness.discovery.slips import is_slip
from harness.execution.time_limit import TimedOut
from harness.modules.found_class import CallFound, Factory, FoundModule
from harness.modules.probing import trial_call
from harness.modules.telling_cases import telling_cases

MOST_CASES = 8
"""Cases at whose sizes a class is tried, more where only a size is wrong: one that takes none is another thing."""
Names = Mapping[str, str | list[str]]


class Refused(Exception):
    """Why a class is not the component that it was tried as."""


class ClassTrial:
    """Tries classes. ``seconds``: processor seconds for one trial call.

    ``timed_out``: classes whose constructor did not end; they are not tried again.
    """

    def __init__(self, contracts: Collection[Contract], seconds: float) -> None:
        self.contracts, self.seconds = contracts, seconds
        self.timed_out: dict[type, TimedOut] = {}

    def of(self, kind: type, contract: Contract, layout: str | None, names: Names) -> FoundModule:
        """The class as this component, with biases, or without where only that matches all of it. Raises Refused."""
        if given := takes_its_arrays(kind, contract):
            raise Refused(given)
        factory = Factory(kind, contract)
        adapter: FoundModule | None = None
        refused = Refused()
        try:
            adapter = self._tried(factory, contract, layout, names)
        except Refused as error:
            refused = error
        if adapter is not None and (adapter.plan is None or not adapter.plan.kept):
            return adapter
        if factory.chose_biases and (adapter is not None or not self._is_another_with_biases(kind, contract)):
            try:
                plain = self._tried(Factory(kind, contract, biases=False), contract, layout, names)
                if adapter is None or (plain.plan is not None and not plain.plan.kept):
                    return plain
            except Refused:
                pass
        if adapter is None:
            raise refused
        return adapter

    def _is_another_with_biases(self, kind: type, contract: Contract) -> bool:
        """Whether a class that was refused with biases is, with them, another component of such a name."""
        own = resemblance(kind, contract)
        others = [c for c in self.contracts if c.inside and c is not contract and resemblance(kind, c) >= max(own, 1)]
        for other in others:
            try:
                adapter = self._tried(Factory(kind, other), other, None, {})
            except Refused:
                continue
            if adapter.plan is not None and not adapter.plan.kept:
                return True
        return False

    def _tried(self, factory: Factory, contract: Contract, layout: str | None, names: Names) -> FoundModule:
        kind = factory.kind
        declaration = Declaration(contract.name, factory, None, layout, names, call=CallFound(None))
        found = f"found as the class {kind.__name__}"
        adapter = FoundModule(declaration, contract, kind, found, seconds=self.seconds)
        try:
            self._check(adapter, kind)
        except TimedOut as error:
            another = not resemblance(kind, contract) or may_be_another(kind, contract, self.contracts)
            if adapter.plan is None and another:
                self.timed_out[kind] = error
                raise Refused(str(error)) from None
            adapter.note_timed_out(error)
        return adapter

    def _check(self, adapter: FoundModule, kind: type) -> None:
        """Build the class and match its parameters. Raises Refused, and TimedOut where a trial call does not end."""
        if kind in self.timed_out:
            raise self.timed_out[kind]
        contract = adapter.contract
        refused_cases: list[Case] = []
        reason, other_sizes = "", False  # a hidden size of four times the width, one head alone: few cases have these
        for tried, case in enumerate(telling_cases(contract)):
            if tried >= MOST_CASES and not other_sizes:
                break
            try:
                adapter.trial(case.arguments)
            except NotSupported as error:  # sizes that it does not take say nothing of the others
                misfit = self._misfit_at_other_sizes(adapter, case)
                reason, other_sizes = reason or misfit or str(error), not misfit
                refused_cases += [case]
                continue
            except NotImplementedError:
                if may_be_another(kind, contract, self.contracts):
                    raise Refused("it is not written yet") from None
                return  # reported as to do when it is run
            except Exception as error:
                if is_slip(error) and resemblance(kind, contract):
                    return  # reported as a crash when it is run
                reason = why_not_built(error)
                continue
            reason, other_sizes = self._misfit_at(adapter, case)
            if not reason:
                return
        if not any(self._is_known_at(adapter, case) for case in refused_cases):
            raise Refused(reason)

    def _misfit_at(self, adapter: FoundModule, case: Case) -> tuple[str, bool]:
        """(what does not fit at the sizes of a case, whether only a size does not); an empty text where all fits."""
        contract, made = adapter.contract, adapter.trial(case.arguments)
        if not contract.arguments("parameter"):
            if any(True for _ in made.inner.parameters()):
                raise Refused("it has parameters")
            return "", False
        if untold := not_told(adapter.source, contract, adapter.read(case.arguments)):
            raise Refused(untold)
        plan = adapter.match(made.inner, case.arguments)
        if plan.fine and plan.matches:
            adapter.probe()
            adapter.plan = adapter.plan or plan
            return "", False
        return f"its parameters do not fit: {what_does_not_fit(plan)}", bool(plan.problems)

    def _is_known_at(self, adapter: FoundModule, case: Case) -> bool:
        """Whether all its parameters fit at the sizes of a case that has a setting which it does not take.

        Then it is the component, and is judged in cases without that setting, if there are any.
        """
        try:
            made = trial_call("building", adapter.source, self.seconds, adapter.fresh, case.arguments)
            plan = adapter.match(made.inner, case.arguments)
        except Exception:
            return False
        told = not not_told(adapter.source, adapter.contract, adapter.read(case.arguments))
        if not told or not plan.fine or not plan.matches or plan.kept or plan.lacking:
            return False
        adapter.know(plan, made, case)
        return True

    def _misfit_at_other_sizes(self, adapter: FoundModule, case: Case) -> str:
        """What of the parameters does not fit in a class that does not take all sizes; empty where they fit."""
        try:
            made = trial_call("building", adapter.source, self.seconds, adapter.fresh, case.arguments)
            plan = adapter.match(made.inner, case.arguments)
        except Exception:
            return ""
        if plan.problems:  # tensors of other sizes, which is what it was refused for
            return ""
        return "" if plan.fine and plan.matches else f"its parameters do not fit: {what_does_not_fit(plan)}"
