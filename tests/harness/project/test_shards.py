"""A run in parts, and the parts as one."""

from dataclasses import replace

import pytest

from harness.core.errors import UsageError
from harness.core.note import Note, NoteCode
from harness.core.record import RunRecord, Status, Verdict
from harness.project.shards import joined, shard_of

SAME, OWN = (Note("", NoteCode.OTHER, text) for text in ("same", "own"))


def part(components: tuple[str, ...], **values) -> RunRecord:
    verdicts = [Verdict(name, "deterministic", "it is", Status.PASSED) for name in components]
    planned = dict.fromkeys(components, 1)
    record = RunRecord("mine", 3, planned, ("a", "b", "c"), {}, {}, verdicts, {}, seconds=2.0, finished=True)
    return replace(record, **values)


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_every_component_is_in_exactly_one_part(of: int) -> None:
    parts = [shard_of(f"{number}/{of}") for number in range(1, of + 1)]
    assert all(sum(shard.has(place) for shard in parts) == 1 for place in range(50))


@pytest.mark.parametrize("text", ["2", "0/3", "4/3", "a/b", "1/", "/2", "-1/2"])
def test_what_is_no_part_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="K/N"):
        shard_of(text)


def test_the_parts_joined_are_the_whole() -> None:
    whole = joined([part(("a", "c"), notes=(SAME,)), part(("b",), notes=(SAME, OWN), finished=False)], ["1", "2"])
    assert {v.component for v in whole.verdicts} == {"a", "b", "c"} and sum(whole.planned.values()) == 3
    assert whole.notes == (SAME, OWN) and whole.seconds == 4.0 and not whole.finished


def test_parts_of_different_runs_are_not_joined() -> None:
    with pytest.raises(UsageError, match="seed 3 and 4; give all shards the same --impl-seed"):
        joined([part(("a",)), part(("b",), seed=4)], ["one.json", "two.json"])
    with pytest.raises(UsageError, match=r"one\.json and two\.json both hold a::deterministic"):
        joined([part(("a",)), part(("a",))], ["one.json", "two.json"])
