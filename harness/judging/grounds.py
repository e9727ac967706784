"""What the verdicts on a component rest on, as far as the run has come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core.case import Case
from harness.core.contract import Contract
from harness.core.grounds import Grounds
from harness.execution.discovered import Discovered
from harness.judging.cases_given import CasesGiven
from harness.judging.inspection import Inspection
from harness.judging.structural import structure_of

PLAIN = (bool, int, float, str, type(None))


def grounds_of(inspection: Inspection, component: str) -> Grounds:
    """How much was given of what was generated, what never was, and which lines were not reached."""
    contract = inspection.catalogue.contracts[component]
    executor = inspection.implementation
    if not isinstance(executor, Discovered) or component not in executor.components:
        return Grounds(component)
    if (misfit := executor.plug_in(component)).needs:
        said = str(structure_of(inspection, component))
        return Grounds(component, structure=said, needs=misfit.needs, plug_in=misfit.lines)
    cases = inspection.bench.generated.given.get(component, CasesGiven(()))
    unreached, runs = executor.unreached(component)
    return Grounds(
        component,
        generated=len(cases.generated),
        given=len(cases.given),
        refused=cases.reasons(),
        unmet=tuple(q.case for q in contract.quorum if cases.generated and not any(map(q.tells, cases.given))),
        never_given=executor.never_given(component),
        never_varied=_never_varied(contract, cases),
        unreached=unreached,
        runs_watched=runs,
    )


def _never_varied(contract: Contract, cases: CasesGiven) -> tuple[str, ...]:
    """``name=value`` of sizes and settings that the generated cases vary, and the given ones do not."""
    if not cases.given or not cases.refused:
        return ()
    settings = {a.name for a in contract.arguments("setting")}
    generated, given = _values(cases.generated, settings), _values(cases.given, settings)
    stuck = {name: values for name, values in given.items() if len(values) == 1 and len(generated[name]) > 1}
    return tuple(f"{name}={next(iter(values))}" for name, values in sorted(stuck.items()))


def _values(cases: Iterable[Case], settings: set[str]) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = {}
    for case in cases:
        plain = {n: v for c in case.calls for n, v in c.arguments.items() if n in settings and isinstance(v, PLAIN)}
        for name, value in {**plain, **case.dimensions}.items():
            found.setdefault(name, set()).add(value)
    return found
