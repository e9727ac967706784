"""A change of the implementation's file that fixes a component, and the proof: every check passes with it."""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.change import Change, ProvenChange, merged
from harness.core.implementation import Implementation
from harness.core.marked_line import MarkedLine
from harness.core.record import Status, Verdict
from harness.core.spent import processor_seconds
from harness.execution.discovered import Discovered
from harness.execution.run_lines import Lines
from harness.judging.declared_forms import InDeclaredForms
from harness.judging.lines import Located
from harness.localisation.by_change import FEW, lines_by_change
from harness.localisation.experiment import Sample
from harness.localisation.repair.candidates import changes
from harness.localisation.repair.search import find_fixes

if TYPE_CHECKING:
    from harness.judging.inspection import Inspection

SECONDS = 6.0
"""Processor seconds for the search at one wrong line."""
SECONDS_FOR_A_LINE = 3.0
"""... and where every line that runs may be the wrong one."""
MOST_PROOFS = 6
"""Changes that are right on the violating cases, and are then judged by every claim."""
CASES = 3
EPSILONS = (1e-5, 1e-6, 1e-8)
"""Numbers that are arguments of the reference, and written down in many implementations."""
LIMIT = 1.0
"""Processor seconds for one case with a change in force: what a change does to a loop is not known."""
LOOP_FACTOR, SHORTEST_LIMIT = 10, 0.04
"""... and where lines of a loop are changed, which often makes one without an end: so many times what the case took."""


@dataclass(frozen=True)
class Proven:
    """Changes, one a file, that fix a component. ``held``: how many checks pass with them, of how many that were
    judged (``run``); none fails."""

    component: str
    changes: tuple[Change, ...]
    held: int
    run: int

    def in_record(self, folder: Path) -> ProvenChange:
        """As a verdict holds it, with paths below ``folder``."""
        return ProvenChange("".join(change.diff(folder) for change in self.changes), self.held, self.run)


class Changes:
    """Finds a proven change of each component that fails. Nothing is written."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self._found: dict[str, Proven | None] = {}
        self._failing: dict[str, list[Verdict]] = {}

    def of(self, component: str) -> Proven | None:
        """The smallest change with which every claim of a component holds that can; None where none was found."""
        if component not in self._found:
            self._found[component] = self._proven(component)
        return self._found[component]

    def of_all(self, components: Sequence[str], seconds: float) -> Iterator[tuple[str, Proven | None]]:
        """These components, parts before composites, each with a change where there is one. What fixes the parts of a
        composite is tried first on that. ``seconds``: processor seconds after which no other component is begun."""
        found: dict[str, Proven] = {}
        deadline = processor_seconds() + seconds
        for component in components:
            if processor_seconds() > deadline:
                return
            below = [found[part] for part in self._below(component) if part in found]
            together = merged(change for one in below for change in one.changes)
            proven = (self.with_these(component, together) if together else None) or self.of(component)
            if proven is not None:
                found[component] = proven
            yield component, proven

    def _below(self, component: str) -> list[str]:
        """What a component is made of, directly or not."""
        parts = self.inspection.catalogue.contracts[component].parts
        return list(dict.fromkeys(name for part in parts for name in (part, *self._below(part))))

    def with_these(self, component: str, chosen: Sequence[Change]) -> Proven | None:
        """These changes with what every claim of a component says of them; None where they do not fix it."""
        return self._proof(component, tuple(chosen)) if chosen else None

    def lines_by_change(
        self, component: str, wrong: Sequence[Sample], right: Sequence[Sample]
    ) -> tuple[MarkedLine, ...]:
        """The line of a component whose change makes the wrong answers right, and leaves the right ones so."""
        discovered, implementation = self.inspection.implementation, self.inspection.bench.implementation
        if not isinstance(discovered, Discovered) or not wrong:
            return ()

        def ran(sample: Sample) -> Lines:
            return discovered.lines_of(lambda: implementation.run(replace(sample.request, fresh=True)))

        def seconds(sample: Sample) -> float:
            started = processor_seconds()
            implementation.run(replace(sample.request, fresh=True))
            return processor_seconds() - started

        quick_first = sorted(((seconds(one), n) for n, one in enumerate(wrong)))
        limit = max(LOOP_FACTOR * quick_first[min(FEW, len(wrong)) - 1][0], SHORTEST_LIMIT)
        made = partial(self._made, (), limit=limit)
        chosen = [wrong[n] for _, n in quick_first]
        numbers, collects = self._numbers_of(component), gc.isenabled()
        gc.disable()  # a collection takes longer than most cases, and a right change would be taken for an endless loop
        try:
            return lines_by_change(chosen, right, ran, made, numbers, SECONDS_FOR_A_LINE)
        finally:
            if collects:
                gc.enable()

    def failing(self, component: str) -> list[Verdict]:
        """The verdicts of a component that fail as it stands."""
        if component not in self._failing:
            claims = self.inspection.catalogue.claims_of(component)
            verdicts = (self.inspection._judged(component, claim)[0] for claim in claims)
            self._failing[component] = [verdict for verdict in verdicts if verdict.failing]
        return self._failing[component]

    def _proven(self, component: str) -> Proven | None:
        groups = self.inspection.lines.groups(component)
        if not groups or not isinstance(self.inspection.implementation, Discovered):
            return None
        for chosen in islice(self._chosen(component, groups, ()), MOST_PROOFS):
            proven = self._proof(component, chosen)
            if proven is not None:
                return proven
        return None

    def _chosen(
        self, component: str, groups: Sequence[Located], before: tuple[Change, ...]
    ) -> Iterator[tuple[Change, ...]]:
        """Changes that together answer the violating cases rightly: one for each group of lines, in any file."""
        first, *rest = groups
        numbers = self._numbers_of(component)
        fixed = {change.file: change for change in before}
        candidates = changes(first.lines, numbers, fixed)
        made = partial(self._made, before)
        for change in find_fixes(candidates, made, first.samples[:CASES], SECONDS):
            chosen = _beside(before, change)
            if not rest:
                yield chosen
            else:
                yield from self._chosen(component, rest, chosen)

    def _numbers_of(self, component: str) -> list[float]:
        """The numbers in the reference of a component and of its parts, and those that an epsilon is."""
        contracts = self.inspection.catalogue.contracts
        sources = [contracts[name].reference for name in (component, *self._below(component))]
        return list(dict.fromkeys([*(number for one in sources for number in _numbers(one)), *EPSILONS]))

    def _made(self, before: Sequence[Change], change: Change, limit: float = LIMIT) -> Implementation | None:
        """The implementation with changes in force; None where they cannot be without importing its files again."""
        inspection = self.inspection
        executor = self._changed(_beside(before, change), limit)
        if executor is None:
            return None
        return InDeclaredForms(executor, inspection.catalogue.contracts, inspection.variants)

    def _changed(self, chosen: Sequence[Change], limit: float = LIMIT) -> Discovered | None:
        implementation = self.inspection.implementation
        assert isinstance(implementation, Discovered)
        return implementation.with_files_changed(chosen, limit)

    def _proof(self, component: str, chosen: tuple[Change, ...]) -> Proven | None:
        """The changes, where every claim that says anything holds with them."""
        executor = self._changed(chosen, limit=10 * LIMIT)
        if executor is None:
            return None
        self.inspection.bench.progress(f"{component}: trying a change on every check")
        judged = replace(self.inspection, implementation=executor, like=self.inspection, findings={})
        held = run = 0
        for claim in judged.catalogue.claims_of(component):
            verdict, _ = judged._judged(component, claim)
            held += verdict.status == Status.PASSED
            run += verdict.status.is_judged
            if verdict.failing:
                return None
        return Proven(component, chosen, held, run) if held else None


def _beside(before: Sequence[Change], change: Change) -> tuple[Change, ...]:
    """The changes of other files, and this one, which has those of its own file in it."""
    return (*(one for one in before if one.file != change.file), change)


def _numbers(reference: Callable[..., Any]) -> list[float]:
    """The numbers in the reference's source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(reference)))
    except (OSError, TypeError, SyntaxError):
        return []
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return list(dict.fromkeys(numbers))
