"""Transposed, strided and expanded inputs give the numbers of the same values laid out in order.

Code that refuses them with an error (a ``view`` of its input, say) does not offer them: nobody gets a wrong number.
"""

from typing import Any

import torch

from harness.claims._sabotage import Arguments, Call
from harness.core.case import Case
from harness.core.claim import About, Claim, NotSupported, Trial
from harness.core.implementation import Request


def non_contiguous_arguments(trial: Trial) -> None:
    applied = False
    refused: list[str] = []
    accepted = 0

    def compare(case: Case, expected: Any, tolerance: Any, what: str) -> None:
        nonlocal accepted
        answer = trial.attempt(case)
        if answer.crash is not None:
            refused.append(answer.crash.error)
            return
        accepted += 1
        trial.close(answer.outputs, expected, tolerance, what)

    for name in (a.name for a in trial.contract.arguments("input")):
        value = trial.case.arguments.get(name)
        if not torch.is_tensor(value) or value.dim() == 0 or value.numel() < 2:
            continue
        applied = True
        plain = trial.run().outputs
        spaced = trial.case.strided(**{name: _spaced(value)})
        compare(spaced, plain, trial.spread(), f"with every second element of a larger {name}, out")
        if value.dim() >= 2:
            transposed = trial.case.strided(**{name: value.transpose(0, 1).contiguous().transpose(0, 1)})
            compare(transposed, plain, trial.spread(), f"with {name} stored transposed, out")
            repeated = value[:1].expand(value.shape)
            laid_out = trial.case.changed(**{name: repeated})
            expanded = trial.case.strided(**{name: repeated})
            compare(
                expanded,
                trial.run(laid_out).outputs,
                trial.spread(laid_out),
                f"with {name} expanded from one row, out",
            )
    if not applied:
        trial.not_applicable()
    if refused and not accepted:
        raise NotSupported(f"it accepts contiguous inputs only ({refused[0]} otherwise)")


def _spaced(value: torch.Tensor) -> torch.Tensor:
    wide = value.new_zeros((*value.shape[:-1], 2 * value.shape[-1]))
    wide[..., ::2] = value
    return wide[..., ::2]


def reads_memory_in_order(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    wrong = {}
    for name, value in arguments.items():
        strided = torch.is_tensor(value) and not value.is_contiguous()
        wrong[name] = torch.zeros_like(value, memory_format=torch.contiguous_format) if strided else value
    return call(wrong)


CLAIM = Claim(
    "non_contiguous_arguments",
    "transposed, strided and expanded inputs give the same outputs",
    non_contiguous_arguments,
    needs=lambda contract: (
        contract.agrees
        and (contract.is_function or bool(contract.rows))
        and any(a.has_elements for a in contract.arguments("input"))
    ),
    sabotage=reads_memory_in_order,
    max_cases=25,
    about=frozenset({About.CONSISTENCY}),
)
