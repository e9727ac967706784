"""The gated feed-forward half of a block."""

from __future__ import annotations

import itertools
import math

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Crashed, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, seeds, tensors
from reference_model.swiglu import swiglu
from specs.naming.cs336 import CS336_SWIGLU
from specs.naming.parameters import GATE_JOINED, WEIGHTS, named
from specs.naming.sizes import SIZES
from specs.shared.activations import ACTIVATION, SWIGLU
from specs.shared.attention import elsewhere, learned, output, silence, tolerance
from specs.shared.quorums import OBLONG

NAMES = ("gate_weight", "up_weight", "down_weight")
GATE = ("w1", "gate_proj", "w_gate", "gate", "fc_1", "W1", "gate_linear", "linear_gate", "wi_0", "w_1", "Wg")
UP = ("w3", "up_proj", "w_up", "up", "fc_2", "W3", "up_linear", "linear_up", "wi_1", "w_3", "value_proj")
DOWN = (
    "w2",
    "down_proj",
    "w_down",
    "down",
    "proj",
    "c_proj",
    "W2",
    "down_linear",
    "linear_down",
    "wo",
    "w_2",
    "out_proj",
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Hidden and width differ in five of six cases. In the sixth they are equal, because there a transposed weight,
    or one in another's place, goes unnoticed. Four widths, and two thirds of that, are what many constructors make."""
    sizes = draw(distinct_sizes(width=(2, 6), hidden=(2, 11), batch=(1, 4), time=(1, 5)))
    width = sizes["width"]
    sizes["hidden"] = (sizes["hidden"], width, 4 * width, sizes["hidden"], int(8 * width / 3), sizes["hidden"])[
        draw(st.integers(0, 5))
    ]
    hidden = sizes["hidden"]
    x, family = draw(tensors((sizes["batch"], sizes["time"], width), (*ORDINARY, "repeated rows", "one-hot")))
    weights, seed = draw(st.sampled_from(("normal", "small integers"))), draw(seeds)
    return Case.of(
        {
            "x": x,
            "gate_weight": learned(weights, (hidden, width), seed, 1.5 / math.sqrt(width)),
            "up_weight": learned(weights, (hidden, width), seed + 1, 1.5 / math.sqrt(width)),
            "down_weight": learned(weights, (width, hidden), seed + 2, 1 / math.sqrt(hidden)),
        },
        family=family + (", hidden = width" if hidden == width else ""),
        **sizes,
    )


@claim(
    "it acts on each position on its own",
    broken_by="positions_mixed_with_features",
    max_cases=15,
    aliases=("each_position_alone",),
)
def position_wise(trial: Trial) -> None:
    """Positions and rows in another order give the same results in that order."""
    x = trial.case.arguments["x"]
    positions = x.shape[0] * x.shape[1]
    if positions < 2:
        trial.not_applicable()
    order = torch.randperm(positions, generator=trial.random())
    moved = trial.case.changed(x=x.flatten(0, 1)[order].reshape(x.shape))
    expected = output(trial).flatten(0, 1)[order].reshape(x.shape)
    bound = tolerance(trial, None, moved)
    trial.close(output(trial, moved), expected, bound, "with the positions permuted, out")


@claim("the output is linear in up_weight and in down_weight", broken_by="silu_of_the_product", max_cases=15)
def linear_in_up_and_down(trial: Trial) -> None:
    """SiLU acts on the gate alone: -3 times either weight gives -3 times out."""
    a = trial.case.arguments
    for name in ("up_weight", "down_weight"):
        scaled = trial.case.changed(**{name: -3 * a[name]})
        bound = 3 * tolerance(trial, None) + tolerance(trial, scaled)
        what = f"with {name} times -3, out"
        trial.close(output(trial, scaled), -3 * output(trial), bound, what)


@claim(
    "silu(g) - silu(-g) = g for the gate g", broken_by="sigmoid_for_silu", max_cases=15, aliases=("bent_by_the_gate",)
)
def gate_odd_part_is_half_the_gate(trial: Trial) -> None:
    """silu(a) - silu(-a) = a: with gate_weight and with its negative, the two results differ by down(gate(x) *
    up(x))."""
    if trial.has_form("relu", "relu2", "sigmoid", "identity"):
        trial.not_applicable()
    a = trial.case.arguments
    mirrored = trial.case.changed(gate_weight=-a["gate_weight"])
    x, gate, up, down = (a[name].double() for name in ("x", *NAMES))
    expected = ((x @ gate.T) * (x @ up.T)) @ down.T
    bound = tolerance(trial, None, mirrored)
    what = "out minus the output with gate_weight negated"
    trial.close(output(trial) + output(trial, mirrored.changed(up_weight=-a["up_weight"])), expected, bound, what)


@claim(
    "any one of the three weights set to zero gives zeros",
    broken_by="residual_inside",
    max_cases=15,
    aliases=("closed_without_up_or_gate",),
)
def any_zero_weight_gives_zero(trial: Trial) -> None:
    """There is no bias, and no residual stream inside."""
    for name in NAMES[1:] if trial.has_form("sigmoid") else NAMES:  # a sigmoid of zeros is no zero
        closed = trial.case.changed(**{name: silence(trial.case.arguments[name])})
        expected = torch.zeros_like(trial.case.arguments["x"], dtype=trial.dtype)
        trial.close(output(trial, closed), expected, tolerance(trial, closed), f"with {name} zero, out")


@claim(
    "the three weights are laid out [out, in], each in its place",
    broken_by="gate_and_up_exchanged",
    aliases=("weights_are_out_in",),
)
def weight_layout_is_out_in(trial: Trial) -> None:
    """One nonzero number of gate_weight and up_weight at [f, d] and of x at d: the output is silu(gate) up times column
    f of down_weight. Other layouts and places are tried too, so that the message can name the mistake."""
    if _passes_one_feature(trial, (0, 1, 2), (False, False, False)):
        return
    orders = sorted(itertools.permutations(range(3)), key=lambda order: order != (0, 1, 2))
    for order in orders:
        for turned in itertools.product((False, True), repeat=3):
            if _passes_one_feature(trial, order, turned):
                raise Violation(_misplaced(order, turned))
    answer = trial.attempt(_one_feature(trial, (0, 1, 2), (False, False, False))[0])
    if answer.crash is not None:
        raise Crashed(answer)
    raise Violation("gate_weight[f, d] and up_weight[f, d] do not map x[d] to column f of down_weight")


def _misplaced(order: tuple[int, ...], turned: tuple[bool, ...]) -> str:
    names = [name for name, is_turned in zip(NAMES, turned, strict=True) if is_turned]
    sentences = []
    if names:
        sentences.append(f"your {' and '.join(names)} must be [out, in], as in torch.nn.Linear; you use [in, out]")
    if order != (0, 1, 2):
        taken = ", ".join(
            f"{NAMES[given]} in place of {NAMES[place]}" for place, given in enumerate(order) if given != place
        )
        sentences.append(f"the weights are swapped: you use {taken}")
    return "; and ".join(sentences)


def _one_feature(trial: Trial, order: tuple[int, ...], turned: tuple[bool, ...]) -> tuple[Case, torch.Tensor]:
    """The case with one nonzero number in each of x, gate and up, in this layout, and the expected output.

    ``order[place]``: which argument the implementation uses as the weight of this place.
    """
    a = trial.case.arguments
    hidden = a["gate_weight"].shape[0]
    f, d = 1 % hidden, 0
    x, gate, up = torch.zeros_like(a["x"]), torch.zeros_like(a["gate_weight"]), torch.zeros_like(a["up_weight"])
    x[..., d], gate[f, d], up[f, d] = 2.0, 1.5, -0.75
    down = elsewhere(trial, a["down_weight"])
    meant = [w.T.contiguous() if t else w for w, t in zip((gate, up, down), turned, strict=True)]
    given = {NAMES[argument]: meant[place] for place, argument in enumerate(order)}
    value = 3.0 / (1.0 + math.exp(-3.0)) * -1.5
    if trial.has_form(ACTIVATION):
        one = trial.expect(trial.case.changed(x=x, gate_weight=gate, up_weight=up, down_weight=torch.ones_like(down)))
        value = float(one.value.flatten()[0])
    return trial.case.changed(x=x, **given), (value * down[:, f]).expand(x.shape)


def _passes_one_feature(trial: Trial, order: tuple[int, ...], turned: tuple[bool, ...]) -> bool:
    case, expected = _one_feature(trial, order, turned)
    answer = trial.attempt(case)
    if answer.crash is not None or not torch.is_tensor(answer.value) or answer.value.shape != expected.shape:
        return False
    return bool((answer.value.double() - expected).abs().max() <= 1e-3 * expected.abs().max())


CONTRACT = Contract(
    name="swiglu",
    meaning="SwiGLU feed-forward network: down(silu(gate(x)) * up(x)).",
    calls={
        "call": Signature(
            (
                Argument("x", "float[..., width]"),
                Argument(
                    "gate_weight", "float[hidden, width]", "parameter", aliases=(*named(GATE, WEIGHTS), "gate_weight")
                ),
                Argument("up_weight", "float[hidden, width]", "parameter", aliases=(*named(UP, WEIGHTS), "up_weight")),
                Argument(
                    "down_weight", "float[width, hidden]", "parameter", aliases=(*named(DOWN, WEIGHTS), "down_weight")
                ),
            ),
            "float[..., width]",
        )
    },
    reference=swiglu,
    cases=cases,
    variants=SWIGLU,
    rows=("x",),
    leading_axes=("x",),
    classes=("swiglu", "feedforward", "mlp", "ffn", "gatedmlp", "gatedfeedforward", "feedforwardswiglu"),
    joined=GATE_JOINED,
    size_names=SIZES,
    dialects=(CS336_SWIGLU,),
    order=42,
    case_count=26,
    sources=("Shazeer 2020, section 2, equation 6", "meta-llama/llama llama/model.py FeedForward"),
    quorum=(OBLONG,),
    claims=(
        position_wise,
        weight_layout_is_out_in,
        linear_in_up_and_down,
        gate_odd_part_is_half_the_gate,
        any_zero_weight_gives_zero,
    ),
)
