"""What comes from a process is read field by field: names of files, words, numbers, shapes of records."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core import spent
from harness.core.implementation import Answer, Crash, CrashKind, Effect, EffectKind, Offer, OfferKind, Phase
from harness.core.steps import Place, Site, Step
from harness.isolation.answers import (
    MOST_WORDS,
    answer_of,
    crash_of,
    file,
    offer_of,
    packed_answer,
    packed_offer,
    words,
)
from harness.isolation.packing import Packer
from harness.isolation.unpacking import ProtocolError, Unpacker

HERE = os.path.realpath(__file__)


def there_and_back(answer: Answer) -> Answer:
    packer = Packer()
    packed = json.loads(json.dumps(packed_answer(packer, answer)))
    packer.finish()
    return answer_of(Unpacker([bytearray(blob) for blob in packer.blobs]), packed)


def test_a_whole_answer() -> None:
    place = Place(HERE, 3, 4, 0, 7, 1)
    value = torch.arange(3.0)
    step = Step(
        Site(((HERE, 1, 2),), (4,)), 1, place, "add", (-1,), (value, None), (value,), (True, False), True, (place,)
    )
    answer = Answer(
        (value, {"a": [1, "b"]}),
        {"x": value, "y": None},
        (Effect(EffectKind.ARGUMENT, "x was written to", "x", "call", Phase.BACKWARD),),
        Crash(CrashKind.TIMED_OUT, "TimedOut", "too long", ("a frame",), Phase.BACKWARD, 2),
        {"bytes": 12.0},
        (step,),
    )
    found = there_and_back(answer)
    assert torch.equal(found.outputs[0], value) and found.outputs[1] == {"a": [1, "b"]}
    assert torch.equal(found.gradients["x"], value) and found.gradients["y"] is None
    assert (found.effects, found.crash, found.facts) == (answer.effects, answer.crash, answer.facts)
    one = found.steps[0]
    assert (one.site, one.turn, one.place, one.name, one.inputs) == (step.site, 1, place, "add", (-1,))
    assert one.values[0] is one.read[0] is found.outputs[0] and one.values[1] is None
    assert (one.grows, one.reads_gradient, one.outer) == ((True, False), True, (place,))


def test_an_offer() -> None:
    offer = Offer("gelu", HERE, 3, OfferKind.CLASS, ("bias",), ("a note",), ("backward", HERE, 9), "", "needs", ("x",))
    assert offer_of(json.loads(json.dumps(packed_offer(offer)))) == offer
    assert offer_of(None) is None


GOOD: dict[str, Any] = {"outputs": [], "gradients": [], "effects": [], "crash": None, "facts": {}, "steps": []}


@pytest.mark.parametrize(
    "other",
    [
        {"outputs": None},
        {"outputs": {}},
        {"gradients": {"x": 1}},
        {"gradients": [[1, 2]]},
        {"effects": [["argument"]]},
        {"effects": [["no such kind", "", "", "", "forward"]]},
        {"crash": ["raised", "", "", "not a list", "forward", 0]},
        {"crash": ["raised", "", "", [], "forward", True]},
        {"facts": {"bytes": "many"}},
        {"facts": []},
        {"steps": [{}]},
        {"status": "passed"},
    ],
    ids=str,
)
def test_no_answer(other: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        answer_of(Unpacker([]), {**GOOD, **other})
    assert answer_of(Unpacker([]), GOOD).outputs == ()


def test_words_do_not_steer_a_terminal() -> None:
    assert words("a\x1b[31m\u202e\tb\n") == "a?[31m?\tb\n"
    assert len(words("x" * 10 * MOST_WORDS)) < MOST_WORDS + 10
    crash = crash_of(["raised", "E\x07", "\x1b", [], "forward", 0])
    assert crash.error == "E?" and crash.message == "?"


def test_only_code_is_read(tmp_path: Path) -> None:
    """Not a device, a pipe, a secret that a link with the right ending leads to, or a huge file."""
    plain = tmp_path / "mine.py"
    plain.write_text("x = 1\n")
    secret = tmp_path / "secret.txt"
    secret.write_text("s")
    (tmp_path / "link.py").symlink_to(secret)
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    with (tmp_path / "huge.py").open("wb") as huge:
        huge.truncate(1 << 30)
    assert file(str(plain)) == str(plain) and file("<string>") == "<string>"
    wrong = ("link.py", "zero.py", "huge.py", "secret.txt", "nowhere.py")
    assert [file(str(tmp_path / name)) for name in wrong] == [""] * len(wrong)
    assert file("mine.py") == file("/dev/stdin") == file("a\0b.py") == ""


def test_seconds_of_others_count() -> None:
    before = spent.processor_seconds()
    spent.add(5.0)
    spent.add(-3.0)
    assert 5.0 <= spent.processor_seconds() - before < 6.0
