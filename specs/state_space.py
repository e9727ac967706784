"""A diagonal linear recurrence."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.numerics.tolerance import EPSILON
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, make, seeds, tensors
from reference_model.state_space import state_space
from specs.shared.attention import elsewhere, output, tolerance, unmoved

LONG = 700
"""Steps: 0.3 to this power is below the smallest number of float64."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Time, width, states and batch all differ; a within (-1, 1), negative ones and an exact 0 among them. Two steps at
    least: with one step a has no effect, and need not receive a gradient."""
    sizes = draw(distinct_sizes(time=(2, 9), width=(1, 5), states=(1, 4), batch=(1, 4)))
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows")))
    return _case(x, draw(seeds), sizes, family, draw(st.booleans()))


def _case(x: torch.Tensor, seed: int, sizes: dict[str, int], family: str, with_zero: bool = False) -> Case:
    shape = (sizes["width"], sizes["states"])
    a = torch.tanh(1.2 * make("normal", shape, seed))
    if with_zero:
        a[0, 0] = 0.0
    arguments = {"x": x, "a": a, "b": make("normal", shape, seed + 1), "c": make("normal", shape, seed + 2)}
    return Case.of(arguments, family=family, **sizes)


@st.composite
def long_sequences(draw: st.DrawFn) -> Case:
    """Hundreds of steps, with abs(a) from almost 0 to just below 1: a^T underflows, 1 / a^T overflows."""
    sizes = {"time": LONG, "width": 2, "states": 3, "batch": 1}
    seed = draw(seeds)
    case = _case(make("normal", (1, LONG, 2), seed), seed + 3, sizes, f"{LONG} steps")
    a = torch.tensor([[0.3, -0.02, 0.999], [-0.9, 0.6, 0.95]], dtype=torch.float64)
    return case.changed(a=a)


@st.composite
def unusable(draw: st.DrawFn) -> Case:
    """An x of another width than the weights."""
    sizes = draw(distinct_sizes(width=(2, 4), time=(2, 6), states=(2, 4), batch=(1, 2)))
    seed = draw(seeds)
    case = _case(make("normal", (sizes["batch"], sizes["time"], sizes["width"] + 1), seed), seed, sizes, "")
    return replace(case, family="an x that is one wider than a, b and c")


def kernel(case: Case, time: int) -> torch.Tensor:
    """sum of c b a^j over the states, for j = 0 .. time - 1.  -> [D, T]"""
    a, b, c = (case.arguments[name].double() for name in "abc")
    powers = a.unsqueeze(-1) ** torch.arange(time)
    terms: torch.Tensor = (b * c).unsqueeze(-1) * powers
    return terms.sum(1)


@claim(
    "the recurrence equals a causal convolution per channel",
    broken_by="circular_convolution",
    max_cases=18,
    aliases=("equals_its_convolution",),
)
def equals_causal_convolution(trial: Trial) -> None:
    """y_t = the sum of kernel_j x_(t - j) over j = 0 .. t, in each channel."""
    x = trial.case.arguments["x"]
    time, kernels = x.shape[1], kernel(trial.case, x.shape[1])
    expected = torch.zeros_like(x)
    for gap in range(time):
        expected[:, gap:] += kernels[:, gap] * x[:, : time - gap]
    trial.close(
        output(trial), expected.to(trial.dtype), tolerance(trial, trial.case), "compared with the convolution, out"
    )


@claim(
    "the recurrence equals a parallel scan", broken_by="input_decays_too", max_cases=18, aliases=("equals_its_scan",)
)
def equals_parallel_scan(trial: Trial) -> None:
    """Steps combined in pairs, (a, u) then (b, v) is (b a, b u + v), as in a parallel scan."""
    x, a, b, c = (trial.case.arguments[name] for name in ("x", "a", "b", "c"))
    decay, state = a.expand(*x.shape, a.shape[-1]), x.unsqueeze(-1) * b
    gap = 1
    while gap < x.shape[1]:
        before = torch.zeros_like(state)
        before[:, gap:] = state[:, :-gap]
        factor = torch.ones_like(decay)
        factor[:, gap:] = decay[:, :-gap]
        decay, state = decay * factor, state + decay * before
        gap *= 2
    expected = (state * c).sum(-1).to(trial.dtype)
    trial.close(output(trial), expected, tolerance(trial, trial.case), "compared with a parallel scan, out")


@claim(
    "with abs(a) below 1 the output stays bounded and accurate over hundreds of steps",
    broken_by="cumsum_divided_by_powers",
    cases=long_sequences,
    max_cases=2,
    aliases=("stable_below_one",),
)
def bounded_when_a_is_below_1(trial: Trial) -> None:
    """abs(a) < 1: abs(y) stays below the sum of abs(b c) / (1 - abs(a)), times the largest abs(x), however long; and
    the numbers are the reference's to the end."""
    a, b, c = (trial.case.arguments[name] for name in "abc")
    out = output(trial).double()
    ceiling = ((b * c).abs() / (1 - a.abs())).sum(-1) * trial.case.arguments["x"].abs().amax((0, 1))
    if not bool(torch.isfinite(out).all()):
        first = int((~torch.isfinite(out)).any(-1).any(0).nonzero()[0])
        raise Violation(f"the output is not finite from step {first} on, though abs(a) is below 1")
    slack = 1 + 1000 * EPSILON[trial.dtype]  # of one sum of a few hundred terms of one sign
    over = float((out.abs().amax((0, 1)) / (ceiling * slack)).max())
    if over > 1:
        raise Violation(f"abs(y) reaches {over:.3g} times its bound for abs(a) below 1", error=over)
    exact, bound = trial.agreement()
    trial.close(output(trial), exact.value, bound.value, f"over {LONG} steps, out")


@claim("it is linear in x", broken_by="tanh_on_the_state", max_cases=14)
def is_linear(trial: Trial) -> None:
    """The output of x + 2 y is that of x plus twice that of y."""
    x = trial.case.arguments["x"]
    other = trial.case.changed(x=elsewhere(trial, x))
    both = trial.case.changed(x=x + 2 * other.arguments["x"])
    bound = 2 * tolerance(trial, None, other, other, both)
    trial.close(
        output(trial, both), output(trial) + 2 * output(trial, other), bound, "for the sum of two sequences, out"
    )


@claim(
    "leading zeros shift the output in time: the state starts at 0",
    broken_by="state_starts_at_one",
    max_cases=14,
    aliases=("later_is_the_same_later",),
)
def time_invariant(trial: Trial) -> None:
    """Zeros before the sequence delay the output. The state starts at 0."""
    x = trial.case.arguments["x"]
    later = trial.case.changed(x=torch.cat([torch.zeros_like(x[:, :1]), x], 1))
    later = replace(later, dimensions={**later.dimensions, "time": x.shape[1] + 1})
    bound = tolerance(trial, None, later)
    trial.close(output(trial, later)[:, 1:], output(trial), bound, "with one leading step of zeros, out")


@claim(
    "permuting states does not change the output; permuting channels permutes it",
    broken_by="state_of_the_neighbouring_channel",
    max_cases=12,
    aliases=("states_and_channels_are_apart",),
)
def states_and_channels_are_independent(trial: Trial) -> None:
    """Permuting the states changes nothing; permuting the channels permutes the output."""
    a, whole = trial.case.arguments, output(trial)
    states = trial.case.changed(**{name: a[name].flip(1) for name in "abc"})
    unmoved(trial, states, "with the states of each channel reversed, out")
    channels = trial.case.changed(x=a["x"].flip(2), **{name: a[name].flip(0) for name in "abc"})
    bound = tolerance(trial, None, channels)
    trial.close(output(trial, channels), whole.flip(2), bound, "with the channels reversed, out")


@claim(
    "an earlier sequence does not change the output",
    broken_by="state_carried_across_calls",
    max_cases=10,
    aliases=("state_is_not_remembered",),
)
def state_is_not_cached(trial: Trial) -> None:
    """A second sequence of the same sizes is not affected by the first."""
    other = trial.case.changed(x=0.7 - trial.case.arguments["x"])
    second = trial.run(trial.case.followed_by(*other.calls), fresh=True).outputs[1]
    trial.close(second, output(trial, other), trial.spread_of_value(other), "after another sequence, out")


CONTRACT = Contract(
    name="state_space",
    meaning="Diagonal linear recurrence with a few states per channel: the core of state space models.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                *(Argument(name, "float[width, states]", "parameter") for name in "abc"),
            ),
            "float[batch, time, width]",
        )
    },
    reference=state_space,
    cases=cases,
    invalid=unusable,
    rows=("x",),
    causal=Causal({"x": 1}),
    order=56,
    case_count=24,
    sources=("Gu and Dao 2023, section 2, equations 2 and 3", "Gupta et al. 2022 (diagonal state spaces)"),
    claims=(
        equals_causal_convolution,
        equals_parallel_scan,
        bounded_when_a_is_below_1,
        is_linear,
        time_invariant,
        states_and_channels_are_independent,
        state_is_not_cached,
    ),
)
