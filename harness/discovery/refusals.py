"""Why a class is not the component that it was tried as, in words."""

from __future__ import annotations

from harness.core.contract import Contract
from harness.core.parameters import parameters_of
from harness.modules.parameter_map import Plan
from harness.modules.size_names import CannotBuild


def takes_its_arrays(kind: type, contract: Contract) -> str:
    """What to write for a class that is no torch module and is given its learned arrays; empty where it makes them."""
    if not hasattr(kind, "own_class") or not contract.is_function:
        return ""
    learned = contract.arguments("parameter")
    known = {name for a in learned for name in (a.name, *a.aliases, *(n for s in a.slices.values() for n in s))}
    required = [p.name for p in parameters_of(kind) or () if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if not required or required[0] not in known:
        return ""
    given = ", ".join(a.name for signature in contract.calls.values() for a in signature.arguments)
    return (
        f"its constructor takes its arrays ({', '.join(required)}). To have it checked, write a function: "
        f"def {contract.name}({given}): return {kind.__name__}(...)(...)"
    )


def why_not_built(error: Exception) -> str:
    """What its constructor raised."""
    if isinstance(error, CannotBuild):
        return f"it cannot be built: {error}"
    return f"building it raised {type(error).__name__}: {error}"


def what_does_not_fit(plan: Plan) -> str:
    """What of the parameters does not fit."""
    if plan.problems:
        return plan.problems[0]
    lacking = ", ".join(dict.fromkeys(slot.label for slot in plan.missing))
    beside = ", ".join(extra.pattern for extra in plan.surplus[:6])
    parts = (f"it has no {lacking}" if lacking else "", f"it has {beside} beside" if beside else "")
    return "; ".join(filter(None, parts))
