"""GPT-2 in NumPy with hand-written backward functions, and in JAX: right as they are, and a wrong backward is named."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from support_lanes import FULL

from harness.core.record import Status
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

EXAMPLES = Path(__file__).parents[2] / "examples"
NUMPY = (
    "gelu",
    "token_embedding",
    "learned_positions",
    "linear",
    "softmax",
    "layer_norm",
    "mlp",
    "attention",
    "block",
    "gpt2",
)
JAX = (*(c for c in NUMPY if c not in ("linear", "softmax")), "lora", "rslora", "quantize_int8")
SOME = {
    "agrees_with_the_reference",
    "output_shape_and_dtype",
    "every_argument_receives_a_gradient",
    "gradients_agree",
    "round_trip",
    "base_is_frozen",
    "both_matrices_train",
    "reconstruction_is_within_half_a_step",
}
"""Of JAX, which compiles every operation for every shape: the claims about numbers and gradients."""
USUAL = ("gelu", "layer_norm", "mlp", "lora")
"""Components of the JAX example in the usual run. PLUMBLINE_FULL=1 takes them all."""


@cache
def right(example: str, cases: int) -> Inspection:
    """The example as it is; what the reference answers is worked out once."""
    return inspect_implementation(str(EXAMPLES / f"{example}.py"), cases=cases)


def edited(path: Path, cases: int) -> Inspection:
    """A file that differs from the example in NumPy."""
    found = inspect_implementation(str(path), cases=cases)
    return Inspection(
        found.catalogue, found.implementation, found.seed, cases, found.variants, like=right("numpy_backward", cases)
    )


def judged(inspection: Inspection, component: str, some: set[str] | None = None) -> dict[str, str]:
    """The status of each claim; what does not hold says why."""
    found = {}
    for claim in inspection.catalogue.claims_of(component):
        if some is None or claim.name in some:
            verdict, _ = inspection.bench.judge(inspection.catalogue.contracts[component], claim, shrink=False)
            assert verdict.status in (Status.PASSED, Status.NOT_APPLICABLE), (
                f"{claim.name}: {verdict.message} {verdict.worst}"
            )
            found[claim.name] = verdict.status
    return found


@pytest.mark.parametrize("component", NUMPY)
def test_numpy_keeps_every_claim(component: str) -> None:
    """Gradients included: those that were written by hand."""
    inspection = right("numpy_backward", 4)
    found = judged(inspection, component)
    assert found["gradients_agree"] == found["gradients_agree_with_finite_differences"] == Status.PASSED


@pytest.mark.parametrize("component", JAX if FULL else USUAL)
def test_jax_keeps_the_claims_about_numbers_and_gradients(component: str) -> None:
    """By ``jax.vjp``."""
    found = judged(right("jax_gpt2", 2), component, SOME)
    assert found.get("gradients_agree", Status.PASSED) == Status.PASSED and Status.PASSED in found.values()


WRONG = {
    # (component, right text, wrong text): what is said of it
    ("gelu", "return grad_out * (", "return 0.5 * grad_out * ("): "the gradient of x is 0.5 times the expected value",
    ("gelu", "return grad_out * (", "return -grad_out * ("): "the gradient of x has the wrong sign",
    ("gelu", "1.0 + 3.0 * 0.044715 * x**2", "1.0 + 0.044715 * x**2"): "the gradient of x is wrong",
    (
        "token_embedding",
        "np.add.at(grad_weight, ids, grad_out)",
        "grad_weight[ids] += grad_out",
    ): "the gradient of weight",
    (
        "linear",
        "grad_rows.T @ rows",
        "rows.T @ grad_rows",
    ): "the gradient of weight is transposed; those of x, bias are right",
    (
        "linear",
        "is None else grad_rows.sum(0)",
        "is None else grad_out",
    ): "the gradient of bias lacks the sum over its leading axes",
    ("linear", "return grad_out @ weight,", "return 0 * x,"): "the gradient of x is zero",
    ("layer_norm", "inner - mean - normed * along", "inner - mean"): "the gradient of x",
    (
        "layer_norm",
        "(grad_out * normed).sum(leading), None",
        "grad_out.sum(leading), None",
    ): "the gradient of weight is the gradient of bias; those of x, bias are right",
    ("layer_norm", "else grad_out.sum(leading)", "else grad_out.mean(leading)"): "the gradient of bias",
    (
        "attention",
        "weights, -1) / math.sqrt(width // n_heads)\n    grad_q",
        "weights, -1)\n    grad_q",
    ): "part query and key, which is multiplied by the root of width / heads",
    (
        "mlp",
        "return grad_x, grad_up, grad_up_bias",
        "return grad_x, 2 * grad_up, grad_up_bias",
    ): "the gradient of up_weight is 2 times the expected value; those of x, down_weight, up_bias, down_bias are right",
}


@pytest.mark.parametrize(("component", "right", "wrong"), WRONG, ids=lambda text: text[:24])
def test_a_wrong_backward_is_named(tmp_path: Path, component: str, right: str, wrong: str) -> None:
    """By its argument, how it is wrong where that is plain, and the line of the backward function."""
    source = (EXAMPLES / "numpy_backward.py").read_text()
    assert source.count(right) == 1
    (tmp_path / "somebody.py").write_text(source.replace(right, wrong))
    inspection = edited(tmp_path / "somebody.py", 12)
    inspection.diagnostician.seconds = 2.0  # pairs of known mistakes are another test's business
    claims = {claim.name: claim for claim in inspection.catalogue.claims_of(component)}
    assert inspection.judge(component, claims["agrees_with_the_reference"]).status == Status.PASSED
    verdict = inspection.judge(component, claims["gradients_agree"])
    said = f"{verdict.message}; {verdict.worst}"
    assert verdict.status == Status.FAILED and WRONG[component, right, wrong] in said
    line = next(n for n, text in enumerate(source.splitlines(), 1) if text.startswith(f"def {component}_backward"))
    assert verdict.line == line


def test_a_wrong_component_is_diagnosed_though_its_backward_is_right(tmp_path: Path) -> None:
    """What is computed forwards is explained alone."""
    source = (EXAMPLES / "numpy_backward.py").read_text()
    (tmp_path / "somebody.py").write_text(source.replace("(x + 0.044715 * x**3)))", "(x + 0.44715 * x**3)))"))
    inspection = edited(tmp_path / "somebody.py", 12)
    claims = {claim.name: claim for claim in inspection.catalogue.claims_of("gelu")}
    verdict = inspection.judge("gelu", claims["agrees_with_the_reference"])
    assert verdict.status == Status.FAILED and verdict.finding
    assert inspection.judge("gelu", claims["gradients_agree"]).status == Status.PASSED
