"""A failure that is none in a fresh instance: it depends on earlier calls. Which call, and what it changed.

The implementation is discovered anew, which imports its files again, and the failing case is the first that it is
given. Where it passes there, the calls before it are halved until one is left, with which it fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.core.case import Case
from harness.core.claim import About, Claim
from harness.core.errors import UsageError
from harness.core.formatting import describe
from harness.core.implementation import Request
from harness.core.record import Status, Verdict
from harness.execution.caching import CachingImplementation
from harness.execution.discovered import Discovered
from harness.judging.declared_forms import InDeclaredForms
from harness.judging.judge import Bench

if TYPE_CHECKING:
    from harness.judging.inspection import Inspection

MOST_SEARCHES = 2
"""Failing cases of a component that are tried in a fresh instance."""
MOST_CALLS = 64
"""Earlier requests that are looked at, the latest ones."""
FEW = (1, 2, 3)
"""Numbers of earlier requests that are tried first: what goes wrong in every third call has no first one."""
MOST_WORDS = 160
"""Characters of an earlier case that are told."""
SHOWN = 2
"""Names of what changed that are told."""


class EarlierCalls:
    """Tells of each component whether its failures depend on earlier calls.

    ``anew``: the implementation, imported again; None where it has no file to import.
    """

    def __init__(self, inspection: Inspection, anew: Callable[[], Discovered] | None) -> None:
        self.inspection, self.anew = inspection, anew
        self._told: dict[str, str] = {}
        self._searches: Counter[str] = Counter()
        implementation = inspection.implementation
        self._watched = implementation if isinstance(implementation, Discovered) and anew else None
        self._before = self._watched.kept() if self._watched is not None else None

    def may_depend(self, component: str) -> bool:
        """Whether its failures are known to depend on earlier calls, or may: its module does not hold what it held."""
        if self._told.get(component):
            return True
        watched = self._watched
        if watched is None or component not in watched.components or self._searches[component] >= MOST_SEARCHES:
            return False
        return bool(watched.changed_since(self._before, component))

    def behind(self, claim: Claim, verdict: Verdict) -> str:
        """What the failures of a component depend on, in words; empty where they do not."""
        component = verdict.component
        case = self.inspection.bench.smallest.get(verdict.case_id)
        told = self._told.get(component, "")
        if told or self.anew is None or case is None or verdict.status not in (Status.FAILED, Status.CRASHED):
            return told
        if {About.STATE, About.CONSISTENCY} <= claim.about:
            self._told[component] = self._kept_in_the_object(component, case)
        if not self._told.get(component) and self._searches[component] < MOST_SEARCHES:
            self._searches[component] += 1
            self.inspection.bench.progress(f"{component}: does it fail in a fresh instance")
            with suppress(UsageError, ImportError):
                self._told[component] = self._searched(component, claim, case)
        return self._told.get(component, "")

    def applied(self, verdict: Verdict) -> Verdict:
        """The verdict with what is known: a component that depends on earlier calls has no name."""
        told = self._told.get(verdict.component, "")
        return without_a_name(verdict, told) if told and verdict.failing else verdict

    def _kept_in_the_object(self, component: str, case: Case) -> str:
        """Which attributes of the object that is called change with every call."""
        names = self._attributes(component, case)
        verb = "changes" if len(names) == 1 else "change"
        return f"it depends on earlier calls: {_listed(names)} {verb} with every call" if names else ""

    def _attributes(self, component: str, case: Case) -> list[str]:
        implementation = self.inspection.implementation
        if not isinstance(implementation, Discovered):
            return []
        return implementation.changed_by_a_call(Request(component, case))

    def _searched(self, component: str, claim: Claim, case: Case) -> str:
        earlier = [o.request for o in self.inspection.observations.of(component)][-MOST_CALLS:]
        if self._fails(component, claim, case, ()):
            kept = self._kept_in_the_object(component, case)
            differs = kept and not all(self._fails(component, claim, case, earlier[:number]) for number in FEW)
            return kept if differs else ""
        if not self._fails(component, claim, case, earlier):
            told = self._kept_in_the_object(component, case)
            return told or "it depends on earlier calls: the same case passes in a fresh instance"
        passes, fails = 0, next((n for n in FEW if self._fails(component, claim, case, earlier[:n])), len(earlier))
        while fails - passes > 1:
            middle = (passes + fails) // 2
            if self._fails(component, claim, case, earlier[:middle]):
                fails = middle
            else:
                passes = middle
        last = earlier[fails - 1]
        alone = fails == 1 or self._fails(component, claim, case, [last])
        what = self._changed_by(component, [last] if alone else earlier[:fails]) or self._attributes(component, case)
        return self._in_words(component, last, 1 if alone else fails, what)

    def _in_words(self, component: str, last: Request, number: int, names: Sequence[str]) -> str:
        contract = self.inspection.catalogue.contracts[component]
        call = "one earlier call" if number == 1 else f"{number} earlier calls, of which the last is"
        told = f"it depends on earlier calls: the same case passes in a fresh instance, and fails after {call}"
        told += f" ({describe(last.case, MOST_WORDS, contract)})"
        return f"{told}. That call changes {_listed(names)}, which stays" if names else told

    def _fails(self, component: str, claim: Claim, case: Case, earlier: Sequence[Request]) -> bool:
        """Whether the claim fails on the case in a fresh instance that was given these requests before."""
        bench = self._bench()
        for request in earlier:
            bench.implementation.run(request)
        contract = self.inspection.catalogue.contracts[component]
        return bench.judge(contract, claim, shrink=False, only=(case,))[0].failing

    def _bench(self) -> Bench:
        """A bench with a fresh instance on it that has not been called."""
        inspection, bench = self.inspection, self.inspection.bench
        assert self.anew is not None
        contracts = inspection.catalogue.contracts
        fresh = Bench(
            contracts,
            CachingImplementation(InDeclaredForms(self.anew(), contracts, inspection.variants)),
            bench.reference,
            seed=inspection.seed,
            cases=inspection.cases,
            effort=inspection.effort,
            like=bench,
            edited=bench.edited,
            variants=inspection.variants,
        )
        fresh.follow(bench)
        return fresh

    def _changed_by(self, component: str, requests: Sequence[Request]) -> list[str]:
        """The names of what the last of these requests changes in the module that the component stands in."""
        assert self.anew is not None
        fresh = self.anew()
        implementation = InDeclaredForms(fresh, self.inspection.catalogue.contracts, self.inspection.variants)
        for request in requests[:-1]:
            implementation.run(request)
        before = fresh.kept()
        implementation.run(requests[-1])
        return fresh.changed_since(before, component)


def without_a_name(verdict: Verdict, told: str) -> Verdict:
    """The verdict with these words in the place of a name."""
    bare = replace(verdict, finding=(), or_else=(), covers=(), lines=())
    return replace(bare, message=told, explains=True, depends_on_earlier_calls=True)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names[:SHOWN])
