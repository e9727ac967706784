"""Lines that were found to be wrong, as the terminal shows them, and in the record."""

import json
from dataclasses import replace

from support_records import record, verdict

from harness.core.change import ProvenChange
from harness.core.claim import About
from harness.core.marked_line import Mark, MarkedLine
from harness.core.record import Status, Verdict
from harness.reports.failure import failure
from harness.reports.groups import groups
from harness.reports.marked_lines import changed_lines, fixing_lines, marked_lines, place_of
from harness.reports.plain import from_plain, to_plain

WRONG = MarkedLine("model.py", 28, 28, 12, 21, "    y = x / (std + eps)", "std + eps", "sqrt(variance + eps)")
MISSING = MarkedLine("model.py", 45, 45, 4, 9, "    a @ b", "a @ b", "product + bias", Mark.MISSING)
LONG = MarkedLine("model.py", 3, 4, 8, 9, "    y = (a\n      + b)", "a + b")
FAILED = verdict("part", "agrees", Status.FAILED, lines=(WRONG,), where="model.py", line=20)


def test_the_wrong_part_is_underlined() -> None:
    """Under the text of the line, whose margin is cut off."""
    text = marked_lines(FAILED)
    at = text.index("    y = x / (std + eps)")
    assert text[at + 1] == "            ^^^^^^^^^"
    assert text[0] == "  wrong in model.py:28:" and "`sqrt(variance + eps)`" in text[-1]


def test_what_is_missing_stands_after_a_line() -> None:
    """And a statement of several lines is shown as a whole."""
    text = "\n".join(marked_lines(verdict("part", "agrees", Status.FAILED, lines=(MISSING, LONG))))
    assert "missing after model.py:45" in text and "goes on with `product + bias`" in text
    assert "    y = (a\n      + b)" in text


def test_of_steps_too_many_the_last_speaks_for_all() -> None:
    """Two slices that shift together are told as two lines, and once that the result is right without both."""
    logits = MarkedLine("model.py", 5, 5, 13, 26, "    logits = logits[:, :-1]", "logits[:, :-1]", mark=Mark.SURPLUS)
    targets = replace(logits, line=6, end_line=6)
    text = "\n".join(marked_lines(verdict("part", "agrees", Status.FAILED, lines=(logits, targets))))
    assert text.count("one step too many in model.py") == 2 and text.count("result is right") == 1
    assert text.endswith("Without both the result is right.")
    alone = marked_lines(verdict("part", "agrees", Status.FAILED, lines=(logits,)))
    assert alone[-1].strip() == "Without it the result is right."


def test_the_failure_shows_it_and_points_there() -> None:
    """The row of the code names the marked line, not where the component begins."""
    run = record(FAILED)
    text = failure(run, groups(run)[0])
    assert "^^^^^^^^^" in text and "your code       model.py:28" in text
    assert place_of(FAILED) == ("model.py", 28)
    assert place_of(verdict("part", "agrees", Status.FAILED, where="model.py", line=20)) == ("model.py", 20)


def test_what_has_one_wrong_line_is_one_failure() -> None:
    """Whatever each check says; first to read is the one that compares all numbers."""
    jumps = replace(FAILED, claim="has_no_jumps", message="it jumps", explains=True, about=())
    numbers = replace(FAILED, about=(About.NUMBERS,))
    other = replace(FAILED, claim="refuses_text", lines=(), about=())
    one, two = groups(record(jumps, numbers, other))
    assert one.head.claim == numbers.claim and [v.claim for v in one.rest] == ["has_no_jumps"]
    assert two.head.claim == "refuses_text" and "also failed     has_no_jumps" in failure(record(jumps, numbers), one)


def test_lines_go_through_the_record_and_between_processes() -> None:
    """As plain values, and the same when they are read."""
    assert Verdict.from_dict(json.loads(json.dumps(FAILED.as_dict()))) == FAILED
    assert from_plain(Verdict, json.loads(json.dumps(to_plain(FAILED)))) == FAILED


def test_the_change_is_shown_with_its_proof() -> None:
    """The changed lines alone, a blank line between two places, and what each sign means."""
    diff = "--- a/m.py\n+++ b/m.py\n@@ -1,2 +1,2 @@\n-a = 1\n+a = 2\n b = 1\n@@ -9,2 +9,1 @@\n x\n-y\n"
    failed = replace(FAILED, change=ProvenChange(diff, 20, 21))
    lines = fixing_lines(failed)
    assert lines[-5:] == ["", "    -a = 1", "    +a = 2", "", "    -y"]
    assert "20 of 21 checks of part pass with it, and none fails (- your code, + the change):" in " ".join(lines)
    run = record(failed)
    assert "plumbline fix part --impl=mine --seed=3 --write" in failure(run, groups(run)[0])
    assert fixing_lines(FAILED) == []


def test_a_change_of_two_files_names_them() -> None:
    one = "--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"
    lines = changed_lines(one.format("m.py") + one.format("n.py"), "")
    assert lines == ["m.py:", "", "-a = 1", "+a = 2", "", "n.py:", "", "-a = 1", "+a = 2"]


def test_changes_go_through_the_record_and_between_processes() -> None:
    """As plain values, and the same when they are read."""
    failed = replace(FAILED, change=ProvenChange("diff", 3, 3))
    assert Verdict.from_dict(json.loads(json.dumps(failed.as_dict()))) == failed
    assert from_plain(Verdict, json.loads(json.dumps(to_plain(failed)))) == failed
    fine = verdict("part", "grows")
    run = record(FAILED, fine)
    run.add_change("part", failed.change)
    assert [v.change for v in run.verdicts] == [failed.change, None]
