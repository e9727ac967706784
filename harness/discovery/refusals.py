"""Why a class is not the component that it was tried as, in words."""

from __future__ import annotations

from harness.modules.parameter_map import Plan
from harness.modules.size_names import CannotBuild


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
