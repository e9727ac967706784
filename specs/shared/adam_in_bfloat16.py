"""AdamW on bfloat16 parameters: what rounding them explains, and what it does not.

Nobody has to keep a master copy in float32, or to round at random: torch.optim.AdamW does neither, and loses every
step and every decay that is shorter than half the distance between two bfloat16 numbers. What is longer must arrive.
And where shorter steps arrive, because a copy is kept or rounding is random, shorter decays must arrive too.
"""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.implementation import Answer
from harness.strategies.tensors import make, parameters, seeds
from specs.shared.optimizers import script

EPSILON = float(torch.finfo(torch.bfloat16).eps)
"""The distance between two bfloat16 numbers is at most this times the smaller one."""
ROUNDINGS_OF_A_PARAMETER = 2.0
"""Distances that one step may lose: it rounds after the decay and after the move, by half a distance each. Doubled."""
ROUNDINGS_OF_A_MOVE = 8.0
"""Epsilons of lr that one step may lose: moments, root, quotient and product round by half an epsilon each, those of
earlier steps enter again. The worst measured over nine right forms, 400 cases each, is 0.35 of the whole bound."""
SHORT_STEPS, DISTANCES = 32, 4.0
"""So many steps, which move a parameter of 1.5 by so many distances together: each by an eighth of one."""


def answer_in_bfloat16(trial: Trial) -> list[torch.Tensor]:
    """The parameters after the last step, in float64; NotSupported where it does not run."""
    answer: Answer = trial.attempt(dtype=torch.bfloat16)
    if answer.crash is not None:
        raise NotSupported(f"it does not run on bfloat16 parameters ({answer.crash.error})")
    params = trial.case.calls[0].arguments["params"]
    found: Any = answer.value
    if not isinstance(found, (list, tuple)) or [getattr(p, "shape", None) for p in found] != [p.shape for p in params]:
        trial.not_applicable()  # its form is judged without rounding
    return [param.double() for param in found]


@st.composite
def coarse_cases(draw: st.DrawFn) -> Case:
    """Steps and decays that are many times the distance between two bfloat16 numbers."""
    shapes = ((3, 4), (5,))
    params = [draw(parameters(shape)) for shape in shapes]
    count, seed, zero = draw(st.integers(1, 3)), draw(seeds), draw(st.booleans())
    grads = [[make("normal", s, seed + 7 * t + i) for i, s in enumerate(shapes)] for t in range(count)]
    steps = [[g * 0.0 if zero else g.sign() * (0.5 + g.abs()) for g in each] for each in grads]
    decay = draw(st.sampled_from((0.5, 0.25, 1.0)))
    family = "zero gradients" if zero else "normal"
    rate = draw(st.sampled_from((0.3, 0.1)))
    return script(params, steps, family, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)


@claim(
    "with bfloat16 parameters, steps and decays longer than a rounding arrive",
    broken_by="bias_correction_in_the_parameter_dtype",
    cases=coarse_cases,
    max_cases=8,
)
def long_steps_arrive_in_bfloat16(trial: Trial) -> None:
    """Beside the trajectory in float64, from the same numbers. The bound is the parameters' own spacing."""
    found, steps = answer_in_bfloat16(trial), len(trial.case.calls) - 1
    given, rate = trial.case.cast(torch.bfloat16), trial.case.calls[0].arguments["lr"]
    outputs = trial.expect(given, dtype=torch.float64).outputs
    start = given.calls[0].arguments["params"]
    for place, actual in enumerate(found):
        size = torch.stack([start[place].double(), *(output[place] for output in outputs[1:])]).abs().max()
        lost = ROUNDINGS_OF_A_PARAMETER * float(size) + ROUNDINGS_OF_A_MOVE * rate
        what = f"parameter {place} in bfloat16 after {steps} steps"
        trial.close(actual, outputs[-1][place], steps * EPSILON * lost, what)


@st.composite
def fine_cases(draw: st.DrawFn) -> Case:
    """Parameters of 1.5; half of the gradients are 1 and half -1. A step and a decay are an eighth of a distance."""
    count = 256
    sign = torch.ones(count, dtype=torch.float64)
    sign[torch.randperm(count, generator=torch.Generator().manual_seed(draw(seeds)))[: count // 2]] = -1.0
    short = DISTANCES * EPSILON / SHORT_STEPS
    settings: dict[str, Any] = {"lr": short, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1.0 / 1.5}
    return script([torch.full((count,), 1.5, dtype=torch.float64)], [[sign]] * SHORT_STEPS, "short steps", **settings)


@claim(
    "with bfloat16 parameters, short decays arrive where short steps do",
    broken_by="decay_factor_in_the_parameter_dtype",
    cases=fine_cases,
    max_cases=2,
    false_alarm=1e-20,
    power=0.999999,
)
def short_decays_arrive_in_bfloat16(trial: Trial) -> None:
    """Means over 256 numbers: rounding at random moves each by sqrt(32) / 2 distances, their mean by 0.18.

    The bound of half of what must arrive is two distances, eleven times as much.
    """
    found, grads = answer_in_bfloat16(trial)[0], trial.case.calls[1].arguments["grads"][0]
    up, down = found[grads < 0].mean(), found[grads > 0].mean()
    whole = DISTANCES * EPSILON
    moved, decayed = float((up - down) / 2 / whole), float((1.5 - found.mean()) / whole)
    if moved < 0.5 and decayed < 0.5:
        raise NotSupported("it rounds short steps of bfloat16 parameters away, as torch.optim.AdamW does")
    if min(moved, decayed) < 0.5 or max(moved, decayed) > 1.5:
        lost = f"of {SHORT_STEPS} short steps {moved:.0%} arrive, of their decays {decayed:.0%}"
        raise Violation(f"with bfloat16 parameters, {lost}", error=2 * max(abs(1 - moved), abs(1 - decayed)))
    trial.note_error(2 * max(abs(1 - moved), abs(1 - decayed)))
