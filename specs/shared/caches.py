"""What caches of keys and values have in common: calls, scripts that cut a sequence anywhere, and claims."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Crashed, NotSupported, Trial, Violation
from harness.core.contract import Argument, Signature
from harness.strategies.tensors import tensors
from specs.naming.parameters import ATTENTION
from specs.shared.attention import attention_weights, head_sizes

PIECE = Signature((Argument("x", "float[batch, time, width]"),), "float[batch, time, width]")
CALLS = {
    "build": Signature(
        (*ATTENTION, Argument("n_heads", "integer", role="setting"), Argument("context", "integer", role="setting")),
        "the cache, empty",
    ),
    "prefill": PIECE,
    "step": Signature((Argument("x", "float[batch, 1, width]"),), "float[batch, 1, width]"),
    "extend": PIECE,
    "length": Signature((), "number"),
    "reset": Signature((), "nothing"),
}
OPTIONAL_METHODS = frozenset({"extend", "length", "reset"})
PIECES = ("prefill", "step", "extend")
FAMILIES = ("normal", "small integers", "wide", "repeated rows")


@st.composite
def scripts(draw: st.DrawFn, /, families: Sequence[str] = FAMILIES, most_heads: int = 4, **settings: Any) -> Case:
    """build, a prefill of any length, then positions one by one or several at once, until the sequence ends.

    One script in three is cut in pieces of two, the prefill among them: what is kept from one piece for the next of
    as many positions shows there. The context is just as long as the sequence in one case of three, else longer.
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
    return Case((build, *pieces(x, lengths)), sizes, f"{family}, cut {cut} of {context}")


@st.composite
def overflowing(draw: st.DrawFn) -> Case:
    """Steps (or one piece of two positions) follow where the context is full already."""
    case = draw(scripts(("normal",)))
    build, *given = case.calls
    batch, _, width = given[0].arguments["x"].shape
    held = sequence(case).shape[1]
    lengths = draw(st.sampled_from(((1,), (1, 1, 1), (1, 1), (2,))))
    x, _ = draw(tensors((batch, sum(lengths), width), ("normal",), overrides=False))
    build = build.with_arguments({**build.arguments, "context": held})
    later = pieces(torch.cat([sequence(case), x], 1), (held, *lengths))[1:]
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


def pieces(x: torch.Tensor, lengths: Sequence[int]) -> tuple[Call, ...]:
    """The sequence cut in pieces of these lengths: the first is the prefill."""
    calls, at = list[Call](), 0
    for length in lengths:
        method = "prefill" if not calls else "step" if length == 1 else "extend"
        calls.append(Call(method, {"x": x[:, at : at + length].contiguous()}))
        at += length
    return tuple(calls)


def sequence(case: Case) -> torch.Tensor:
    """All that a script gives, in one piece."""
    return torch.cat([call.arguments["x"] for call in case.calls if call.method in PIECES], 1)


def recut(case: Case, lengths: Sequence[int]) -> Case:
    """The same sequence in other pieces."""
    return replace(case, calls=(case.calls[0], *pieces(sequence(case), lengths)))


def joined(case: Case, outputs: Sequence[Any]) -> torch.Tensor:
    """What came back for the whole sequence; a piece of another shape than what was given is told at once."""
    found = []
    for call, output in zip(case.calls, outputs, strict=True):
        if call.method in PIECES:
            expected = call.arguments["x"].shape
            if not torch.is_tensor(output) or output.shape != expected:
                form = f"shape {list(output.shape)}" if torch.is_tensor(output) else f"a {type(output).__name__}"
                raise Violation(f"{call.method}() returned {form}; expected shape {list(expected)}")
            found.append(output)
    return torch.cat(found, 1)


def bound(trial: Trial, *cases: Case) -> float:
    """For comparing whole sequences: the largest tolerance of any piece, of each of these cases."""
    total = 0.0
    for case in cases:
        total += max(float(spread) for spread in trial.spread(case) if spread is not None)
    return total


# claims --------------------------------------------------------------------------------------------------------------


def any_split_gives_the_whole(trial: Trial) -> None:
    """In one piece, and one position after the other."""
    time = sequence(trial.case).shape[1]
    if time < 2:
        trial.not_applicable()
    out = joined(trial.case, trial.run().outputs)
    for lengths, what in (((time,), "in one piece"), ((1,) * time, "one position after the other")):
        other = recut(trial.case, lengths)
        theirs = joined(other, trial.run(other).outputs)
        trial.close(out, theirs, bound(trial, trial.case, other), f"compared with the same sequence {what}, out")


def chunks_are_causal(trial: Trial) -> None:
    """The last position of the last piece, replaced: what stands before it in that piece stays.

    A script that ends in a single position is cut anew: one position, then all others at once.
    """
    case, time = trial.case, sequence(trial.case).shape[1]
    if case.calls[-1].method != "extend":
        if time < 3:
            trial.not_applicable()
        case = recut(case, (1, time - 1))
    x = case.calls[-1].arguments["x"].clone()
    x[:, -1] = 10 * torch.randn(x[:, -1].shape, generator=trial.random(), dtype=torch.float64)
    other = case.changed(x=x)
    before, after = (joined(one, trial.run(one).outputs)[:, :-1] for one in (case, other))
    what = "with the last position of the last chunk changed, out before it"
    trial.close(after, before, bound(trial, case, other), what)


def two_in_flight_do_not_mix(trial: Trial) -> None:
    """Two caches with sequences of their own, given a piece each in turn."""
    other = replace(
        trial.case,
        calls=tuple(
            call if call.method == "build" else call.with_arguments({"x": 0.3 - 0.8 * call.arguments["x"]})
            for call in trial.case.calls
        ),
    )
    both = [c for one, two in zip(trial.case.calls, other.calls, strict=True) for c in (one, replace(two, of="other"))]
    outputs = trial.run(replace(trial.case, calls=tuple(both)), fresh=True).outputs
    for case, found in ((trial.case, outputs[::2]), (other, outputs[1::2])):
        alone = joined(case, trial.run(case).outputs)
        what = "with a second cache in use at the same time, out"
        trial.close(joined(case, found), alone, bound(trial, case), what)


def rows_are_independent(trial: Trial) -> None:
    """The first row alone, and the last, give what they give in the batch."""
    batch = sequence(trial.case).shape[0]
    if batch < 2:
        trial.not_applicable()
    whole = joined(trial.case, trial.run().outputs)
    for row in (0, batch - 1):
        calls = (
            call if call.method == "build" else call.with_arguments({"x": call.arguments["x"][row : row + 1].clone()})
            for call in trial.case.calls
        )
        alone = replace(trial.case, calls=tuple(calls))
        out = joined(alone, trial.run(alone).outputs)
        slack = bound(trial, trial.case, alone)
        trial.close(out, whole[row : row + 1], slack, f"row {row} alone, out")


def length_is_what_was_given(trial: Trial) -> None:
    time, asked = 0, Call("length", {})
    calls = [trial.case.calls[0]]
    for call in trial.case.calls[1:]:
        calls += [call, asked]
    answer = trial.run(replace(trial.case, calls=tuple(calls)))
    for call, output in zip(calls, answer.outputs, strict=True):
        if call.method in PIECES:
            time += call.arguments["x"].shape[1]
        elif call.method == "length" and float(output) != time:
            raise Violation(f"after {time} positions length() returns {float(output):g}")


def reset_forgets(trial: Trial) -> None:
    """After a reset a sequence gives what it gives to a new cache, and nothing is counted as held."""
    build, *given = trial.case.calls
    with suppress(NotSupported):
        counted = trial.run(replace(trial.case, calls=(build, *given, Call("reset", {}), Call("length", {})))).value
        if float(counted) != 0:
            raise Violation(f"after reset() length() returns {float(counted):g}; expected 0")
    again = replace(trial.case, calls=(build, *given, Call("reset", {}), *given))
    half = len(given)
    found = trial.run(again).outputs[-half:]
    first = joined(trial.case, trial.run().outputs)
    out = joined(replace(trial.case, calls=tuple(given)), found)
    trial.close(out, first, bound(trial, trial.case), "after reset(), out")


def rounds_like_full_attention(trial: Trial) -> None:
    exact, tolerance = trial.agreement(dtype=torch.float32)
    out = trial.run(dtype=torch.float32).outputs
    trial.close(out, exact.outputs, tolerance.outputs, "out")


def accurate_in_half_precision(trial: Trial) -> None:
    """In every dtype in which a prefill works a step works too, gives that dtype, and is at most 4 times less accurate
    than the reference there. (A cache kept in another dtype than what comes meets it at the first step.)"""
    refused, time = ([], sequence(trial.case).shape[1])
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        try:
            first = trial.attempt(recut(trial.case, (time,)), dtype=dtype)
        except NotSupported as error:  # one of the two at least: numpy has no bfloat16
            refused.append(f"{name} ({error})")
            continue
        if first.crash is not None:
            refused.append(f"{name} ({first.crash.error})")
            continue
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            raise Crashed(answer)
        out = joined(trial.case, answer.outputs)
        if out.dtype != first.value.dtype:
            kinds = [str(value.dtype).removeprefix("torch.") for value in (first.value, out)]
            raise Violation(f"in {name}, prefill returns {kinds[0]} but steps return {kinds[1]}")
        exact, tolerance = trial.agreement(dtype=dtype)
        slack = max(float(piece) for piece in tolerance.outputs if piece is not None)
        trial.close(out, joined(trial.case, exact.outputs), slack, f"out in {name}")
    if len(refused) == 2:
        raise NotSupported("it does not run in " + " or ".join(refused))


# memory --------------------------------------------------------------------------------------------------------------


def bytes_after(trial: Trial, case: Case, calls: int, dtype: torch.dtype) -> float:
    """What the object holds after so many lines of the script."""
    answer = trial.run(replace(case, calls=case.calls[:calls]), dtype=dtype, weigh=True, fresh=True)
    if "bytes" not in answer.facts:
        raise NotSupported("the memory it holds cannot be measured")
    return float(answer.facts["bytes"])
