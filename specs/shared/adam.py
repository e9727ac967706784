"""Claims about every AdamW, whatever the precision of its moments. A sheet adds its cases and the mistake."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.measurement import Measurement
from specs.shared.optimizers import building, gradients_of, interrupted, stepping, with_calls

LONGEST_STEP = 8.0
"""In units of lr, the sum of the absolute terms of one step: (1 - b1) / sqrt(1 - b2) / sqrt(1 - b1**2 / b2) is 7.4 for
betas of 0.9 and 0.999, and less for the other betas of the cases."""
ROUNDINGS = 64.0
"""Rounding errors between two ways to compute one number: eight operations in each of five steps, with a margin."""


def ended(trial: Trial, case: Case | None = None) -> list[torch.Tensor]:
    """The parameters after the last step, checked to be as many tensors of the same shapes."""
    value: Any = trial.run(case).value
    given = trial.case.calls[0].arguments["params"] if case is None else None
    if not isinstance(value, (list, tuple)) or not all(torch.is_tensor(param) for param in value):
        raise Violation("step() must return the parameters after the step: a list of tensors")
    if given is not None and [p.shape for p in value] != [p.shape for p in given]:
        raise Violation("step() must return as many parameters as build() was given, in the same shapes")
    return list(value)


def rounding(trial: Trial, case: Case) -> float:
    """The largest difference that rounding explains between two ways to compute the same parameters."""
    build = case.calls[0].arguments
    groups: list[dict[str, Any]] = build["groups"] or [{}]
    rates: list[float] = [group.get("lr", build["lr"]) for group in groups]
    size = max(float(param.abs().max()) for param in build["params"])
    steps = sum(call.method == "step" for call in case.calls)
    epsilon: float = torch.finfo(trial.dtype).eps
    return ROUNDINGS * epsilon * (size + LONGEST_STEP * max(rates) * steps)


def same(trial: Trial, one: Case, other: Case, what: str, places: tuple[list[int], list[int]] | None = None) -> None:
    """The implementation ends two scripts with the same parameters; ``places``: which of one are which of the other."""
    first, second, bound = ended(trial, one), ended(trial, other), rounding(trial, trial.case)
    for i, j in zip(*(places or (range(len(first)), range(len(second)))), strict=True):
        trial.close(first[i], second[j], bound, f"{what}, parameter {i}")


@claim("every parameter group uses its own learning rate and weight decay")
def groups_keep_their_own_settings(trial: Trial) -> None:
    """Each group, alone in an optimizer that gets its settings in build(), ends where it ends among the others."""
    build = trial.case.calls[0].arguments
    groups: list[dict[str, Any]] = build["groups"]
    for group in groups:
        places = list(group["params"])
        own = {name: value for name, value in group.items() if name != "params"}
        params = [build["params"][place] for place in places]
        steps = [stepping([grads[place] for place in places]) for grads in gradients_of(trial.case)]
        alone = with_calls(trial.case, building(trial.case, params=params, groups=None, **own), *steps)
        same(trial, trial.case, alone, "compared with its group alone", (places, list(range(len(places)))))


@claim("parameters and gradients that are stored transposed are updated alike")
def stored_transposed_moves_the_same(trial: Trial) -> None:
    """A transposed or tied weight is a view: its numbers lie in another order in memory than its rows say.

    Code that refuses both with an error gives nobody a wrong number.
    """
    build, steps = trial.case.calls[0].arguments, gradients_of(trial.case)
    if not any(min(param.shape, default=1) > 1 and param.dim() > 1 for param in build["params"]):
        trial.not_applicable()
    params, refused = [_stored_transposed(param) for param in build["params"]], list[str]()
    for which, start in (("gradients", building(trial.case)), ("parameters", building(trial.case, params=params))):
        moved = [stepping([None if grad is None else _stored_transposed(grad) for grad in grads]) for grads in steps]
        case = with_calls(trial.case, start, *moved)
        crash = trial.attempt(case).crash
        if crash is None:
            same(trial, case, trial.case, f"with {which} stored transposed")
        else:
            refused.append(f"it raises {crash.error} for {which} stored transposed")
    if len(refused) == 2:
        raise NotSupported(refused[0])


def _stored_transposed(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers at the same indices, with the first two axes exchanged in memory."""
    return tensor.transpose(0, 1).contiguous().transpose(0, 1) if tensor.dim() > 1 else tensor


@claim("a parameter without a gradient does not move", aliases=("missing_gradient_leaves_the_parameter",))
def parameter_without_gradient_is_unchanged(trial: Trial) -> None:
    """It stays bit-identical: neither momentum nor weight decay moves it."""
    outputs = trial.run().outputs
    before = trial.case.cast(trial.dtype).calls[0].arguments["params"]
    for at, grads in enumerate(gradients_of(trial.case)):
        for place, grad in enumerate(grads):
            after = outputs[1 + at][place]
            if grad is None and not torch.equal(after, before[place]):
                what = f"parameter {place} has no gradient in step {at + 1} but moves"
                raise Violation(what, worst=_first_move(before[place], after))
        before = outputs[1 + at]


def _first_move(before: torch.Tensor, after: torch.Tensor) -> str:
    at = int((before != after).reshape(-1).nonzero()[0])
    return f"out[{at}] = {float(after.reshape(-1)[at]):.9g}, it was {float(before.reshape(-1)[at]):.9g}"


@claim(
    "a step without a gradient does not change a parameter's moments or step count",
    aliases=("missing_gradient_leaves_the_state",),
)
def step_without_gradient_keeps_state(trial: Trial) -> None:
    """A parameter goes on as if the steps without its gradient had not happened."""
    build, gaps = trial.case.calls[0].arguments, 0
    settings_of = {place: group for group in build["groups"] or () for place in group["params"]}
    for place, param in enumerate(build["params"]):
        had = [grads[place] for grads in gradients_of(trial.case) if grads[place] is not None]
        if len(had) == len(gradients_of(trial.case)) or not had:
            continue
        gaps += 1
        own = {name: value for name, value in settings_of.get(place, {}).items() if name != "params"}
        start = building(trial.case, params=[param], groups=None, **own)
        alone = with_calls(trial.case, start, *(stepping([grad]) for grad in had))
        same(trial, trial.case, alone, "compared with a run without the steps that had no gradient", ([place], [0]))
    if not gaps:
        trial.not_applicable()


@claim("a run resumed from saved state ends like an uninterrupted one")
def resuming_changes_nothing(trial: Trial) -> None:
    """The state is saved after each of the steps in turn, and loaded by a new optimizer."""
    for after in range(1, len(trial.case.calls) - 1):
        same(trial, interrupted(trial.case, after), trial.case, f"resumed after step {after}")


def state_bytes(trial: Trial) -> Measurement:
    """Bytes that the optimizer keeps beside parameters and gradients, after one step."""
    numbers = trial.case.calls[0].arguments["params"][0].numel()
    held = trial.run(dtype=torch.float32, weigh=True).facts["bytes"]
    each = (held - 4 * numbers) / numbers
    how = f"bytes of all tensors it holds after one step on {numbers} float32 numbers ({held:g}), minus the parameters"
    return Measurement(f"its state takes {each:.3g} bytes per float32 parameter", how, each, "bytes per parameter")
