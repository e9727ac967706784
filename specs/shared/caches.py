"""Caches of keys and values: their calls, scripts that split a sequence into chunks, and claims about every cache."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Signature
from harness.strategies.tensors import tensors
from specs.naming.parameters import ATTENTION
from specs.shared.attention import attention_weights, head_sizes

CHUNK = Signature((Argument("x", "float[batch, time, width]"),), "float[batch, time, width]")
CALLS = {
    "build": Signature(
        (*ATTENTION, Argument("n_heads", "int", role="setting"), Argument("context", "int", role="setting")),
        "the cache, empty",
    ),
    "prefill": CHUNK,
    "step": Signature((Argument("x", "float[batch, 1, width]"),), "float[batch, 1, width]"),
    "extend": CHUNK,
    "length": Signature((), "float"),
    "reset": Signature((), "nothing"),
}
OPTIONAL_METHODS = frozenset({"extend", "length", "reset"})
CHUNK_METHODS = ("prefill", "step", "extend")
FAMILIES = ("normal", "small integers", "wide", "repeated rows")


@st.composite
def scripts(draw: st.DrawFn, /, families: Sequence[str] = FAMILIES, most_heads: int = 4, **settings: Any) -> Case:
    """build, a prefill of any length, then chunks of one or several positions until the sequence ends.

    A third of the scripts are split into chunks of two, the prefill included: they show what a cache keeps from one
    chunk for the next one of the same length. In a third of the cases the context is as long as the sequence.
    """
    sizes = draw(head_sizes(most_time=8, most_batch=3, most_heads=most_heads))
    time = sizes.pop("time")
    most = draw(st.sampled_from((3, 1, 2)))
    lengths = [min(2, time) if most == 2 else draw(st.integers(1, time))]
    while sum(lengths) < time:
        left = min(most, time - sum(lengths))
        lengths.append(left if most == 2 else draw(st.integers(1, left)))
    x, family = draw(tensors((sizes["batch"], time, sizes["width"]), families))
    weights = draw(attention_weights(sizes["width"], sharpness=draw(st.sampled_from((1.5, 0.5, 4.0)))))
    context = time + draw(st.sampled_from((3, 0, 1)))
    build = Call("build", {**weights, "n_heads": sizes["heads"], "context": context, **settings})
    cut = "+".join(map(str, lengths))
    return Case((build, *chunks_of(x, lengths)), sizes, f"{family}, cut {cut} of {context}")


@st.composite
def overflowing(draw: st.DrawFn) -> Case:
    """Steps, or one chunk of two positions, after the context is full."""
    case = draw(scripts(("normal",)))
    build, *given = case.calls
    batch, _, width = given[0].arguments["x"].shape
    held = sequence(case).shape[1]
    lengths = draw(st.sampled_from(((1,), (1, 1, 1), (1, 1), (2,))))
    x, _ = draw(tensors((batch, sum(lengths), width), ("normal",), overrides=False))
    build = build.with_arguments({**build.arguments, "context": held})
    later = chunks_of(torch.cat([sequence(case), x], 1), (held, *lengths))[1:]
    family = f"{held + sum(lengths)} positions in a context of {held}"
    return Case((build, *given, *later), {**case.dimensions, "fitting": len(given)}, family)


@st.composite
def unusable(draw: st.DrawFn) -> Case:
    """A number of heads that does not divide the width, or an x of another width."""
    case = draw(scripts(("normal",)))
    build, first = case.calls[:2]
    x, width = first.arguments["x"], first.arguments["x"].shape[-1]
    if draw(st.booleans()):
        wider = first.with_arguments({"x": torch.cat([x, x[..., :1]], -1)})
        return Case((build, wider), case.dimensions, "an x that is one wider than the weights")
    build = build.with_arguments({**build.arguments, "n_heads": width + 1})
    return Case((build, first), case.dimensions, f"width {width} with {width + 1} heads")


def chunks_of(x: torch.Tensor, lengths: Sequence[int]) -> tuple[Call, ...]:
    """The sequence split into chunks of these lengths; the first is the prefill."""
    calls, at = list[Call](), 0
    for length in lengths:
        method = "prefill" if not calls else "step" if length == 1 else "extend"
        calls.append(Call(method, {"x": x[:, at : at + length].contiguous()}))
        at += length
    return tuple(calls)


def sequence(case: Case) -> torch.Tensor:
    """All positions of a script in one tensor [batch, time, width]."""
    return torch.cat([call.arguments["x"] for call in case.calls if call.method in CHUNK_METHODS], 1)


def recut(case: Case, lengths: Sequence[int]) -> Case:
    """The same sequence split into other chunks."""
    return replace(case, calls=(case.calls[0], *chunks_of(sequence(case), lengths)))


def joined(case: Case, outputs: Sequence[Any]) -> torch.Tensor:
    """The outputs for the whole sequence; raises Violation where one has another shape than its chunk."""
    found = []
    for call, output in zip(case.calls, outputs, strict=True):
        if call.method in CHUNK_METHODS:
            x = call.arguments["x"]
            expected = x.shape
            if torch.is_tensor(output) and not x.is_floating_point():  # a whole model gives logits for ids
                expected = (*x.shape, *output.shape[2:3])
            if not torch.is_tensor(output) or output.shape != expected or output.dim() < 3:
                form = f"shape {list(output.shape)}" if torch.is_tensor(output) else f"a {type(output).__name__}"
                raise Violation(f"{call.method}() returned {form}; expected shape {list(expected)}")
            found.append(output)
    return torch.cat(found, 1)


def another(x: torch.Tensor) -> torch.Tensor:
    """Other numbers for a chunk, or other ids: id 0 and id 1 are in every vocabulary."""
    return 0.3 - 0.8 * x if x.is_floating_point() else (x == 0).to(x.dtype)


ROUNDED = 256 * torch.finfo(torch.float32).eps
"""Of the largest logit: what rounding in float32 inside a model may be, though all else is float64."""


def bound(trial: Trial, *cases: Case) -> float:
    """The tolerance for comparing whole sequences: the sum over these cases of the largest tolerance of a chunk.

    The reference of a whole model is that model, and rounds as it does: then float32 is allowed for.
    """
    total = 0.0
    for case in cases:
        total += max(float(spread) for spread in trial.spread(case) if spread is not None)
        if not sequence(case).is_floating_point():
            total += ROUNDED * max(float(v.abs().max()) for v in trial.expect(case).outputs if torch.is_tensor(v))
    return total


# claims --------------------------------------------------------------------------------------------------------------


@claim("two caches in use at the same time do not affect each other", aliases=("two_in_flight_do_not_mix",))
def instances_are_independent(trial: Trial) -> None:
    """Two caches get chunks of different sequences in turn."""
    other = replace(
        trial.case,
        calls=tuple(
            call if call.method == "build" else call.with_arguments({"x": another(call.arguments["x"])})
            for call in trial.case.calls
        ),
    )
    both = [c for one, two in zip(trial.case.calls, other.calls, strict=True) for c in (one, replace(two, of="other"))]
    outputs = trial.run(replace(trial.case, calls=tuple(both)), fresh=True).outputs
    for case, found in ((trial.case, outputs[::2]), (other, outputs[1::2])):
        alone = joined(case, trial.run(case).outputs)
        what = "with a second cache in use at the same time, out"
        trial.close(joined(case, found), alone, bound(trial, case), what)


@claim("length() returns the number of positions fed so far", aliases=("length_is_what_was_given",))
def length_counts_positions(trial: Trial) -> None:
    """length() follows every chunk."""
    time, length = 0, Call("length", {})
    calls = [trial.case.calls[0]]
    for call in trial.case.calls[1:]:
        calls += [call, length]
    answer = trial.run(replace(trial.case, calls=tuple(calls)))
    for call, output in zip(calls, answer.outputs, strict=True):
        if call.method in CHUNK_METHODS:
            time += call.arguments["x"].shape[1]
        elif call.method == "length" and float(output) != time:
            raise Violation(f"after {time} positions length() returns {float(output):g}")


@claim("after reset() the cache behaves as if newly built", aliases=("reset_forgets",))
def reset_clears_the_cache(trial: Trial) -> None:
    """After reset() the same sequence gives the same output, and length() is 0 before it."""
    build, *given = trial.case.calls
    with suppress(NotSupported):
        counted = trial.run(replace(trial.case, calls=(build, *given, Call("reset", {}), Call("length", {})))).value
        if float(counted) != 0:
            raise Violation(f"after reset() length() returns {float(counted):g}; expected 0")
    twice = replace(trial.case, calls=(build, *given, Call("reset", {}), *given))
    found = trial.run(twice).outputs[-len(given) :]
    first = joined(trial.case, trial.run().outputs)
    out = joined(replace(trial.case, calls=tuple(given)), found)
    trial.close(out, first, bound(trial, trial.case), "after reset(), out")


# memory --------------------------------------------------------------------------------------------------------------


def bytes_after(trial: Trial, case: Case, calls: int, dtype: torch.dtype) -> float:
    """The bytes that the object holds after this number of calls of the script."""
    answer = trial.run(replace(case, calls=case.calls[:calls]), dtype=dtype, weigh=True, fresh=True)
    if "bytes" not in answer.facts:
        raise NotSupported("the memory it holds cannot be measured")
    return float(answer.facts["bytes"])
