"""Our two gradient checks beside torch.autograd.gradcheck: what each finds, and what it costs.

    python tests/benchmarks/gradient_checks.py [--json FILE] [--quick]

Mistakes are planted in hand-written backward passes; every forward pass is right. All four tools judge the same
functions on the same inputs: ``gradients_agree`` (the reference's vector-Jacobian product),
``gradients_agree_with_finite_differences`` (differences on a ladder of steps, no reference), and gradcheck with its
default tolerances in fast and in slow mode.
Costs are in units of one forward and backward pass of the right function, the median of interleaved runs.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from harness.core.case import Case, is_float
from harness.core.claim import Crashed, Violation
from harness.core.tree import leaves, map_leaves
from harness.core.values import Settings
from harness.execution.caching import CachingImplementation
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.judge import Bench
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
Function = Callable[..., Any]
Parts = dict[str, Function]

# the parts, each with a backward pass of its own ---------------------------------------------------------------------


def own(forward: Function, backward: Function) -> Function:
    """``forward`` with ``backward(gradient, *arguments)``, which returns a gradient or None for every argument."""

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Tensor:
            ctx.save_for_backward(*(a for a in arguments if torch.is_tensor(a)))
            ctx.others = [None if torch.is_tensor(a) else (a,) for a in arguments]
            return forward(*arguments)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            tensors = iter(ctx.saved_tensors)
            return backward(gradient, *(next(tensors) if other is None else other[0] for other in ctx.others))

    return Own.apply


def norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps) * weight + bias


def norm_backward(mistake: str, g: Tensor, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Any:
    rows = tuple(range(g.dim() - 1))
    centred = x - x.mean(-1, keepdim=True)
    inverse = torch.rsqrt(centred.square().mean(-1, keepdim=True) + (0.0 if mistake == "eps left out" else eps))
    normalised = centred * inverse
    if mistake == "normalised values kept in bfloat16":
        normalised = normalised.bfloat16().to(x.dtype)
    inner = g if mistake == "gain left out of dx" else g * weight
    mean, along = inner.mean(-1, keepdim=True), (inner * normalised).mean(-1, keepdim=True)
    if mistake == "dx without the mean term":
        mean = torch.zeros_like(mean)
    if mistake == "dx without the centred term":
        along = torch.zeros_like(along)
    dx = inverse * (inner - mean - normalised * along)
    dweight, dbias = (g * normalised).sum(rows), g.sum(rows)
    if mistake == "dweight of the first row of the batch alone":
        dweight = (g * normalised)[0].sum(rows[:-1])
    if mistake == "dbias averaged":
        dbias = g.mean(rows)
    return dx, dweight, dbias, None


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return weights_of(q, k) @ v


def weights_of(q: Tensor, k: Tensor, masked: bool = True) -> Tensor:
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if masked:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -math.inf)
    return scores.softmax(-1)


def attend_backward(mistake: str, g: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Any:
    scale, weights = 1 / math.sqrt(q.shape[-1]), weights_of(q, k)
    if mistake == "weights kept in bfloat16":
        weights = weights.bfloat16().to(q.dtype)
    slope = g @ v.mT
    share = (slope * weights).sum(-1, keepdim=True)
    if mistake == "softmax without the sum term":
        share = torch.zeros_like(share)
    scores = weights * (slope - share)
    dq, dk, dv = scores @ k * scale, scores.mT @ q * scale, weights.mT @ g
    if mistake == "dq without the scale":
        dq = scores @ k
    if mistake == "dk scaled twice":
        dk = dk * scale
    if mistake == "dk without the transpose":
        dk = scores @ q * scale
    if mistake == "q detached":
        dq = torch.zeros_like(dq)
    if mistake == "dv by unmasked weights":
        dv = weights_of(q, k, masked=False).mT @ g
    return dq, dk, dv


ROOT, CUBIC = math.sqrt(2 / math.pi), 0.044715


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(ROOT * (x + CUBIC * x**3)))


def gelu_backward(mistake: str, g: Tensor, x: Tensor) -> Any:
    tanh = torch.tanh(ROOT * (x + CUBIC * x**3))
    cubic = 0.0447 if mistake == "slope with 0.0447 for 0.044715" else CUBIC
    inner = 1.0 if mistake == "slope without the inner polynomial" else 1 + 3 * cubic * x * x
    slope = 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * ROOT * inner
    if mistake == "slope cut off beyond 4":
        slope = torch.where(x.abs() > 4, (x > 0).to(x.dtype), slope)
    return g * slope


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x @ weight.mT + bias


def linear_backward(mistake: str, g: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Any:
    flat, rows = g.flatten(0, -2), x.flatten(0, -2)
    dbias = flat.mean(0) if mistake == "dbias averaged" else flat.sum(0)
    dweight = flat.mT @ rows
    if mistake == "dweight of the first row of the batch alone":
        dweight = g[0].mT @ x[0]
    return g @ weight, dweight, dbias


def add(stream: Tensor, update: Tensor) -> Tensor:
    return stream + update


def add_backward(mistake: str, g: Tensor, stream: Tensor, update: Tensor) -> Any:
    return {"stream's share doubled": 2 * g, "stream's share dropped": torch.zeros_like(g)}.get(mistake, g), g


def look_up(table: Tensor, ids: Tensor) -> Tensor:
    return table[ids]


def look_up_backward(mistake: str, g: Tensor, table: Tensor, ids: Tensor) -> Any:
    found, flat = torch.zeros_like(table), g.flatten(0, -2)
    if mistake == "repeated ids overwrite each other":
        found[ids.flatten()] = flat
        return found, None
    return found.index_add(0, ids.flatten(), flat), None


def place(tokens: Tensor, table: Tensor) -> Tensor:
    return tokens + table[: tokens.shape[1]]


def place_backward(mistake: str, g: Tensor, tokens: Tensor, table: Tensor) -> Any:
    found = torch.zeros_like(table)
    found[: g.shape[1]] = g[0] if mistake == "positions of the first row of the batch alone" else g.sum(0)
    return g, found


def head(stream: Tensor, table: Tensor) -> Tensor:
    return stream @ table.mT


def head_backward(mistake: str, g: Tensor, stream: Tensor, table: Tensor) -> Any:
    dtable = g.flatten(0, -2).mT @ stream.flatten(0, -2)
    return g @ table, torch.zeros_like(dtable) if mistake == "tied table counted once" else dtable


PARTS: dict[str, tuple[Function, Function, tuple[str, ...]]] = {
    "norm": (
        norm,
        norm_backward,
        (
            "dx without the mean term",
            "dx without the centred term",
            "gain left out of dx",
            "eps left out",
            "normalised values kept in bfloat16",
            "dweight of the first row of the batch alone",
            "dbias averaged",
        ),
    ),
    "attend": (
        attend,
        attend_backward,
        (
            "softmax without the sum term",
            "dq without the scale",
            "dk scaled twice",
            "dk without the transpose",
            "q detached",
            "dv by unmasked weights",
            "weights kept in bfloat16",
        ),
    ),
    "linear": (linear, linear_backward, ("dbias averaged", "dweight of the first row of the batch alone")),
    "gelu": (
        gelu,
        gelu_backward,
        ("slope without the inner polynomial", "slope cut off beyond 4", "slope with 0.0447 for 0.044715"),
    ),
    "add": (add, add_backward, ("stream's share doubled", "stream's share dropped")),
    "look_up": (look_up, look_up_backward, ("repeated ids overwrite each other",)),
    "place": (place, place_backward, ("positions of the first row of the batch alone",)),
    "head": (head, head_backward, ("tied table counted once",)),
}
"""Every part: its forward pass, its backward pass with an optional mistake, and the mistakes."""

MADE_OF = {
    "layer_norm": ("norm",),
    "attention": ("attend", "linear"),
    "block": ("norm", "attend", "linear", "gelu", "add"),
    "gpt2": tuple(PARTS),
}


def with_mistake(part: str = "", mistake: str = "") -> Parts:
    """All parts with hand-written backward passes, this mistake in one of them."""
    return {
        name: own(forward, partial(backward, mistake if name == part else ""))
        for name, (forward, backward, _) in PARTS.items()
    }


def component(name: str, p: Parts) -> Function:
    """The component of this name, built from these parts."""

    def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return p["norm"](x, weight, bias, eps)

    def attention(
        x: Tensor, qkv_weight: Tensor, qkv_bias: Tensor, out_weight: Tensor, out_bias: Tensor, n_heads: int
    ) -> Tensor:
        qkv = p["linear"](x, qkv_weight, qkv_bias).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (n_heads, -1)).transpose(1, 2) for t in qkv)
        return p["linear"](p["attend"](q, k, v).transpose(1, 2).flatten(2), out_weight, out_bias)

    def block(x: Tensor, weights: Any, n_heads: int, eps: float = 1e-5) -> Tensor:
        w = weights
        normed = p["norm"](x, w["norm_1_weight"], w["norm_1_bias"], eps)
        attended = attention(normed, w["qkv_weight"], w["qkv_bias"], w["out_weight"], w["out_bias"], n_heads)
        middle = p["add"](x, attended)
        normed = p["norm"](middle, w["norm_2_weight"], w["norm_2_bias"], eps)
        hidden = p["gelu"](p["linear"](normed, w["up_weight"], w["up_bias"]))
        return p["add"](middle, p["linear"](hidden, w["down_weight"], w["down_bias"]))

    def gpt2(ids: Tensor, weights: Any, config: Any) -> Tensor:
        stream = p["place"](p["look_up"](weights["token_embedding"], ids), weights["position_embedding"])
        for layer in weights["blocks"]:
            stream = block(stream, layer, config.heads, config.norm_eps)
        normed = p["norm"](stream, weights["final_norm_weight"], weights["final_norm_bias"], config.norm_eps)
        return p["head"](normed, weights["token_embedding"])

    return {"layer_norm": layer_norm, "attention": attention, "block": block, "gpt2": gpt2}[name]


# the inputs ----------------------------------------------------------------------------------------------------------

BATCH, TIME, WIDTH, HEADS, HIDDEN, VOCABULARY, CONTEXT, LAYERS = 2, 3, 4, 2, 5, 7, 6, 2
EPS = 1e-5
INPUTS = {"layer_norm": 6, "attention": 6, "block": 3, "gpt2": 1}
"""How many inputs each component's functions are judged on: slow mode takes a second a function for the last."""


def case_of(name: str, seed: int) -> Case:
    """The inputs that every tool gets for this component."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0, around: float = 0.0) -> Tensor:
        return around + scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    def attention_weights() -> dict[str, Tensor]:
        return {
            "qkv_weight": normal(3 * WIDTH, WIDTH, scale=0.6),
            "qkv_bias": normal(3 * WIDTH, scale=0.5),
            "out_weight": normal(WIDTH, WIDTH, scale=0.5),
            "out_bias": normal(WIDTH, scale=0.5),
        }

    def block_weights() -> dict[str, Tensor]:
        return {
            "norm_1_weight": normal(WIDTH, scale=0.3, around=1.2),
            "norm_1_bias": normal(WIDTH, scale=0.3),
            **attention_weights(),
            "norm_2_weight": normal(WIDTH, scale=0.3, around=0.9),
            "norm_2_bias": normal(WIDTH, scale=0.3),
            "up_weight": normal(HIDDEN, WIDTH, scale=0.6),
            "up_bias": torch.linspace(-4.5, 4.5, HIDDEN, dtype=torch.float64),  # the activation is reached beyond 4
            "down_weight": normal(WIDTH, HIDDEN, scale=0.4),
            "down_bias": normal(WIDTH, scale=0.5),
        }

    x = normal(BATCH, TIME, WIDTH)
    sizes = {"batch": BATCH, "time": TIME, "width": WIDTH, "heads": HEADS, "hidden": HIDDEN, "context": CONTEXT}
    if name == "layer_norm":
        gain, shift = normal(WIDTH, scale=0.5, around=1.5), normal(WIDTH)
        return Case.of({"x": x, "weight": gain, "bias": shift, "eps": EPS}, **sizes)
    if name == "attention":
        return Case.of({"x": x, **attention_weights(), "n_heads": HEADS}, **sizes)
    if name == "block":
        return Case.of({"x": x, "weights": block_weights(), "n_heads": HEADS, "eps": EPS}, **sizes)
    ids = torch.randint(0, VOCABULARY, (BATCH, TIME), generator=generator)
    ids[0, 1] = ids[0, 0]
    weights = {
        "token_embedding": normal(VOCABULARY, WIDTH),
        "position_embedding": normal(CONTEXT, WIDTH, scale=0.7),
        "blocks": [block_weights() for _ in range(LAYERS)],
        "final_norm_weight": normal(WIDTH, scale=0.3, around=1.2),
        "final_norm_bias": normal(WIDTH, scale=0.3),
    }
    config = Settings(vocab_size=VOCABULARY, context=CONTEXT, width=WIDTH, heads=HEADS, layers=LAYERS, norm_eps=EPS)
    return Case.of({"ids": ids, "weights": weights, "config": config}, **sizes, vocab_size=VOCABULARY, layers=LAYERS)


# the tools -----------------------------------------------------------------------------------------------------------

Check = Callable[[], bool]
"""Judges one function on one case: whether it found something wrong. What can be prepared is prepared before."""


def by_claim(claim: str, name: str, function: Function, case: Case) -> Check:
    """One of our claims on this case alone, nothing remembered from before."""
    executor = Executor("planted", {name: FunctionAdapter(function)}, KNOWN.contracts)
    bench = Bench(
        KNOWN.contracts,
        CachingImplementation(executor),
        CachingImplementation(reference_executor(KNOWN.contracts)),
        cases=1,
    )
    trial = bench.trial(KNOWN.contracts[name], case)  # finds out here that float64 is what it computes in
    test = KNOWN.claims[claim].test

    def check() -> bool:
        try:
            test(trial)
        except (Violation, Crashed):
            return True
        return False

    return check


def flat(case: Case) -> tuple[list[Tensor], Callable[..., dict[str, Any]]]:
    """The floating-point tensors of a case as leaves of a graph, and what puts others in their places."""
    tensors = [leaf.clone().requires_grad_() for _, leaf in leaves(dict(case.arguments)) if is_float(leaf)]

    def filled(*values: Tensor) -> dict[str, Any]:
        left = iter(values)
        return map_leaves(dict(case.arguments), lambda _, leaf: next(left) if is_float(leaf) else leaf)

    return tensors, filled


def by_gradcheck(fast: bool, name: str, function: Function, case: Case) -> Check:
    """torch.autograd.gradcheck with its default tolerances."""
    tensors, filled = flat(case)

    def value(*moved: Tensor) -> Tensor:
        return function(*filled(*moved).values())

    return lambda: not torch.autograd.gradcheck(value, tensors, fast_mode=fast, raise_exception=False)


TOOLS: dict[str, Callable[[str, Function, Case], Check]] = {
    "gradients_agree": partial(by_claim, "gradients_agree"),
    "with_differences": partial(by_claim, "gradients_agree_with_finite_differences"),
    "gradcheck fast": partial(by_gradcheck, True),
    "gradcheck slow": partial(by_gradcheck, False),
}
OURS = ("gradients_agree", "with_differences")


# what they find ------------------------------------------------------------------------------------------------------


def findings(name: str, inputs: int) -> list[dict[str, Any]]:
    """For the right function and for every mistake: on how many inputs each tool found something wrong."""
    rows = []
    planted = [("", "")] + [(part, mistake) for part in MADE_OF[name] for mistake in PARTS[part][2]]
    for part, mistake in planted:
        function = component(name, with_mistake(part, mistake))
        found = dict.fromkeys(TOOLS, 0)
        for seed in range(inputs):
            case = case_of(name, seed)
            for tool, make in TOOLS.items():
                found[tool] += make(name, function, case)()
        rows.append(
            {"component": name, "mistake": f"{part}: {mistake}" if part else "", "inputs": inputs, "found": found}
        )
    return rows


# what they cost ------------------------------------------------------------------------------------------------------


def costs(name: str, runs: int, slow_runs: int) -> dict[str, float]:
    """Median time of each tool on the right function, in units of one forward and backward pass; runs interleaved."""
    function, case = component(name, with_mistake()), case_of(name, 0)
    tensors, filled = flat(case)

    def once() -> None:
        out = function(*filled(*tensors).values())
        torch.autograd.grad(out, tensors, torch.ones_like(out))

    taken: dict[str, list[float]] = {"one pass": [], **{tool: [] for tool in TOOLS}}
    for run in range(runs):
        for tool, times in taken.items():
            if tool == "gradcheck slow" and run >= slow_runs:
                continue
            check = once if tool == "one pass" else TOOLS[tool](name, function, case)
            started = time.perf_counter()
            check()
            times.append(time.perf_counter() - started)
    pass_time = statistics.median(taken["one pass"])
    return {tool: statistics.median(taken[tool]) / pass_time for tool in TOOLS} | {"one pass, ms": pass_time * 1e3}


# the report ----------------------------------------------------------------------------------------------------------


def report(rows: list[dict[str, Any]], times: dict[str, dict[str, float]]) -> str:
    """Both tables in plain text."""
    lines = [f"{'':<12}{'planted':>8}" + "".join(f"{tool:>18}" for tool in TOOLS), "", "found on every input"]
    for name in times:
        wrong = [row for row in rows if row["component"] == name and row["mistake"]]
        counts = [sum(row["found"][tool] == row["inputs"] for row in wrong) for tool in TOOLS]
        lines.append(f"{name:<12}{len(wrong):>8}" + "".join(f"{count:>18}" for count in counts))
    lines += ["", "cost in forward and backward passes (the median)"]
    for name, cost in times.items():
        lines.append(f"{name:<12}{'':>8}" + "".join(f"{cost[tool]:>18.1f}" for tool in TOOLS))
    rejected = [
        f"{row['component']} by {tool}" for row in rows if not row["mistake"] for tool in TOOLS if row["found"][tool]
    ]
    lines += ["", f"right functions rejected: {', '.join(rejected) or 'none'}", "", "missed on some input"]
    for tool in TOOLS:
        missed = [row for row in rows if row["mistake"] and row["found"][tool] < row["inputs"]]
        names = [f"{row['component']}, {row['mistake']} ({row['found'][tool]} of {row['inputs']})" for row in missed]
        lines.append(f"  {tool}: " + ("none" if not names else ""))
        lines += [f"      {text}" for text in names]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write every number to this file")
    parser.add_argument("--quick", action="store_true", help="one input and few runs")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    started = time.perf_counter()
    runs, slow_runs = (3, 1) if given.quick else (15, 3)
    rows = [row for name in MADE_OF for row in findings(name, 1 if given.quick else INPUTS[name])]
    times = {name: costs(name, runs, slow_runs) for name in MADE_OF}
    seconds = time.perf_counter() - started
    print(report(rows, times))
    print(f"\ntorch {torch.__version__}, one thread, {seconds:.0f} s")
    if given.json:
        body = {"torch": torch.__version__, "seconds": seconds, "findings": rows, "costs": times}
        Path(given.json).write_text(json.dumps(body, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
