"""A gate before merging: only what is new fails, what is expected has a reason, and what is stale is named."""

from dataclasses import replace

import pytest
from support_records import record, verdict

from harness.core.claim import Claim
from harness.core.errors import UsageError
from harness.core.record import Status
from harness.project.expected_failures import Gate, gate
from harness.project.names import Names
from harness.reports import json_file, text

CLAIMS = {
    name: [Claim("agrees", "it agrees", lambda trial: None), Claim("grows", "it grows", lambda trial: None)]
    for name in ("part", "other")
}
WRONG = verdict("part", "agrees", Status.FAILED, failed_cases=1, finding=("part.slip",))


def test_an_expected_failure_is_excused_by_its_check_or_its_component() -> None:
    """With its reason; what holds stays as it is, and other components fail as before."""
    one, whole = Gate({"part::agrees": "known since May"}), Gate({"part": "not ours"})
    for found, reason in ((one, "known since May"), (whole, "not ours")):
        judged = found.judged(WRONG)
        assert not judged.failing and judged.status == Status.FAILED and judged.excused == f"expected: {reason}"
        assert found.judged(verdict("part", "agrees")).excused == ""
        assert found.judged(replace(WRONG, component="other")).failing
    assert one.judged(replace(WRONG, claim="grows")).failing and not whole.judged(replace(WRONG, claim="grows")).failing


def test_only_what_is_new_fails_beside_a_baseline(tmp_path) -> None:
    """The same check with another mistake is new; what was fixed is listed."""
    before = record(WRONG, verdict("other", "grows", Status.CRASHED, failed_cases=1, message="no"))
    json_file.write(before, tmp_path / "before.json")
    found = gate({}, str(tmp_path / "before.json"), CLAIMS)
    assert not found.judged(WRONG).failing and "before.json too" in found.judged(WRONG).excused
    assert found.judged(replace(WRONG, finding=("part.other",))).failing
    assert found.judged(replace(WRONG, finding=())).failing
    assert found.judged(replace(WRONG, claim="grows")).failing
    now = record(found.judged(WRONG), verdict("other", "grows"))
    lines = found.lines(now)
    assert lines[0].startswith("part::agrees is failed; not new") and lines[1].endswith("before.json: other::grows")
    json_file.write(now, tmp_path / "now.json")  # excused stays excused when this run becomes the baseline
    assert not gate({}, str(tmp_path / "now.json"), CLAIMS).judged(WRONG).failing


def test_earlier_names_are_understood(tmp_path) -> None:
    """In tables and in a baseline; the failure is excused as under today's name."""
    earlier = Names({"part": {"is_near": "agrees"}}, {"part.slid": "part.slip"})
    found = gate({"pyproject.toml": {"part::is_near": "known since May"}}, "", CLAIMS, earlier)
    assert found.judged(WRONG).excused == "expected: known since May"
    json_file.write(record(replace(WRONG, claim="is_near", finding=("part.slid",))), tmp_path / "before.json")
    found = gate({}, str(tmp_path / "before.json"), CLAIMS, earlier)
    assert found.judged(WRONG).excused.startswith("not new")
    assert found.judged(replace(WRONG, finding=("part.slid_too",))).failing
    with pytest.raises(UsageError, match="part has no check 'is_far'"):
        gate({"pyproject.toml": {"part::is_far": "why"}}, "", CLAIMS, earlier)


def test_stale_entries_are_named() -> None:
    """An expected failure that holds; not one that was not judged in this run, or still fails."""
    found = Gate({"part::agrees": "old", "other": "older"})
    assert [line[:28] for line in found.lines(record(verdict("part", "agrees")))] == ["stale: part::agrees passes n"]
    assert found.lines(record(verdict("part", "grows"), verdict("other", "agrees", Status.TO_DO))) == []
    still = found.lines(record(found.judged(WRONG), verdict("part", "grows")))
    assert still == ["part::agrees is failed; expected: old"]


def test_entries_with_one_reason_are_one_defect() -> None:
    """Which of its claims break may hang on the seed: none is stale while another breaks for that reason."""
    found = Gate({"part::agrees": "it drifts", "part::grows": "it drifts", "other::grows": "older"})
    seen = record(found.judged(WRONG), verdict("part", "grows"), verdict("other", "grows"))
    assert [line[:24] for line in found.lines(seen)] == ["part::agrees is failed; ", "stale: other::grows pass"]
    assert len(found.lines(record(verdict("part", "agrees"), verdict("part", "grows")))) == 2


def test_the_table_says_that_something_is_excused() -> None:
    """It is counted among what was judged, and the verdict does not hide it."""
    line = text.table(record(Gate({"part": "why"}).judged(WRONG), verdict("part", "grows")))[1].text
    assert "1 of 2" in line and line.endswith("passed (1 excused)")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"prat::agrees": "x"}, "did you mean part?"),
        ({"part::agreed": "x"}, "did you mean agrees?"),
        ({"part::agrees": " "}, "needs a reason"),
        ("all", "must be a table of reasons"),
    ],
)
def test_a_wrong_entry_is_named(table, message) -> None:
    """With the file it stands in."""
    with pytest.raises(UsageError, match=r"pyproject\.toml") as error:
        gate({"pyproject.toml": table}, "", CLAIMS)
    assert message in str(error.value)


def test_a_baseline_that_is_none_is_refused(tmp_path) -> None:
    """Absent, or another kind of file."""
    (tmp_path / "other.json").write_text("[1]")
    for name in ("absent.json", "other.json"):
        with pytest.raises(UsageError, match=name):
            gate({}, str(tmp_path / name), CLAIMS)
