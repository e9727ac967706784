"""The feed-forward half of a block."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Crashed, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, tensors
from reference_model.mlp import mlp
from specs.naming.parameters import MLP
from specs.naming.pico_gpt import PICO_MLP
from specs.naming.sizes import SIZES
from specs.shared.activations import MLP as ACTIVATIONS
from specs.shared.attention import mlp_weights, output, silence, tolerance
from specs.shared.quorums import OBLONG
from specs.workloads import parts as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Hidden and width differ in four of five cases: most wrong weights raise an error there. In the fifth they are
    equal, because there a transposed weight goes unnoticed. In two of five hidden is four times the width, as in
    GPT-2: many modules support no other."""
    sizes = draw(distinct_sizes(width=(2, 6), hidden=(2, 11), batch=(1, 4), time=(1, 5)))
    times = draw(st.sampled_from((4, 0, 4, 0, 1)))
    if times:
        sizes["hidden"] = times * sizes["width"]
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows", "one-hot")))
    weights = draw(mlp_weights(sizes["width"], sizes["hidden"]))
    return Case.of(
        {"x": x, **weights}, family=family + (", hidden = width" if sizes["hidden"] == sizes["width"] else ""), **sizes
    )


@claim(
    "it acts on each position on its own", broken_by="positions_mixed_with_features", aliases=("each_position_alone",)
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
    trial.close(output(trial, moved), expected, tolerance(trial, None, moved), "with the positions permuted, out")


@claim(
    "both weights are laid out [out, in], each in its place",
    broken_by="both_weights_transposed",
    aliases=("weights_are_out_in",),
)
def weight_layout_is_out_in(trial: Trial) -> None:
    """One nonzero up_weight at [f, d] and one nonzero x at d: the output is a multiple of column f of down_weight.

    Transposed weights are tried too, so that the message can name the mistake, whether the implementation computes
    something else there (F = D) or raises an error (F != D).
    """
    if _passes_one_feature(trial, up_turned=False, down_turned=False, exchanged=False):
        return
    for exchanged in (False, True):
        for up_turned, down_turned in ((True, True), (True, False), (False, True)):
            if _passes_one_feature(trial, up_turned=up_turned, down_turned=down_turned, exchanged=exchanged):
                names = ["up_weight"] * up_turned + ["down_weight"] * down_turned
                found = f"your {' and '.join(names)} {'are' if len(names) > 1 else 'is'} [in, out]"
                sentence = f"{found}; it must be [out, in], as in torch.nn.Linear"
                raise Violation(sentence + ("; and the two are swapped" if exchanged else ""))
    answer = trial.attempt(_one_feature(trial, False, False, False)[0])
    if answer.crash is not None:
        raise Crashed(answer)
    raise Violation("up_weight[f, d] does not map x[d] to column f of down_weight")


def _one_feature(trial: Trial, up_turned: bool, down_turned: bool, exchanged: bool) -> tuple[Case, Case, torch.Tensor]:
    """Cases with and without the one nonzero x, in this layout, and the expected column."""
    a = trial.case.arguments
    hidden = a["up_weight"].shape[0]
    f, d = 1 % hidden, 0
    x = torch.zeros_like(a["x"])
    x[..., d] = 2.0
    up = torch.zeros_like(a["up_weight"])
    up[f, d] = 1.5
    down = torch.randn(a["down_weight"].shape, generator=trial.random(), dtype=torch.float64)
    given = [up.T.contiguous() if up_turned else up, down.T.contiguous() if down_turned else down]
    if exchanged:
        given.reverse()
    case = trial.case.changed(
        x=x, up_weight=given[0], down_weight=given[1], up_bias=silence(a["up_bias"]), down_bias=silence(a["down_bias"])
    )
    return case, case.changed(x=torch.zeros_like(x)), down[:, f]


def _passes_one_feature(trial: Trial, up_turned: bool, down_turned: bool, exchanged: bool) -> bool:
    case, base, column = _one_feature(trial, up_turned, down_turned, exchanged)
    with_it, without = trial.attempt(case), trial.attempt(base)
    if with_it.crash is not None or without.crash is not None:
        return False
    if (
        not (torch.is_tensor(with_it.value) and torch.is_tensor(without.value))
        or with_it.value.shape != case.arguments["x"].shape
    ):
        return False
    change = (with_it.value.double() - without.value.double()).reshape(-1, len(column))
    share = (change @ column) / (column @ column)  # how much of the column, position by position
    rest = change - share[:, None] * column
    return bool((share.abs() > 1e-3).all() and (rest.abs().amax() <= 1e-3 * change.abs().amax()))


@claim(
    "with down_weight zero the output is down_bias",
    broken_by="residual_inside",
    max_cases=30,
    aliases=("a_zero_down_weight_leaves_the_bias",),
)
def zero_down_weight_leaves_the_bias(trial: Trial) -> None:
    """No activation after it, and no residual stream inside."""
    a = trial.case.arguments
    closed = trial.case.changed(down_weight=silence(a["down_weight"]))
    bias = a["down_bias"] if a["down_bias"] is not None else torch.zeros(a["x"].shape[-1], dtype=torch.float64)
    what = "with down_weight zero, out"
    trial.close(output(trial, closed), bias.expand(a["x"].shape).to(trial.dtype), tolerance(trial, closed), what)


@claim(
    "the output is linear in the down projection: nothing follows it", broken_by="activation_after_down", max_cases=30
)
def linear_in_the_down_projection(trial: Trial) -> None:
    """Twice the down projection and its bias give twice the output."""
    a = trial.case.arguments
    twice = trial.case.changed(
        down_weight=2 * a["down_weight"], down_bias=None if a["down_bias"] is None else 2 * a["down_bias"]
    )
    what = "with the down projection doubled, out"
    trial.close(output(trial, twice), 2 * output(trial), tolerance(trial, None, None, twice), what)


CONTRACT = Contract(
    name="mlp",
    meaning="Position-wise feed-forward network: up projection, activation, down projection.",
    calls={"call": Signature((Argument("x", "float[..., width]"), *MLP), "float[..., width]")},
    reference=mlp,
    cases=cases,
    variants=ACTIVATIONS,
    parts=("gelu",),
    rows=("x",),
    leading_axes=("x",),
    dialects=(PICO_MLP,),
    order=40,
    classes=(
        "mlp",
        "feedforward",
        "feedfoward",
        "ffn",
        "positionwisefeedforward",
        "feedforwardnetwork",
        "ff",
        "ffwd",
        "transformermlp",
    ),
    size_names=SIZES,
    inside={"gelu": {}},
    headline=True,
    sources=("Vaswani et al. 2017, section 3.3, equation 2", "openai/gpt-2 src/model.py mlp"),
    workloads=workloads.MLP,
    quorum=(OBLONG,),
    claims=(
        position_wise,
        weight_layout_is_out_in,
        zero_down_weight_leaves_the_bias,
        linear_in_the_down_projection,
    ),
)
