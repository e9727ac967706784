"""GELU, the activation of GPT-2."""

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import About, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import FAMILIES, tensors
from reference_model.gelu import gelu
from specs.shared.activations import GELU
from specs.workloads import parts as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """x of one to three axes. |x| up to 6 and more: a derivative that saturates at 4 shows only there."""
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 5), width=(1, 8)))
    axes = draw(st.integers(1, 3))
    x, family = draw(tensors(tuple(sizes.values())[-axes:], [f for f in FAMILIES if f != "large offset"]))
    return Case.of({"x": x}, family=family, **sizes)


@st.composite
def tail_cases(draw: st.DrawFn) -> Case:
    """Values up to 1e4 on both sides, where a cube overflows half precision and a product becomes NaN."""
    size = 10.0 ** draw(st.sampled_from((0, 1, 2, 3, 4)))
    width = draw(st.integers(1, 7))
    return Case.of({"x": torch.linspace(-size, size, width, dtype=torch.float64)}, family="tails", width=width)


@claim("gelu(x) - gelu(-x) equals x", broken_by="square_for_cube")
def odd_part_is_half_x(trial: Trial) -> None:
    """For both the tanh form and the erf form: gelu(x) - x/2 is even."""
    x = trial.case.arguments["x"]
    here, mirrored = trial.run().value, trial.run(trial.case.changed(x=-x)).value
    bound = trial.spread_of_value() + trial.spread_of_value(trial.case.changed(x=-x))
    trial.close(here - mirrored, x.to(here.dtype), bound, "gelu(x) - gelu(-x)")


@claim(
    "values and gradients are accurate and finite for abs(x) up to 1e4",
    broken_by="derivative_saturated_beyond_4",
    cases=tail_cases,
    aliases=("tails_are_right",),
)
def accurate_in_the_tails(trial: Trial) -> None:
    exact, tolerance = trial.agreement(gradients=True)
    answer = trial.run(gradients=True)
    trial.close(answer.value, exact.value, tolerance.value, "out")
    trial.close(answer.gradients["x"], exact.gradients["x"], tolerance.gradients["x"], "the gradient of x")


FLOAT16 = (
    "Nobody is held to this: activations are seldom so large. Where float16 is used, let torch compute it, or clamp x "
    "inside the cube: 0 times an overflowed number is NaN."
)


@claim(
    "its float16 gradient is finite for abs(x) up to 1e4",
    sabotage=lambda call, method, arguments, request: (
        call(arguments) if arguments["x"].dtype != torch.float16 else call(arguments) / arguments["x"].pow(2).pow(0.5)
    ),
    cases=tail_cases,
    max_cases=8,
    about=frozenset({About.FORM}),
)
def finite_in_float16(trial: Trial) -> None:
    """A cube, and the square in its derivative, overflow there from 41 and from 256 on."""
    answer = trial.attempt(dtype=torch.float16, gradients=True)
    if answer.crash is not None:
        raise NotSupported(f"it does not run in float16 ({answer.crash.error})")
    x = trial.case.arguments["x"]
    gradient: Any = answer.gradients.get("x")
    if not torch.is_tensor(gradient) or gradient.shape != x.shape:
        trial.not_applicable()  # a missing gradient is another claim's business
    results: list[tuple[str, Any]] = [("out", answer.value), ("the gradient of x", gradient)]
    for what, value in results:
        bad = ~torch.isfinite(value)
        if bool(bad.any()):
            message = f"in float16 {what} at x = {float(x[bad][0]):g} is {float(value[bad][0])}"
            raise Violation(message, advice=FLOAT16)


CONTRACT = Contract(
    name="gelu",
    meaning="GELU activation in GPT-2's tanh form: x times the standard normal distribution function at x.",
    calls={"call": Signature((Argument("x", "float[...]"),), "float[...]")},
    reference=gelu,
    cases=cases,
    order=10,
    roundings=(
        Edit(
            gelu,
            "inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)",
            "inner = (1.0 + 2.0**-24) * math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)",
        ),
        Edit(
            gelu,
            "inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)",
            "inner = math.sqrt(2.0 / math.pi) * (x + (1.0 + 2.0**-24) * 0.044715 * cube)",
        ),
    ),
    classes=("gelu", "newgelu", "newgeluactivation", "gelutanh", "fastgelu", "geluactivation"),
    variants=GELU,
    sources=("Hendrycks & Gimpel 2016, section 2", "openai/gpt-2 src/model.py gelu"),
    workloads=workloads.GELU,
    claims=(odd_part_is_half_x, accurate_in_the_tails, finite_in_float16),
)
