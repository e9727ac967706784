"""Every face of a run: what its readers demand of its shape, and that nothing in somebody's words breaks it."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from support_formats import Page
from support_records import BUSY, EMPTY, FINE, record, verdict

from harness.cli import main
from harness.core.note import Note, NoteCode
from harness.core.record import RunRecord, Status
from harness.reports import json_file
from harness.reports.github_job import MOST_BYTES, append_summary
from harness.reports.writing import UnknownFormat, destinations, formats


@pytest.mark.parametrize("name", formats())
@pytest.mark.parametrize("run", [BUSY, FINE, EMPTY], ids=["busy", "fine", "empty"])
def test_every_format_takes_every_record(name: str, run: RunRecord) -> None:
    """Text that ends a line, that can be written as UTF-8, and that is the same twice."""
    text = formats()[name].render(run)
    assert text == formats()[name].render(run) and (not text or text.endswith("\n"))
    text.encode()
    assert formats()[name].meaning and formats()[name].file


def test_csv_has_a_row_for_every_check_and_no_formula() -> None:
    """Read back by the standard library; what a spreadsheet would run is text."""
    rows = list(csv.DictReader(io.StringIO(formats()["csv"].render(BUSY))))
    assert [(row["component"], row["claim"]) for row in rows] == [(v.component, v.claim) for v in BUSY.verdicts]
    assert rows[0]["error_over_tolerance"] == "12" and rows[0]["finding"] == "part.slip"
    assert all(not value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_junit_counts_and_keeps_legal_characters() -> None:
    """Failures, errors and skips as JUnit means them; control characters have no place in XML."""
    suites = ElementTree.fromstring(formats()["junit"].render(BUSY))
    counts = {s.get("name"): tuple(s.get(k) for k in ("tests", "failures", "errors", "skipped")) for s in suites}
    assert counts == {
        "part": ("2", "1", "0", "0"),
        "other": ("1", "0", "1", "0"),
        "whole": ("1", "0", "0", "1"),
        "absent": ("1", "0", "0", "1"),
    }
    properties = {p.get("name"): p.get("value") for p in suites.iter("property")}
    assert properties["finding"] == "part.slip" and properties["error_over_tolerance"] == "0.5"
    assert "\x07" not in formats()["junit"].render(BUSY)


def test_ctrf_tells_milliseconds_and_states() -> None:
    """Its own states, and ours beside them."""
    body = json.loads(formats()["ctrf"].render(BUSY))
    summary, tests = body["results"]["summary"], body["results"]["tests"]
    assert summary["stop"] - summary["start"] == 2500
    assert [(t["status"], t["rawStatus"]) for t in tests] == [
        ("failed", Status.FAILED),
        ("passed", Status.PASSED),
        ("failed", Status.CRASHED),
        ("skipped", Status.NOT_APPLICABLE),
        ("pending", Status.TO_DO),
    ]


def test_gradescope_gives_shares_of_points_and_shows_the_finding() -> None:
    """Scores within their maximum, the finding as the output of its component, nothing hidden."""
    body = json.loads(formats()["gradescope"].render(BUSY))
    tests = {test["name"]: test for test in body["tests"]}
    assert {n: t.get("score") for n, t in tests.items()} == {"part": 0.5, "other": 0.0, "whole": None, "absent": 0.0}
    assert "You slipped" in tests["part"]["output"] and tests["part"]["status"] == "failed"
    assert tests["whole"]["status"] == "passed"  # not offered: a row without points


def test_gitlab_fingerprints_are_unique_and_survive_moved_lines() -> None:
    """One issue per finding, with GitLab's severities."""
    issues = json.loads(formats()["gitlab"].render(BUSY))
    moved = replace(BUSY, verdicts=[replace(v, line=v.line + 10) for v in BUSY.verdicts])
    marks = [issue["fingerprint"] for issue in issues]
    assert len(issues) == 2 and len(set(marks)) == 2
    assert marks == [issue["fingerprint"] for issue in json.loads(formats()["gitlab"].render(moved))]
    assert issues[0]["location"] == {"path": "src/mine.py", "lines": {"begin": 7}}
    assert {issue["severity"] for issue in issues} <= {"info", "minor", "major", "critical", "blocker"}


def test_github_annotations_are_one_line_each_and_at_most_ten() -> None:
    """Their words cannot end a command or begin another; what GitHub would drop is told in the last one."""
    lines = formats()["github"].render(BUSY).splitlines()
    assert len(lines) == 2 and all(line.startswith("::error ") for line in lines)
    assert lines[0].startswith("::error file=src/mine.py,line=7,title=part.slip::You slipped: 100%25")
    names = tuple(f"c{i}" for i in range(14))
    many = record(*(verdict(n, "agrees", Status.FAILED, failed_cases=1, message=n) for n in names), order=names)
    lines = formats()["github"].render(many).splitlines()
    assert len(lines) == 10 and "title=and 5 more::" in lines[-1] and "c13" in lines[-1]


def test_markdown_says_of_each_component_why_no_check_ran() -> None:
    """What is not applicable is nothing to do."""
    some = record(verdict("b", "agrees", Status.NOT_APPLICABLE), verdict("c", "agrees", Status.TO_DO), order=["b", "c"])
    text = formats()["markdown"].render(some)
    assert "Not applicable: b." in text and "To do: c." in text


def test_markdown_tells_the_verdict_the_findings_and_the_facts() -> None:
    """Their words are no markup, outside the fenced blocks."""
    text = formats()["markdown"].render(BUSY)
    outside = re.sub(r"```.*?```", "", text, flags=re.S)
    assert "**2 of 2 components failed (2 checks failed).**" in text and "-    wrong" in text
    assert not re.search(r"(?<!\\)<script", outside) and "holds 96 bytes (counted)" in outside
    assert "The run was interrupted." in formats()["markdown"].render(EMPTY)


def test_what_is_excused_fails_nothing_and_is_told() -> None:
    """Neither held nor wrong, with its reason wherever there is a place for one."""
    excused = verdict(
        "part", "agrees", Status.FAILED, failed_cases=1, message="off by 3", excused="expected: rewritten in 214"
    )
    run = record(excused, verdict("other", "agrees"))
    texts = {name: formats()[name].render(run) for name in formats()}
    for name in ("html", "markdown", "junit", "ctrf", "csv"):
        assert "rewritten in 214" in texts[name], name
    assert json.loads(texts["gitlab"]) == [] and not texts["github"]
    assert "The only implemented component passed" in texts["html"] and "1 excused" in Page(texts["html"]).text
    suites = ElementTree.fromstring(texts["junit"])
    assert (suites.get("failures"), suites.get("skipped")) == ("0", "1")
    assert [t["status"] for t in json.loads(texts["ctrf"])["results"]["tests"]] == ["other", "passed"]


@pytest.mark.parametrize(
    ("run", "message", "color"),
    [(BUSY, "0/2, 1 to do", "red"), (FINE, "2/2", "brightgreen"), (EMPTY, "to do", "lightgrey")],
)
def test_the_badge_is_what_shields_reads(run: RunRecord, message: str, color: str) -> None:
    """Schema version 1, a label, a message, a color."""
    badge = json.loads(formats()["badge"].render(run))
    assert (badge["schemaVersion"], badge["message"], badge["color"]) == (1, message, color)


def test_destinations_are_read_piece_by_piece() -> None:
    """A path is the record's, a format has its usual file or a given one; anything else is told with what there is."""
    found = destinations("out/run.json, markdown,csv:a/b.csv")
    assert found.record == "out/run.json" and found.faces == (("markdown", "plumbline.md"), ("csv", "a/b.csv"))
    assert destinations("badge").record == ".plumbline/run.json"
    with pytest.raises(UnknownFormat, match=r"'htlm' is neither .*markdown"):
        destinations("htlm")


def test_a_kept_record_is_written_again_without_judging(tmp_path, monkeypatch, capsys) -> None:
    """To its usual file, to a folder, to the screen; wrong use is told."""
    monkeypatch.chdir(tmp_path)
    json_file.write(BUSY, tmp_path / ".plumbline" / "run.json")
    assert main(["report", "--to", "markdown"]) == 0 and (tmp_path / "plumbline.md").read_text().startswith(
        "# Plumbline"
    )
    assert main(["report", "--to", "csv,badge", "-o", "out"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["badge.json", "checks.csv"]
    capsys.readouterr()
    assert main(["report", "--to", "badge", "-o", "-"]) == 0 and json.loads(capsys.readouterr().out)["color"] == "red"
    for wrong, told in (
        (["--to", "markdwn"], "did you mean markdown?"),
        (["none.json"], "pytest --impl=mymodel` writes it"),
    ):
        assert main(["report", *wrong]) == 4
        assert told in capsys.readouterr().err
    (tmp_path / "half.json").write_text('{"version": 1, "impl": ')
    assert main(["report", "half.json"]) == 4


def test_the_summary_of_a_job_is_appended_and_cut(tmp_path, monkeypatch) -> None:
    """Only inside a workflow, and never longer than GitHub takes."""
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    append_summary(BUSY)
    assert file.read_text() == "before\n"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    append_summary(replace(BUSY, notes=tuple(Note("", NoteCode.OTHER, f"{n} " * 400) for n in range(1000))))
    assert file.read_text().startswith("before\n# Plumbline") and file.stat().st_size < MOST_BYTES + 200
    assert "longer than GitHub takes" in file.read_text()
