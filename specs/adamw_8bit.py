"""AdamW whose moments are kept in eight bits.

Which codes it uses is its own business (a dynamic map, even steps), so its numbers are judged by what any 8-bit quantizer of
blocks may lose, worked out from the exact moments of every step.
"""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Claim, NotSupported, Trial, Violation, claim
from harness.core.contract import Contract
from harness.core.measurement import Measure, Measurement
from harness.strategies.tensors import make, parameters, seeds
from reference_model.adamw import adamw
from reference_model.adamw_8bit import adamw_8bit
from specs.shared.adam import (
    ended,
    groups_keep_their_own_settings,
    missing_gradient_leaves_the_parameter,
    missing_gradient_leaves_the_state,
    resuming_changes_nothing,
    rounding,
    state_bytes,
)
from specs.shared.optimizers import CALLS, OPTIONAL_METHODS, dialects, gradients_of, script, stepping, with_calls
from specs.workloads import tools as workloads

SHAPES = (((64, 65),), ((4100,), (3, 5)), ((2, 33, 64), (7,)))
"""Of more than 4096 numbers and of fewer: libraries keep the moments of small parameters as they are. None is a multiple of
256, so that the last block is a short one."""
LOST = 0.0071
"""Of the largest number of a block: half the widest gap of the 8-bit dynamic map, 0.0070313, and its look-up in float32.
Even steps lose less: 1/254."""
WIDEST_BLOCK = 2048
"""The largest block in use (bitsandbytes until 0.43); an outlier may cost so many numbers their digits."""
ENOUGH = 3.0
"""Bytes per parameter that two moments of one byte each, scales and tables may take together; two halves take four."""
ONE_SIDED = 0.04
"""The mean error of a whole tensor, as a share of the largest a number may have. Right rounding leaves 0.0025 at most, the
next lower code in place of the nearest one 0.10 at least (32 cases of 8 seeds)."""
NAMES = ("AdamW8bit", "adamw_8bit", "AdamW8Bit", "adamw8bit", "AdamW8", "Adam8bit", "QuantizedAdamW", "BlockwiseAdamW")


@st.composite
def cases(
    draw: st.DrawFn,
    shapes: Any = SHAPES,
    grouped: bool = False,
    gaps: bool = False,
    decay: float | None = None,
    least: int = 1,
) -> Case:
    """One to three steps; gradients of about one size, so that a share of the largest is a share of each."""
    chosen = draw(st.sampled_from([s for s in shapes if len(s) > 1] if grouped or gaps else shapes))
    size, seed = draw(st.sampled_from((1.0, 1e-2, 30.0))), draw(seeds)
    count = draw(st.integers(least, 3))
    steps: list[list[Any]] = []
    for t in range(count):
        noise = [make("normal", shape, seed + 5 * t + i) for i, shape in enumerate(chosen)]
        steps.append([size * n.sign() * (0.5 + 0.3 * n.abs().clamp(max=3.0)) for n in noise])
    if gaps:
        steps[draw(st.integers(0, count - 1))][0] = None
    own = draw(st.sampled_from(({"weight_decay": 0.0}, {"lr": 0.02}, {"lr": 0.005, "weight_decay": 0.5})))
    groups = [{"params": list(range(1, len(chosen))), **own}, {"params": [0]}] if grouped else None
    settings = {
        "lr": draw(st.sampled_from((0.1, 0.01))),
        "betas": draw(st.sampled_from(((0.9, 0.999), (0.9, 0.95), (0.8, 0.99)))),
        "eps": 1e-8,
        "weight_decay": draw(st.sampled_from((0.1, 0.3))) if decay is None else decay,
    }
    params = [draw(parameters(shape)) for shape in chosen]
    return script(params, steps, f"gradients of about {size:g}", groups, **settings)


def grouped_cases() -> Any:
    return cases(grouped=True)


def cases_with_gaps() -> Any:
    return cases(gaps=True, least=2)


def longer_cases() -> Any:
    return cases(least=2)


@st.composite
def half_idle_cases(draw: st.DrawFn) -> Case:
    """Every third number of every parameter never has a gradient; without decay and with."""
    case = draw(cases(decay=draw(st.sampled_from((0.0, 0.0, 0.2))), least=2))
    steps = []
    for grads in gradients_of(case):
        idle = [torch.arange(g.numel()).view(g.shape) % 3 == 1 for g in grads]
        steps.append(stepping([g.masked_fill(mask, 0.0) for g, mask in zip(grads, idle, strict=True)]))
    return with_calls(case, case.calls[0], *steps)


@st.composite
def outlier_cases(draw: st.DrawFn) -> Case:
    """One gradient a thousand times as large as all others."""
    case = draw(cases(shapes=(((64, 65),), ((8300,),)), least=2))
    steps = []
    for grads in gradients_of(case):
        (grad,) = (g.clone() for g in grads)
        grad.view(-1)[3] *= 1000.0
        steps.append(stepping([grad]))
    return with_calls(case, case.calls[0], *steps)


def wide_cases() -> Any:
    return cases(shapes=(((64, 65),), ((65, 64),)), least=2)


@st.composite
def large_cases(draw: st.DrawFn) -> Case:
    """A matrix of 128 x 128, and one step."""
    return draw(cases(shapes=(((128, 128),),)))


# what may be lost ----------------------------------------------------------------------------------------------------


def exact_and_bound(trial: Trial, outliers: bool = False) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Where the 32-bit optimiser ends, and how far from there each number may be.

    A stored moment is off by at most LOST of its block's largest, which the moving average hands on and adds to. The
    step is m^ / (sqrt(v^) + eps) at its worst within both. Blocks may be of any size, so the largest is that of the whole
    tensor; with ``outliers``, of what lies beyond the widest block from the start.
    """
    build = trial.case.calls[0].arguments
    run = adamw(**build)
    bounds = [torch.zeros_like(param) for param in build["params"]]
    lost: list[Any] = [(0.0, 0.0) for _ in bounds]
    settings_of = {place: group for group in run.groups for place in group["params"]}
    params = list(build["params"])
    for grads in gradients_of(trial.case):
        params = run.step(grads)
        for place, grad in enumerate(grads):
            if grad is None:
                continue
            group, first, second, t = settings_of[place], run.first[place], run.second[place], run.counts[place]
            (beta_1, beta_2), counted = group["betas"], slice(WIDEST_BLOCK, None) if outliers else slice(None)
            off_1, off_2 = lost[place][0] * beta_1, lost[place][1] * beta_2
            off_1 += LOST * (float(first.abs().view(-1)[counted].max()) + off_1)
            off_2 += LOST * (float(second.view(-1)[counted].max()) + off_2)
            lost[place] = (off_1, off_2)
            least, root = (
                (second - off).clamp(min=0.0).div(1 - beta_2**t).sqrt() + group["eps"] for off in (off_2, 0.0)
            )
            mean = first / (1 - beta_1**t)
            bounds[place] += group["lr"] * (off_1 / (1 - beta_1**t) / least + mean.abs() * (1 / least - 1 / root))
    return params, bounds


def within(
    found: list[torch.Tensor], exact: list[torch.Tensor], bounds: list[torch.Tensor], slack: float, what: str
) -> float:
    worst = 0.0
    for place, (theirs, ours, bound) in enumerate(zip(found, exact, bounds, strict=True)):
        gap = (theirs.double() - ours).abs() / (bound + slack)
        ratio = float(gap.nan_to_num(nan=float("inf")).max()) if gap.numel() else 0.0
        worst = max(worst, ratio)
        if not ratio <= 1:
            at = int(gap.reshape(-1).nan_to_num(nan=float("inf")).argmax())
            here = f"out[{place}], number {at}, = {float(theirs.reshape(-1)[at]):.6g}, expected {float(ours.reshape(-1)[at]):.6g}"
            raise Violation(
                f"{what} it deviates from the 32-bit optimizer by more than 8-bit rounding explains",
                worst=here,
                error=ratio,
            )
    return worst


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "the trajectory stays as close to the 32-bit optimizer as eight bits allow",
    broken_by="block_scales_ignored",
    cases=longer_cases,
    max_cases=6,
    aliases=("trajectory_is_within_the_bound",),
)
def trajectory_within_the_8_bit_bound(trial: Trial) -> None:
    exact, bounds = exact_and_bound(trial)
    trial.note_error(within(ended(trial), exact, bounds, rounding(trial, trial.case), "after these steps"))


@claim(
    "the first step matches the 32-bit optimizer",
    broken_by="parameters_quantized_too",
    aliases=("first_step_is_adamw_s",),
)
def first_step_matches_adamw(trial: Trial) -> None:
    """Nothing was kept before it: the same bound, of one step."""
    one = with_calls(trial.case, *trial.case.calls[:2])
    found = ended(trial, one)
    run = adamw(**one.calls[0].arguments)
    exact = run.step(gradients_of(one)[0])
    lr = max(group["lr"] for group in run.groups)
    bounds = [torch.full_like(param, 8 * LOST * lr) for param in exact]  # roots of 0.5**2 under a largest of 1.4**2
    trial.note_error(within(found, exact, bounds, rounding(trial, one), "after one step"))


@claim(
    "rounding errors average to zero over many numbers",
    broken_by="rounded_down",
    cases=longer_cases,
    max_cases=4,
    aliases=("rounding_cancels",),
)
def rounding_is_unbiased(trial: Trial) -> None:
    """Of thousands of numbers as many are kept too high as too low, and as many steps are too long as too short."""
    exact, bounds = exact_and_bound(trial)
    (found, ours, bound), before = (
        (t[0] for t in (ended(trial), exact, bounds)),
        trial.case.calls[0].arguments["params"][0],
    )
    gap, worst = found.double() - ours, 0.0
    decayed = before * (1 - trial.case.calls[0].arguments["lr"] * trial.case.calls[0].arguments["weight_decay"]) ** (
        len(trial.case.calls) - 1
    )
    for what, sign in (("too high", torch.ones_like(gap)), ("too far", (ours - decayed).sign())):
        share = float((gap * sign).mean() / bound.mean())
        worst = max(worst, abs(share) / ONE_SIDED)
        if not abs(share) <= ONE_SIDED:
            found_ = f"the mean error is {share:.3g} of the largest error allowed per number"
            raise Violation(
                f"8-bit rounding is biased ({what} on average, or the opposite): codes are not rounded to nearest",
                worst=found_,
                error=abs(share) / ONE_SIDED,
            )
    trial.note_error(worst)


@claim(
    "an entry whose gradient is always 0 moves only by weight decay",
    broken_by="no_code_for_zero",
    cases=half_idle_cases,
    max_cases=5,
    aliases=("idle_numbers_never_move",),
)
def idle_entries_never_move(trial: Trial) -> None:
    """Exactly, without decay; with it, they decay and nothing else. (0 has a code of its own.)"""
    build, found = (trial.case.calls[0].arguments, ended(trial))
    shrunk = (1 - build["lr"] * build["weight_decay"]) ** len(gradients_of(trial.case))
    for place, (param, after) in enumerate(
        zip(trial.case.cast(trial.dtype).calls[0].arguments["params"], found, strict=True)
    ):
        idle = torch.arange(param.numel()).view(param.shape) % 3 == 1
        expected = param.double()[idle] * shrunk
        bound = 0.0 if build["weight_decay"] == 0 else rounding(trial, trial.case)
        trial.close(after.double()[idle], expected, bound, f"entries whose gradient is always 0, parameter {place},")


@claim(
    "an outlier affects the accuracy of its own block only",
    broken_by="one_scale_for_all",
    cases=outlier_cases,
    max_cases=4,
    aliases=("outliers_stay_in_their_block",),
)
def outliers_affect_only_their_block(trial: Trial) -> None:
    exact, bounds = exact_and_bound(trial, outliers=True)
    found = [param.reshape(-1)[WIDEST_BLOCK:] for param in ended(trial)]
    cut = [[tensor.reshape(-1)[WIDEST_BLOCK:] for tensor in tensors] for tensors in (exact, bounds)]
    trial.note_error(within(found, cut[0], cut[1], rounding(trial, trial.case), "outside the block of an outlier"))


@claim(
    "a gradient stored transposed gives the same step",
    broken_by="gradient_read_in_memory_order",
    cases=wide_cases,
    max_cases=3,
    aliases=("layout_of_gradients_does_not_matter",),
)
def independent_of_gradient_layout(trial: Trial) -> None:
    """A gradient that is stored transposed gives the step of the same numbers in order."""
    turned = [
        stepping([g.transpose(0, 1).contiguous().transpose(0, 1) for g in grads]) for grads in gradients_of(trial.case)
    ]
    here, there = ended(trial), ended(trial, with_calls(trial.case, trial.case.calls[0], *turned))
    bound, pairs = rounding(trial, trial.case), zip(here, there, strict=True)
    for i, (a, b) in enumerate(pairs):
        trial.close(b, a, bound, f"with gradients stored transposed, parameter {i},")


@claim(
    "a new learning rate takes effect at the next step",
    broken_by="lr_cached_across_steps",
    cases=longer_cases,
    max_cases=3,
    aliases=("new_rate_counts_at_once",),
)
def new_learning_rate_takes_effect(trial: Trial) -> None:
    """A rate of 0 stops it: neither a move nor decay."""
    *before, last = trial.case.calls
    stopped = with_calls(trial.case, *before, Call("set_lr", {"lr": 0.0}), last)
    outputs = trial.run(stopped).outputs
    for i, (a, b) in enumerate(zip(outputs[-1], outputs[-3], strict=True)):
        trial.close(a, b, 0.0, f"with a learning rate of 0, parameter {i},")


@claim(
    "its state takes little more than two bytes per parameter",
    broken_by="moments_not_quantized",
    cases=large_cases,
    max_cases=1,
    aliases=("state_is_small",),
)
def state_takes_two_bytes_per_parameter(trial: Trial) -> None:
    each = trial.run(dtype=torch.float32, weigh=True).facts.get("bytes")
    if each is None:
        raise NotSupported("the memory it holds cannot be measured")
    numbers = trial.case.calls[0].arguments["params"][0].numel()
    beside = (each - 4 * numbers) / numbers
    if beside > ENOUGH:
        raise Violation(
            f"its state takes {beside:.2f} bytes per parameter; two 8-bit moments take 2", error=beside / ENOUGH
        )
    trial.note_error(beside / ENOUGH)


def memory_saved(trial: Trial) -> Measurement | None:
    """Against the two moments of four bytes that AdamW keeps."""
    fact = state_bytes(trial)
    assert fact.value is not None
    saved = 100 * (1 - fact.value / 8)
    total = 100 * (8 - fact.value) / 16
    return Measurement(
        f"its state takes {saved:.1f} % less than AdamW's 8 bytes per parameter; parameters, gradients and state together take {total:.1f} % less",
        fact.how,
        saved,
        "%",
    )


CONTRACT = Contract(
    name="adamw_8bit",
    meaning="AdamW with both moments stored as 8-bit codes, with one scale per block.",
    calls=CALLS,
    reference=adamw_8bit,
    cases=cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    parts=("adamw",),
    order=95,
    case_count=6,
    optional_methods=OPTIONAL_METHODS,
    dialects=dialects(*NAMES),
    measures=(
        Measure("state_bytes", "bytes of optimizer state per parameter", state_bytes, large_cases),
        Measure("memory_saved", "memory saved compared with 32-bit state", memory_saved, large_cases),
    ),
    sources=("Dettmers et al. 2022 (8-bit optimizers), sections 2 and 3", "bitsandbytes AdamW8bit"),
    workloads=workloads.ADAMW_8BIT,
    claims=(
        first_step_matches_adamw,
        trajectory_within_the_8_bit_bound,
        rounding_is_unbiased,
        idle_entries_never_move,
        outliers_affect_only_their_block,
        independent_of_gradient_layout,
        Claim(
            "groups_keep_their_own_settings",
            "every parameter group uses its own learning rate and weight decay",
            groups_keep_their_own_settings,
            broken_by="settings_of_the_first_group",
            cases=grouped_cases,
            max_cases=3,
        ),
        Claim(
            "parameter_without_gradient_is_unchanged",
            "a parameter without a gradient does not move",
            missing_gradient_leaves_the_parameter,
            broken_by="missing_gradient_is_zero",
            cases=cases_with_gaps,
            max_cases=4,
            aliases=("missing_gradient_leaves_the_parameter",),
        ),
        Claim(
            "step_without_gradient_keeps_state",
            "a step without a gradient does not change a parameter's moments or step count",
            missing_gradient_leaves_the_state,
            broken_by="missing_gradient_is_zero",
            cases=cases_with_gaps,
            max_cases=3,
            aliases=("missing_gradient_leaves_the_state",),
        ),
        Claim(
            "resuming_changes_nothing",
            "a run resumed from saved state ends like an uninterrupted one",
            resuming_changes_nothing,
            broken_by="scales_not_saved",
            cases=longer_cases,
            max_cases=3,
        ),
        new_learning_rate_takes_effect,
        state_takes_two_bytes_per_parameter,
    ),
)
