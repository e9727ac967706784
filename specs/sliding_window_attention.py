"""Causal self-attention to the last few positions."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.core.mistake import Edit
from harness.strategies.tensors import ORDINARY, tensors
from reference_model.attention import attention
from reference_model.sliding_window_attention import sliding_window_attention
from specs.naming.forward import FORWARD
from specs.naming.parameters import ATTENTION
from specs.naming.sizes import SIZES
from specs.shared.attention import (
    attention_weights,
    elsewhere,
    head_sizes,
    output,
    roomy_context,
    tolerance,
    with_time,
)
from specs.shared.quorums import ATTENDS


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A window shorter than the sequence in four cases of five: 1, one less than the sequence, and what lies
    between."""
    sizes = draw(head_sizes(most_time=9, most_heads=3, most_batch=3))
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows")))
    weights = draw(attention_weights(sizes["width"], sharpness=draw(st.sampled_from((1.5, 0.5, 4.0)))))
    time = sizes["time"]
    inside = [w for w in (2, 3, 4, 1, time - 1) if 1 <= w < time] or [1]
    window = draw(st.sampled_from((*inside, *inside, time, time + 3)))
    return _case(x, weights, sizes, window, f"{family}, window {window} of {time}")


def _case(x: torch.Tensor, weights: dict[str, object], sizes: dict[str, int], window: int, family: str) -> Case:
    arguments = {"x": x, **weights, "n_heads": sizes["heads"], "window": window}
    return Case.of(arguments, family=family, context=roomy_context(sizes["time"]), window=window, **sizes)


@st.composite
def longer_than_the_window(draw: st.DrawFn) -> Case:
    """Twice the window and more, with values that distinguish every position."""
    sizes = draw(head_sizes(most_time=1, most_heads=3, most_batch=2))
    window = draw(st.sampled_from((2, 3, 1)))
    sizes["time"] = 2 * window + draw(st.sampled_from((2, 1, 3)))
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), ("normal",), overrides=False))
    weights = draw(attention_weights(sizes["width"], sharpness=0.5))
    return _case(x, weights, sizes, window, f"{family}, window {window} of {sizes['time']}")


@st.composite
def unusable(draw: st.DrawFn) -> Case:
    """A number of heads that does not divide the width."""
    heads = draw(st.integers(2, 4))
    width = draw(st.sampled_from([w for w in range(heads + 1, 12) if w % heads]))
    sizes = {"width": width, "heads": heads, "time": 4, "batch": 1}
    x, _ = draw(tensors((1, 4, width), ("normal",), overrides=False))
    return _case(x, draw(attention_weights(width)), sizes, 2, f"width {width} with {heads} heads")


@claim(
    "positions `window` or more steps back do not affect the output",
    broken_by="window_plus_one",
    cases=longer_than_the_window,
    max_cases=14,
    aliases=("nothing_beyond_the_window",),
)
def ignores_positions_outside_the_window(trial: Trial) -> None:
    """One position is replaced by numbers ten times as large: those `window` and more after it do not change."""
    x, window = trial.case.arguments["x"], trial.case.arguments["window"]
    before = output(trial)
    for at in sorted({0, trial.seed % (x.shape[1] - window)}):
        other = x.clone()
        other[:, at] = elsewhere(trial, x[:, at], 10.0)
        changed = trial.case.changed(x=other)
        after, bound = output(trial, changed), tolerance(trial, None, changed)
        for seen_by in range(at + window, x.shape[1]):
            try:
                trial.close(after[:, seen_by], before[:, seen_by], bound, f"out at {seen_by}")
            except Violation as violation:
                message = f"with a window of {window}, position {seen_by} saw position {at}, {seen_by - at} before it"
                raise Violation(message, worst=violation.worst, error=violation.error) from None


@claim(
    "every position in the window affects the output, the current one included",
    broken_by="window_minus_one",
    cases=longer_than_the_window,
    max_cases=14,
    aliases=("everything_within_the_window",),
)
def sees_every_position_in_the_window(trial: Trial) -> None:
    """A replaced position changes every position of its window by as much as in the reference."""
    x, window = trial.case.arguments["x"], trial.case.arguments["window"]
    bound = tolerance(trial)
    for at in sorted({0, trial.seed % (x.shape[1] - window)}):
        other = x.clone()
        other[:, at] = elsewhere(trial, x[:, at], 3.0)
        changed = trial.case.changed(x=other)
        moved, expected = output(trial, changed) - output(trial), trial.expect(changed).value - trial.expect().value
        slack = bound + tolerance(trial, changed)
        for seen_by in range(at, min(at + window, x.shape[1])):
            what = f"the change in out at {seen_by} when position {at} changes"
            if float(moved[:, seen_by].abs().max()) <= slack < float(expected[:, seen_by].abs().max()):
                raise Violation(
                    f"with a window of {window}, position {seen_by} does not see {at}, {seen_by - at} before it"
                )
            trial.close(moved[:, seen_by], expected[:, seen_by], slack, what)


@claim(
    "the last `window` positions alone give the same last output as the whole sequence",
    broken_by="blocks_for_windows",
    cases=longer_than_the_window,
    max_cases=14,
    aliases=("the_last_window_stands_alone",),
)
def last_window_consistent(trial: Trial) -> None:
    """The last output equals that of the last `window` positions alone."""
    x, window = trial.case.arguments["x"], trial.case.arguments["window"]
    alone = with_time(trial.case.changed(x=x[:, -window:]), window)
    bound = tolerance(trial, None, alone)
    what = f"the last position, from the last {window} positions alone, out"
    trial.close(output(trial, alone)[:, -1], output(trial)[:, -1], bound, what)


@claim(
    "a window at least as long as the sequence gives full causal attention",
    broken_by="window_clamped_below_the_length",
    max_cases=14,
    aliases=("a_wide_window_is_full_attention",),
)
def full_attention_with_a_wide_window(trial: Trial) -> None:
    """A window of T, and one far beyond."""
    a = dict(trial.case.arguments)
    window, time = a.pop("window"), a["x"].shape[1]
    expected = attention(**a).to(trial.dtype)
    for wide in (time, time + 1, time + window + 20):
        full = trial.case.changed(window=wide)
        full = replace(full, dimensions={**full.dimensions, "window": wide})
        what = f"with a window of {wide} over {time} positions, compared with full attention, out"
        trial.close(output(trial, full), expected, tolerance(trial, full), what)


@claim(
    "an earlier call with another window does not change the output",
    broken_by="mask_cached_across_calls",
    cases=longer_than_the_window,
    max_cases=6,
    aliases=("windows_are_not_remembered",),
)
def windows_are_not_cached(trial: Trial) -> None:
    """A second call, with another window, is not affected by the first."""
    window = trial.case.arguments["window"]
    other = trial.case.changed(window=window + 1 if window < 3 else 1)
    other = replace(other, dimensions={**other.dimensions, "window": other.arguments["window"]})
    second = trial.run(trial.case.followed_by(*other.calls), fresh=True).outputs[1]
    alone = trial.run(other, fresh=True).value
    trial.close(second, alone, trial.spread_of_value(other), "after a call with another window, out")


CONTRACT = Contract(
    name="sliding_window_attention",
    meaning="Causal attention in which each position sees only the last `window` positions, itself included.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                *ATTENTION,
                Argument("n_heads", "int", role="setting"),
                Argument("window", "int", role="setting"),
            ),
            "float[batch, time, width]",
        )
    },
    reference=sliding_window_attention,
    cases=cases,
    invalid=unusable,
    rows=("x",),
    causal=Causal({"x": 1}),
    order=53,
    case_count=26,
    roundings=(
        Edit(
            sliding_window_attention,
            "scale = 1.0 / math.sqrt(head_size)",
            "scale = (1.0 + 2.0**-24) / math.sqrt(head_size)",
        ),
    ),
    classes=(
        "slidingwindowattention",
        "localattention",
        "windowattention",
        "windowedattention",
        "localselfattention",
        "slidingwindowselfattention",
        "slidingwindowattn",
        "localattn",
        "windowattn",
    ),
    forward_names=FORWARD,
    size_names={"window": ("window_size", *SIZES["window"])}
    | {size: SIZES[size] for size in SIZES if size != "window"},
    sources=("Beltagy et al. 2020, section 3.1", "Jiang et al. 2023 (Mistral), section 2"),
    quorum=ATTENDS,
    claims=(
        ignores_positions_outside_the_window,
        sees_every_position_in_the_window,
        last_window_consistent,
        full_attention_with_a_wide_window,
        windows_are_not_cached,
    ),
)
