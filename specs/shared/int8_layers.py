"""The cases of int8 linear layers, and their output computed from the codes.

x and weights are generated as codes: an integer number of steps, plus at most 0.4 of a step. So every right layer has
the same codes, whatever it does with ties and wherever it rounds, and the product of its integers is one number. In
outlier columns the weight is an integer number of steps: keeping it and dequantizing its codes give the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.core.measurement import Measurement
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds

INFINITY = math.inf


def script(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, threshold: float, family: str, **sizes: int
) -> Case:
    """Build a layer and pass x through it."""
    calls = (Call("build", {"weight": weight, "bias": bias, "threshold": threshold}), Call("forward", {"x": x}))
    return Case(calls, sizes, family)


def steps(shape: tuple[int, int], seed: int, offset: float, exact: list[int]) -> torch.Tensor:
    """Random numbers of steps: an integer, plus or minus at most ``offset`` except in the columns ``exact``.

    The largest of every row is 127 exactly, so that a step is the row's scale.
    """
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-126, 127, shape, generator=generator).double()
    values += offset * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
    values[:, exact] = values[:, exact].round()
    ends = [column for column in range(shape[1]) if column not in exact]
    for row in range(shape[0]):
        place = ends[int(torch.randint(0, len(ends), (), generator=generator))]
        values[row, place] = 127.0 if torch.rand((), generator=generator) < 0.5 else -127.0
    return values


def layer(
    rows: int, inputs: int, outputs: int, outliers: list[int], threshold: float, seed: int, offset: float = 0.4
) -> tuple[torch.Tensor, torch.Tensor]:
    """x and weight with steps of many sizes; the columns ``outliers`` of x, and no others, exceed the threshold."""
    generator = torch.Generator().manual_seed(seed + 1)
    limit = threshold if 0 < threshold < INFINITY else 6.0
    scale = 0.05 + 0.85 * torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    x = steps((rows, inputs), seed, offset, outliers) * scale * limit / 127
    for column in outliers:
        x[:, column] = 0.3 * limit * torch.randn(rows, generator=generator, dtype=torch.float64).clamp(-2, 2)
        size = 1.1 + 6 * float(torch.rand((), generator=generator))
        sign = 1.0 if torch.rand((), generator=generator) < 0.5 else -1.0
        x[int(torch.randint(0, rows, (), generator=generator)), column] = sign * size * limit
    width = 10.0 ** (2 * torch.rand(outputs, 1, generator=generator, dtype=torch.float64) - 1.5)
    return x, steps((outputs, inputs), seed + 2, offset, outliers) * width / 127


@st.composite
def cases(draw: st.DrawFn, offset: float = 0.4) -> Case:
    """Up to two outlier columns; sometimes a row of zeros; one row in a quarter of the cases."""
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 5), in_features=(3, 9), out_features=(2, 8)))
    inputs, outputs, seed = sizes["in_features"], sizes["out_features"], draw(seeds)
    batch, time = sizes["batch"], sizes["time"]
    shape = draw(st.sampled_from(((batch, time), (time,), (batch, time), (1,))))
    rows = math.prod(shape)
    threshold = draw(st.sampled_from((6.0, 3.5, 20, INFINITY)))
    most = 0 if threshold == INFINITY else min(2, inputs - 1)
    outliers = sorted(draw(st.sets(st.integers(0, inputs - 1), max_size=most)))
    x, weight = layer(rows, inputs, outputs, outliers, threshold, seed, offset)
    if not outliers and draw(st.integers(0, 3)) == 3:
        x[0] = 0.0
    bias = make("normal", (outputs,), seed + 3) if draw(st.integers(0, 3)) else None
    family = f"{len(outliers)} outlier columns, threshold {threshold:g}"
    return script(x.reshape(*shape, inputs), weight, bias, threshold, family, **sizes)


@st.composite
def outlier_cases(draw: st.DrawFn) -> Case:
    """One or two outlier columns."""
    seed, inputs, outputs = draw(seeds), draw(st.sampled_from((5, 7, 3))), draw(st.sampled_from((4, 2, 6)))
    outliers = sorted(draw(st.sets(st.integers(0, inputs - 1), min_size=1, max_size=2)))
    threshold = draw(st.sampled_from((6.0, 3.5)))
    x, weight = layer(3, inputs, outputs, outliers, threshold, seed)
    return script(x, weight, make("normal", (outputs,), seed + 3), threshold, "outliers", rows=3)


@st.composite
def pure_cases(draw: st.DrawFn) -> Case:
    """An infinite threshold: no column is an outlier, even where numbers exceed 6."""
    seed, inputs, outputs = draw(seeds), draw(st.sampled_from((5, 7, 3))), draw(st.sampled_from((4, 2, 6)))
    x, weight = layer(3, inputs, outputs, [], 6.0, seed)
    x = x * draw(st.sampled_from((1.0, 30.0)))
    return script(x, weight, make("normal", (outputs,), seed + 3), INFINITY, "every number below the threshold", rows=3)


@st.composite
def wide_cases(draw: st.DrawFn) -> Case:
    """Sums of hundreds of products 127 * 127 of one sign, which exceed 16 bits."""
    inputs = draw(st.sampled_from((300, 137)))
    x = torch.full((2, inputs), 127.0, dtype=torch.float64) * 0.01
    x[1] *= -1
    scales = torch.tensor([[0.02], [-0.5], [0.25]], dtype=torch.float64)
    weight = torch.full((3, inputs), 127.0, dtype=torch.float64) * scales
    bias, threshold = make("normal", (3,), draw(seeds)), draw(st.sampled_from((6.0, INFINITY)))
    return script(x, weight, bias, threshold, "a large sum", rows=2)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """An x of another width than the weight takes."""
    case = draw(outlier_cases())
    x = case.arguments["x"]
    return replace(case.changed(x=torch.cat([x, x[..., :1]], -1)), family="an x that is one wider than the weight")


def arguments_of(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, float]:
    """(x, weight, bias, threshold)."""
    build = case.calls[0].arguments
    return case.arguments["x"], build["weight"], build["bias"], build["threshold"]


def with_threshold(case: Case, threshold: float) -> Case:
    """The same layer with another threshold."""
    build, forward = case.calls
    return replace(case, calls=(Call("build", {**build.arguments, "threshold": threshold}), forward))


def coded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The codes of a matrix, and the step of each row: its largest absolute number divided by 127."""
    step = rows.abs().amax(1, keepdim=True) / 127
    step = torch.where(step > 0, step, torch.ones_like(step))
    return (rows / step).round(), step


def expected_parts(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """The output without bias, as rows: from the ordinary columns by integers, and from the outlier columns."""
    x, weight, _, threshold = arguments_of(case)
    rows = x.reshape(-1, x.shape[-1]).double()
    outlier = rows.abs().amax(0) >= threshold
    codes, step = coded(rows.masked_fill(outlier, 0.0))
    weight_codes, weight_step = coded(weight.double())
    product = codes.long() @ weight_codes.long().T
    return product * step * weight_step.T, rows.masked_fill(~outlier, 0.0) @ (weight_codes * weight_step).T


def out_of(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The output as rows, after checking its shape."""
    x, weight, *_ = arguments_of(case or trial.case)
    out = trial.run(case).value
    if not torch.is_tensor(out) or out.shape != (*x.shape[:-1], len(weight)):
        found = list(out.shape) if torch.is_tensor(out) else f"a {type(out).__name__}"
        raise Violation(f"out has shape {found}; expected {[*x.shape[:-1], len(weight)]}")
    return out.reshape(-1, len(weight))


@st.composite
def exact_cases(draw: st.DrawFn) -> Case:
    """x and the weight are integer numbers of steps, and steps are powers of two: 16-bit floats hold them exactly."""
    seed = draw(seeds)
    x, weight = steps((3, 5), seed, 0.0, []) / 64, steps((4, 5), seed + 1, 0.0, []) / 256
    bias, threshold = make("small integers", (4,), seed + 2), draw(st.sampled_from((6.0, INFINITY)))
    return script(x, weight, bias, threshold, "16 bit", rows=3)


def allowed_error(trial: Trial, case: Case | None = None) -> float:
    """Twice the tolerance of the output."""
    tolerance: float = trial.agreement(case)[1].value
    return 2 * tolerance


def memory(trial: Trial) -> Measurement | None:
    """Bytes per weight of everything that a layer of 256 x 512 float32 weights holds."""
    weight = make("normal", (256, 512), 3)
    case = script(make("normal", (2, 512), 4), weight, None, 6.0, "measured")
    held = trial.run(case, dtype=torch.float32, weigh=True).facts.get("bytes")
    if held is None:
        return None
    each = held / weight.numel()
    return Measurement(
        sentence=f"A weight takes {each:.3f} bytes, {each / 4:.1%} of float32.",
        how="total memory of a layer of 256 x 512 float32 weights after one forward pass",
        value=each,
        unit="bytes per weight",
    )
