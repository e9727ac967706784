"""Answers and offers as packed values, and back: every field is checked as it is read."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

import torch

from harness.core.implementation import (
    Answer,
    Crash,
    CrashKind,
    Effect,
    EffectKind,
    Offer,
    OfferKind,
    Phase,
)
from harness.core.steps import Place, Site, Step
from harness.isolation.packing import Packer
from harness.isolation.requests import packed_site
from harness.isolation.unpacking import ProtocolError, Unpacker

MOST_WORDS = 20_000
"""Characters of a text about the implementation."""
MOST_CODE = 1 << 23
"""Bytes of a file of code."""
CODE = (".py", ".pyi", ".ipynb")
MOST_ENTRIES = 100_000
"""Entries of a list in an answer: effects, steps, facts."""
T = TypeVar("T")


def packed_answer(packer: Packer, answer: Answer) -> dict[str, Any]:
    """An answer as JSON takes it."""
    return {
        "outputs": [packer.pack(output) for output in answer.outputs],
        "gradients": [[name, packer.pack(value)] for name, value in answer.gradients.items()],
        "effects": [[str(e.kind), e.text, e.argument, e.method, str(e.phase)] for e in answer.effects],
        "crash": None if answer.crash is None else packed_crash(answer.crash),
        "facts": dict(answer.facts),
        "steps": [_packed_step(packer, step) for step in answer.steps],
    }


def answer_of(unpacker: Unpacker, values: Any) -> Answer:
    """The answer. Raises ProtocolError."""
    read = _fields(values, "outputs", "gradients", "effects", "crash", "facts", "steps")
    effects = [_effect(one) for one in listed(read["effects"])]
    facts = read["facts"]
    if type(facts) is not dict or len(facts) > MOST_ENTRIES:
        raise ProtocolError("no facts")
    return Answer(
        tuple(unpacker.many(read["outputs"])),
        {words(name): value for name, value in unpacker.entries(read["gradients"])},
        tuple(effects),
        None if read["crash"] is None else crash_of(read["crash"]),
        {words(name): _number(value) for name, value in facts.items()},
        tuple(_step(unpacker, one) for one in listed(read["steps"])),
    )


def packed_crash(crash: Crash) -> list[Any]:
    """A crash as JSON takes it."""
    return [str(crash.kind), crash.error, crash.message, list(crash.frames), str(crash.phase), crash.call]


def crash_of(values: Any) -> Crash:
    """The crash. Raises ProtocolError."""
    kind, error, message, frames, phase, call = _of_length(values, 6)
    shown = tuple(words(frame) for frame in listed(frames))
    return Crash(_one_of(CrashKind, kind), words(error), words(message), shown, _one_of(Phase, phase), whole(call))


def packed_offer(offer: Offer | None) -> dict[str, Any] | None:
    """An offer as JSON takes it."""
    return None if offer is None else {**vars(offer), "kind": str(offer.kind)}


def offer_of(values: Any) -> Offer | None:
    """The offer. Raises ProtocolError."""
    if values is None:
        return None
    names = ("component", "where", "line", "kind", "absent", "notes", "by_hand", "to_do", "misfit", "plug_in")
    read = _fields(values, *names)
    by_hand = None
    if read["by_hand"] is not None:
        name, where, line = _of_length(read["by_hand"], 3)
        by_hand = (words(name), file(where), whole(line))
    return Offer(
        component=words(read["component"]),
        where=file(read["where"]),
        line=whole(read["line"]),
        kind=_one_of(OfferKind, read["kind"]),
        absent=texts(read["absent"]),
        notes=texts(read["notes"]),
        by_hand=by_hand,
        to_do=words(read["to_do"]),
        misfit=words(read["misfit"]),
        plug_in=texts(read["plug_in"]),
    )


def words(value: Any) -> str:
    """A text that is shown to a person: not too long, and without characters that steer a terminal.

    Raises ProtocolError where it is no text.
    """
    if type(value) is not str:
        raise ProtocolError("no text")
    cut = value if len(value) <= MOST_WORDS else f"{value[:MOST_WORDS]} ..."
    return "".join(one if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs") else "?" for one in cut)


def texts(values: Any) -> tuple[str, ...]:
    """Several such texts. Raises ProtocolError."""
    return tuple(words(one) for one in listed(values))


def file(value: Any) -> str:
    """The name of a file of Python code, which the judge will read: a plain one of a sensible size, whatever it is a
    link to. Empty where it is none; a name in angle brackets stands for code without a file.

    Raises ProtocolError where it is no text.
    """
    name = words(value)
    return name if name.startswith("<") or _is_code(name) else ""


@lru_cache(maxsize=4096)
def _is_code(name: str) -> bool:
    try:
        real = os.path.realpath(name)
        is_plain = os.path.isfile(real) and os.path.getsize(real) <= MOST_CODE
    except (OSError, ValueError):
        return False
    return is_plain and os.path.isabs(name) and real.endswith(CODE)


def whole(value: Any) -> int:
    """A whole number. Raises ProtocolError where it is none."""
    if type(value) is not int or abs(value) > 1 << 60:
        raise ProtocolError("no whole number")
    return value


def listed(values: Any) -> list[Any]:
    """A list that is not too long. Raises ProtocolError where it is none."""
    if type(values) not in (list, tuple) or len(values) > MOST_ENTRIES:
        raise ProtocolError("no list")
    return list(values)


def _of_length(values: Any, length: int) -> list[Any]:
    found = listed(values)
    if len(found) != length:
        raise ProtocolError(f"no list of {length}")
    return found


def _fields(values: Any, *names: str) -> dict[str, Any]:
    if type(values) is not dict or values.keys() != set(names):
        raise ProtocolError("no such record")
    return values


def _one_of(kind: Callable[[Any], T], value: Any) -> T:
    try:
        return kind(words(value))
    except ValueError:
        raise ProtocolError("no such kind") from None


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ProtocolError("no number")
    return float(value)


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise ProtocolError("neither true nor false")
    return value


def _effect(values: Any) -> Effect:
    kind, said, argument, method, phase = _of_length(values, 5)
    return Effect(_one_of(EffectKind, kind), words(said), words(argument), words(method), _one_of(Phase, phase))


# steps of a trace ----------------------------------------------------------------------------------------------------


def _packed_place(place: Place) -> list[Any]:
    return [place.file, place.line, place.end_line, place.column, place.end_column, place.function]


def _place(values: Any) -> Place:
    name, *numbers = _of_length(values, 6)
    line, end_line, column, end_column, function = map(whole, numbers)
    return Place(file(name), line, end_line, column, end_column, function)


def _packed_step(packer: Packer, step: Step) -> dict[str, Any]:
    return {
        "site": packed_site(step.site),
        "turn": step.turn,
        "place": _packed_place(step.place),
        "name": step.name,
        "inputs": list(step.inputs),
        "values": [packer.pack(value) for value in step.values],
        "read": [packer.pack(value) for value in step.read],
        "grows": list(step.grows),
        "reads_gradient": step.reads_gradient,
        "outer": [_packed_place(place) for place in step.outer],
    }


def _step(unpacker: Unpacker, values: Any) -> Step:
    names = ("site", "turn", "place", "name", "inputs", "values", "read", "grows", "reads_gradient", "outer")
    read = _fields(values, *names)
    return Step(
        _site(read["site"]),
        whole(read["turn"]),
        _place(read["place"]),
        words(read["name"]),
        tuple(map(whole, listed(read["inputs"]))),
        tuple(_tensors(unpacker.many(read["values"]), or_nothing=True)),
        tuple(_tensors(unpacker.many(read["read"]))),
        tuple(map(_truth, listed(read["grows"]))),
        _truth(read["reads_gradient"]),
        tuple(_place(one) for one in listed(read["outer"])),
    )


def _site(values: Any) -> Site:
    stack, inner = _of_length(values, 2)
    spots = [_of_length(spot, 3) for spot in listed(stack)]
    found = tuple((words(name), whole(first), whole(offset)) for name, first, offset in spots)
    return Site(found, tuple(map(whole, listed(inner))))


def _tensors(values: Iterable[Any], or_nothing: bool = False) -> Iterable[Any]:
    for value in values:
        if not (torch.is_tensor(value) or (or_nothing and value is None)):
            raise ProtocolError("no tensor")
        yield value
