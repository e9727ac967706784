"""What no catalogue can list, for it has a number in it: fitted, and told with the number where it explains all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.diagnosis.finding import Finding
from harness.diagnosis.sites import Curve, sites_of
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()
Scale = Callable[[torch.Tensor], Any]


def layer_norm(
    eps: Callable[[float], float] = lambda eps: eps,
    out: Callable[[torch.Tensor], torch.Tensor] = lambda y: y,
    weight: Callable[[torch.Tensor], torch.Tensor] = lambda w: w,
) -> Callable[..., Any]:
    def function(x: Any, weight_: Any, bias: Any, eps_: Any) -> Any:
        y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + eps(eps_))
        y = y if weight_ is None else y * weight(weight_)
        return out(y if bias is None else y + bias)

    return function


def gelu(cubic: float) -> Callable[..., Any]:
    return lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + cubic * x.clamp(-10, 10) ** 3)))


def attended(
    scale: Callable[[int], float] = lambda size: size**-0.5, low: float = -math.inf, masked: bool = True
) -> Callable[..., Any]:
    def function(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
        scores = q @ k.mT * scale(q.shape[-1])
        if mask is None or not masked:
            return scores.softmax(-1) @ v
        weights = scores.masked_fill(~mask, low).softmax(-1)
        return torch.where(mask.any(-1, keepdim=True), weights, torch.zeros_like(weights)) @ v

    return function


def softmax_with_more_below(x: Any, dim: int = -1) -> Any:
    """The gradient goes through the maximum here, which beside the number below is not nothing."""
    above = (x - x.amax(dim, keepdim=True)).exp()
    return above / (above.sum(dim, keepdim=True) + 1e-4)


def first_zero(y: torch.Tensor) -> torch.Tensor:
    return torch.cat((torch.zeros_like(y[..., :1]), y[..., 1:]), -1)


ATTENDED = "scaled_dot_product_attention"
CASES: dict[str, tuple[str, Callable[..., Any], str]] = {
    # name of the relation: (component, wrong code, what is told)
    "eps_fixed_at_0.0001": ("layer_norm", layer_norm(eps=lambda eps: 1e-4), "eps is 0.0001, whatever is passed."),
    "eps_times_0.5": ("layer_norm", layer_norm(eps=lambda eps: eps / 2), "0.5 times eps is used in the place of eps."),
    "output_times_0.3": (
        "layer_norm",
        layer_norm(out=lambda y: 0.3 * y),
        "The output is 0.3 times the expected value.",
    ),
    "output_first_zero_along_axis_width": (
        "layer_norm",
        layer_norm(out=first_zero),
        "The output is zero in the first entry of axis width, and right everywhere else.",
    ),
    "gradient_of_weight_times_0.5": (
        "layer_norm",
        layer_norm(weight=lambda w: w / 2 + w.detach() / 2),
        "The gradient of weight is 0.5 times the expected one.",
    ),
    "0.04_for_0.044715": ("gelu", gelu(0.04), "The output is what 0.04 in the place of 0.044715 gives."),
    "scale_fixed_at_0.3": (ATTENDED, attended(scale=lambda size: 0.3), "`scale` is 0.3 in every case."),
    "scale_times_1.1": (
        ATTENDED,
        attended(scale=lambda size: 1.1 * size**-0.5),
        "`scale` is 1.1 times the expected value.",
    ),
    "-7_for_-inf": (ATTENDED, attended(low=-7.0), "The output is what -7 in the place of -inf gives."),
    "total_plus_0.0001": ("softmax", softmax_with_more_below, "`total` is the expected value plus 0.0001."),
}  # fmt: skip


def found(component: str, function: Callable[..., Any], cases: int = 8) -> Finding | None:
    executor = Executor("mine", {component: FunctionAdapter(function)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=1, cases=cases)
    return inspection.finding_of(component)


@pytest.mark.parametrize("name", CASES)
def test_a_relation_is_told_with_its_number(name: str) -> None:
    component, function, sentence = CASES[name]
    finding = found(component, function)
    assert finding is not None and finding.names == (f"{component}.{name}",)
    (relation,) = finding.mistakes
    assert relation.is_relation and relation.sentence == sentence
    assert relation.diff().startswith("-    ")


def test_a_relation_that_holds_in_some_cases_only_is_not_told() -> None:
    """Half of the output where x begins with a positive number, right elsewhere."""
    assert found("layer_norm", layer_norm(out=lambda y: torch.where(y.flatten()[0] > 0, y / 2, y))) is None


def test_right_code_has_no_relation() -> None:
    assert found("layer_norm", layer_norm()) is None


def test_a_known_mistake_is_named_before_a_relation() -> None:
    finding = found("layer_norm", layer_norm(eps=lambda eps: 1e-12))
    assert finding is not None and not any(mistake.is_relation for mistake in finding.mistakes)


def test_sites_have_names_of_their_own_and_every_line_of_theirs_is_in_the_reference() -> None:
    for component in ("gelu", ATTENDED, "adamw", "linear"):
        sites = sites_of(KNOWN.contracts[component])
        assert len({site.name for site in sites}) == len(sites) > 8
        for site in sites:
            number = None if site.curve is Curve.NONE else 0.25
            assert "<" not in site.at(number).name
