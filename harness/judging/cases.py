"""The cases that the claims of a component are judged over: its telling set first, then fresh ones.

The fresh ones are generated once per component from the run's seed. A claim with a strategy of its own gets cases of
its own, of which some may be chosen too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.core.case import Case
from harness.core.claim import About, Claim
from harness.core.contract import Contract, Variant
from harness.core.implementation import Crash, CrashKind, Implementation, Request
from harness.core.measurement import Measure
from harness.core.note import NoteCode
from harness.core.quorum import Quorum
from harness.judging.bare import is_bare
from harness.judging.cases_given import CasesGiven
from harness.judging.telling import chosen_cases
from harness.judging.varied import POOL, with_missing_pairs
from harness.strategies.sampling import draw

USUAL_CASES = 50
"""Cases of a component whose contract states no other number."""
EFFORTS = {"quick": 0.08, "default": 1.0, "thorough": 5.0}
"""How many cases are judged, relative to what contracts and claims state: a first look, a run, a night."""
FRESH = 0.4
"""However many cases were chosen beforehand, fresh ones follow: no code can be made to fit these alone. In a usual run
this share of what is judged where none were chosen: known mistakes, rare inputs and edges are in those already."""
FEW, FEWEST = 4, 2
"""However quick: at least this many cases of a component, and of a claim that asks for few."""
WIDER, WIDEST = 4, 80
"""Where cases are left out, or none of them can tell enough, so many times more are generated to choose from, and so
many where these do not suffice: of a quick run's few cases, a class of one ratio of sizes took one in five."""


class GeneratedCases:
    """The cases of every component, without those that the implementation does not take.

    ``count``: how many to generate per component (None: the contract's number, scaled by ``effort``). ``variants``:
    legal forms that were declared, by component. ``note(contract, code, text)`` receives what was left out. ``like``:
    generated cases with the same seed, which are shared.
    """

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        implementation: Implementation,
        reference: Implementation,
        *,
        seed: int,
        count: int | None,
        effort: str,
        variants: Mapping[str, str],
        note: Callable[[Contract, NoteCode, str], None],
        like: GeneratedCases | None = None,
    ) -> None:
        self.contracts, self.implementation, self.reference = contracts, implementation, reference
        self.seed, self.count, self.effort, self.variants, self.note = seed, count, effort, variants, note
        self._generated: dict[tuple[Any, ...], tuple[Case, ...]] = like._generated if like else {}
        self._of: dict[tuple[str, str], tuple[Case, ...]] = {}
        self._shared: set[str] = set()
        self.given: dict[str, CasesGiven] = {}
        """By component, what became of the cases that all claims share."""
        self.bare_refused: set[str] = set()
        """Components whose optional parameters must all be there: GPT-2 has them, and a bias-less form is not
        required."""

    def of(self, contract: Contract, claim: Claim | None = None) -> tuple[Case, ...]:
        """The cases a claim is judged over: its own where it brings some, the component's otherwise."""
        strategy, own = self.strategy(contract, claim)
        key = (contract.name, claim.name if own and claim else "")
        if key not in self._of:
            self._of[key] = self._taken(contract, strategy, key, claim if own else None)
            if not own:
                self._shared |= {case.key for case in self._of[key]}
        return self._of[key] if claim is None else self._ordered(contract, self._of[key], claim, own)

    def _ordered(self, contract: Contract, cases: tuple[Case, ...], claim: Claim, own: bool) -> tuple[Case, ...]:
        """For one claim: first the cases that few others of its can stand for, and as many as it takes.

        Sizes at the edges of blocks are for agreement with the reference alone, which looks at all numbers. So are most
        cases of a quick run, which also the component's own claims are judged on.
        """
        first = [c for c in cases if c.chosen and (own or claim.test in c.chosen.needed_by)]
        compares = own or About.NUMBERS in claim.about
        others = [c for c in cases if c not in first and (compares or not (c.chosen and c.chosen.is_edge))]
        is_short = self.effort == "quick" and not self.count and not compares
        if is_short and not any(claim is its_own for its_own in contract.claims):
            others = others[:FEW]
        cases = (*first, *others) or cases
        if not claim.max_cases:
            return cases
        most = max(self._most(claim), len(first))
        return cases[: min(most, claim.max_cases) if claim.false_alarm else most]

    def is_shared(self, case: Case) -> bool:
        """Whether all claims of its component are judged over this case."""
        return case.key in self._shared

    def of_measure(self, contract: Contract, measure: Measure) -> Case:
        """The one case that something is measured on."""
        if measure.cases is None:
            return self.of(contract)[0]
        key = (contract.name, f"measure {measure.name}", 1)
        if key not in self._generated:
            self._generated[key] = tuple(draw(measure.cases(), self.seed, 1))
        return self.restricted(contract, self._generated[key][0])

    def strategy(self, contract: Contract, claim: Claim | None) -> tuple[Callable[[], Any], bool]:
        """Where a claim's cases come from, and whether they are its own."""
        if claim is not None and claim.cases is not None:
            return claim.cases, True
        if claim is not None and "invalid" in claim.tags:
            assert contract.invalid is not None, f"{contract.name} has no invalid cases"
            return contract.invalid, True
        return contract.cases, False

    def size(self, contract: Contract) -> int:
        """How many cases. Components whose cases are expensive state fewer; their number grows in proportion only."""
        usual = contract.case_count
        if not self.count:
            return max(round(usual * EFFORTS[self.effort]), min(usual, FEW))
        return self.count if self.count <= usual else max(usual, usual * self.count // USUAL_CASES)

    def _total(self, contract: Contract, strategy: Callable[[], Any], claim: Claim | None) -> int:
        """How many cases in all, fresh ones always: a telling set is chosen in the default forms and spares none in
        others."""
        most = self.size(contract)
        if claim and claim.max_cases:
            most = min(most, self._most(claim))
        chosen = len(chosen_cases(contract, strategy)[0])
        if self.count or not chosen:
            return most
        is_spared = self.effort == "default" and not self.declared(contract)
        return chosen + max(round(most * (FRESH if is_spared else 1.0)), FEWEST)

    def more(self, contract: Contract, count: int) -> tuple[Case, ...]:
        """So many cases of a component, whatever a run's effort, in the declared form; its own ones are among them."""
        return self._generate(contract, contract.cases, (contract.name, ""), count)

    def restricted(self, contract: Contract, case: Case) -> Case:
        """The case without the optional parameters that the implementation does not have (a bias-less model, say)."""
        offer = self.implementation.offers(contract.name)
        return case.without(offer.absent) if offer is not None and offer.absent else case

    def declared(self, contract: Contract) -> list[Variant]:
        """The legal forms that were declared of a component and of what it is made of."""
        own = list(contract.legal.in_text(self.variants.get(contract.name, "")))
        parts = [self.contracts[part] for part in contract.parts if part in self.contracts]
        return own + [variant for part in parts for variant in self.declared(part)]

    def fits_declared_forms(self, contract: Contract, case: Case) -> bool:
        """Whether the declared forms allow a case (an odd size is not allowed where features are paired, say)."""
        return not self.declared(contract) or self.reference.run(Request(contract.name, case)).crash is None

    def is_refused_bare(self, contract: Contract, case: Case) -> bool:
        """Whether the implementation refuses this case because an optional parameter is None."""
        return contract.name in self.bare_refused and is_bare(contract, case)

    def _taken(
        self, contract: Contract, strategy: Callable[[], Any], key: tuple[str, str], claim: Claim | None
    ) -> tuple[Case, ...]:
        """The cases of a claim (None: of the component) that the implementation takes."""
        most = self._total(contract, strategy, claim)
        raises = claim is not None and "invalid" in claim.tags
        generated = self._generate(contract, strategy, key, most)
        cases = self._offered(contract, generated, raises, tell=claim is None)
        if not raises and most < contract.case_count and self._are_all_refused_bare(contract, cases):
            # So few that none has all its optional parameters: whether bare ones are refused must be seen in more.
            more = self._generate(contract, strategy, key, contract.case_count)
            cases = self._offered(contract, more, tell=claim is None)[:most]
        elif not raises and (
            len(cases) < len(self._generated[(strategy, *key, most)])
            or not all(self.fits_declared_forms(contract, case) for case in cases[:1])
            or (claim is None and self._says_little(contract, cases))
        ):
            # Where the first is none that the declared form allows, so few were generated that it allows none of them.
            cases = self._wider(contract, strategy, key, claim, most)
            if claim is None and self.given[contract.name].given:
                self.given[contract.name].keep(cases)
        if contract.name in self.given and claim is None:
            self.given[contract.name].wanted = most
        return cases

    def _wider(
        self,
        contract: Contract,
        strategy: Callable[[], Any],
        key: tuple[str, str],
        claim: Claim | None,
        most: int,
    ) -> tuple[Case, ...]:
        """So many cases that the implementation takes, chosen from more; from more again while there are too few."""
        cases: tuple[Case, ...] = ()
        for size in dict.fromkeys((WIDER * most, max(WIDER * most, WIDEST))):
            more = self._generate(contract, strategy, key, size)
            cases = self._chosen(contract, self._offered(contract, more, tell=claim is None), most)
            if len(cases) == most and (claim is not None or not self._says_little(contract, cases)):
                break
        return cases

    def _says_little(self, contract: Contract, cases: tuple[Case, ...]) -> bool:
        """Whether none of these cases is taken, or none can tell what a pass of the component must rest on."""
        return not self.given[contract.name].given or bool(self._untold(contract, cases))

    def _untold(self, contract: Contract, cases: tuple[Case, ...]) -> list[Quorum]:
        """What none of these cases has that a pass of the component must rest on."""
        return [quorum for quorum in contract.quorum if not any(map(quorum.tells, cases))]

    def _chosen(self, contract: Contract, cases: tuple[Case, ...], most: int) -> tuple[Case, ...]:
        """So many of these cases: the first ones, but for one of those that can tell what the first ones cannot."""
        telling: list[Case] = []
        for quorum in self._untold(contract, cases[:most]):
            found = next((case for case in cases[most:] if quorum.tells(case)), None)
            if found is not None and not any(map(quorum.tells, telling)):
                telling.append(found)
        return (*cases[: most - len(telling)], *telling)

    def _generate(
        self, contract: Contract, strategy: Callable[[], Any], key: tuple[str, str], most: int
    ) -> tuple[Case, ...]:
        """So many cases, without the parameters that the implementation does not have, in the declared form.

        Cases that a declared form does not allow are left out; all stay where it allows none: those must be refused.
        """
        place = (strategy, *key, most)  # a component that is run on a whole model has other cases than elsewhere
        if place not in self._generated:
            self._generated[place] = self._drawn(contract, strategy, most, bool(key[1]))
        cases = tuple(self.restricted(contract, case) for case in self._generated[place])
        return tuple(case for case in cases if self.fits_declared_forms(contract, case)) or cases

    def _drawn(self, contract: Contract, strategy: Callable[[], Any], most: int, own: bool) -> tuple[Case, ...]:
        """The telling set, fresh cases, and pairs of options that these miss; a number that was asked for is all fresh.

        ``own``: for a claim with a strategy of its own, which has no such pairs added.
        """
        chosen, missing = ((), "") if self.count else chosen_cases(contract, strategy)
        if missing:
            self.note(contract, NoteCode.TELLING_SET, missing)
        known, number = {case.key for case in chosen}, most - len(chosen) if chosen else most
        is_usual = self.effort == "default" and not self.count and most <= contract.case_count + len(chosen)
        varies = is_usual and not own
        pool = list(draw(strategy(), self.seed, POOL * contract.case_count if varies else number)) if number else []
        cases = (*chosen, *(case for case in pool[:number] if case.key not in known))
        return with_missing_pairs(cases, pool) if varies else cases

    def _are_all_refused_bare(self, contract: Contract, cases: tuple[Case, ...]) -> bool:
        """Whether every case lacks an optional parameter, and every one raises (not: none of them can be given)."""
        crashes = (is_bare(contract, c) and self.implementation.run(Request(contract.name, c)).crash for c in cases)
        return all(crash and not crash.kind.says_nothing for crash in crashes)

    def _offered(
        self, contract: Contract, cases: tuple[Case, ...], raises: bool = False, tell: bool = False
    ) -> tuple[Case, ...]:
        """Without the cases that the implementation does not take (an option it lacks); all where it takes none.

        ``raises``: these are cases that must be refused, so that a crash tells nothing about what it takes. ``tell``:
        keep what became of them.
        """
        taken: list[tuple[Case, Crash | None]] = []
        became = CasesGiven(cases)
        if tell:
            self.given[contract.name] = became
        for case in cases:
            case, crash = self._as_it_is_taken(contract, case)
            if crash is not None and crash.kind in (CrashKind.TIMED_OUT, CrashKind.TO_DO):
                return cases
            if crash is None or not crash.kind.says_nothing:
                taken.append((case, crash))
            else:
                became.refused.append((case, crash.message))
        if not raises and not any(crash for case, crash in taken if not is_bare(contract, case)):
            refused = [crash for case, crash in taken if crash and is_bare(contract, case)]
            if refused and len(refused) < len(taken):
                self.bare_refused.add(contract.name)
                why = f"it does not take None for an optional parameter ({refused[0].error}); judged without"
                self.note(contract, NoteCode.OPTIONAL_PARAMETERS, why)
        if contract.name in self.bare_refused:
            bare = [(case, crash) for case, crash in taken if crash and is_bare(contract, case)]
            became.refused += [(case, "an optional parameter is None") for case, _ in bare]
            taken = [pair for pair in taken if pair not in bare]
        return tuple(case for case, _ in taken) or cases

    def _as_it_is_taken(self, contract: Contract, case: Case) -> tuple[Case, Crash | None]:
        """The case, and what the implementation raises; without tensors that it was just seen not to have."""
        crash = self.implementation.run(Request(contract.name, case)).crash
        if crash is not None and crash.kind is CrashKind.NOT_SUPPORTED:
            without = self.restricted(contract, case)
            if without.key != case.key:
                return without, self.implementation.run(Request(contract.name, without)).crash
        return case, crash

    def _most(self, claim: Claim) -> int:
        """How many cases a claim is judged on at most; a random claim never on more, since each has odds of its own."""
        most = claim.max_cases or 0
        share = min(EFFORTS[self.effort], 1.0) if claim.false_alarm else EFFORTS[self.effort]
        return max(round(most * share), min(most, FEWEST))
