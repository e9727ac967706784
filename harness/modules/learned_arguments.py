"""What the forward of a class is given beside its input, learned on the first case that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.errors import CannotMatch
from harness.modules.forward_arguments import Called, WithMore, with_more
from harness.modules.forward_roles import Role, beside_the_input
from harness.modules.holder import Holder
from harness.modules.parameter_map import Plan
from harness.modules.telling_cases import telling_cases

MOST_CASES = 12
"""Cases on which the forms of arguments are tried."""


def learned_more(
    contract: Contract,
    plan: Plan,
    first: tuple[Holder, Case],
    build: Callable[[Mapping[str, Any]], Holder],
    called: Called,
) -> WithMore | None:
    """As ``with_more``, learned on the first case that shows it: an odd head size has no table of a rotation.

    ``first``: a module and the case that it was built for; ``build`` makes it for another. Says what it needs where no
    case shows more.
    """
    found: WithMore | None = None
    for case in (first[1], *telling_cases(contract)[:MOST_CASES]):
        try:
            holder = first[0] if case is first[1] else build(case.arguments)
            found = with_more(contract, plan, holder.inner, case, called)
            if found is None and _may_be_masked(contract, holder.inner):
                single = case.cast(torch.float32)  # it may run in that alone
                found = with_more(contract, plan, build(single.arguments).inner, single, called)
        except (NotSupported, CannotMatch):  # a case without a tensor that it has
            continue
        if found is None or not found.needs:
            break
    return found


def _may_be_masked(contract: Contract, module: nn.Module) -> bool:
    """Whether its forward takes a mask."""
    inputs = sum(not a.by_name for a in contract.arguments("input"))
    return any(m.role is Role.MASK for m in beside_the_input(module.forward, contract.forward_names, inputs))
