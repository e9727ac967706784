"""Every level of hints shows what it says, and nothing beyond it, in every format."""

from __future__ import annotations

import pytest
from support_records import record, verdict

from harness.core.change import ProvenChange
from harness.core.hint import Hint
from harness.core.marked_line import MarkedLine
from harness.core.record import MistakeSummary, RunRecord, Status
from harness.grading.rubric import HINTS
from harness.reports import text
from harness.reports.found import Found
from harness.reports.hints import limited
from harness.reports.next_step import next_step
from harness.reports.writing import formats

DIFF = "--- a/mine.py\n+++ b/mine.py\n@@ -27,3 +27,3 @@\n     a = 1\n-    planted = 1\n+    repaired = 1\n     b = 1\n"
LINE = MarkedLine("mine.py", 28, 28, 4, 15, "    planted = 1", "planted = 1", "as_expected", mistake="part.slip")
SLIP = MistakeSummary("part.slip", "part", "You slipped.", "-    reference_wrong\n+    reference_right")
CRASH = verdict("other", "ends", Status.CRASHED, failed_cases=5, message="own message", frames=("frame of theirs",))
FAILED = verdict(
    "part",
    "agrees",
    Status.FAILED,
    failed_cases=4,
    excess=12.0,
    finding=("part.slip",),
    where="mine.py",
    line=20,
    worst="worst of all",
    smallest="the smallest case",
    case_id="abcd",
    lines=(LINE,),
    change=ProvenChange(DIFF, 21, 21),
    message="own message",
)
RUN = record(FAILED, CRASH, summaries={SLIP.name: SLIP}, hints=Hint.CHANGE)
FROM = {
    Hint.CLAIM: ("it is right", "the smallest case"),
    Hint.FINDING: ("slip", "You slipped.", "worst of all", "own message"),
    Hint.LINE: ("planted", "as_expected", "reference_right", "reference_wrong", "frame of theirs"),
    Hint.CHANGE: ("repaired", "all 21 checks", "plumbline fix"),
}
"""What is shown from a level on."""
WHOLE = ("html", "gradescope", "markdown")
"""Formats that show everything of a finding."""


def in_the_terminal(run: RunRecord) -> str:
    shown = limited(run)
    told = [text.failure(shown, group) + text.headline(shown, group) for group in text.groups(shown)]
    lines = [row.text for row in text.table(shown)]
    return "\n".join([*told, *Found().new(shown), *lines, *text.notes(shown), *next_step(shown)])


@pytest.mark.parametrize("level", Hint)
def test_nothing_beyond_the_level_is_shown(level: Hint) -> None:
    """In no format and not in the terminal; what the level allows is there where a finding is shown in full."""
    run = record(FAILED, CRASH, summaries={SLIP.name: SLIP}, hints=level)
    levels = list(Hint)
    texts = {"terminal": in_the_terminal(run), **{name: one.render(run) for name, one in formats().items()}}
    for later in levels[levels.index(level) + 1 :]:
        for name, shown in texts.items():
            assert not [word for word in FROM[later] if word in shown.replace("<wbr>", "")], (name, later)
    for earlier in levels[: levels.index(level) + 1]:
        for name in ("terminal", *WHOLE):
            assert all(word in texts[name].replace("<wbr>", "") for word in FROM[earlier]), (name, earlier)


def test_the_place_is_the_line_only_where_lines_are_shown() -> None:
    """Below that, services show the failure where the component is defined."""
    shown = {level: formats()["github"].render(limited(RUN, level)) for level in Hint}
    assert all("line=20," in shown[level] for level in (Hint.CLAIM, Hint.FINDING))
    assert all("line=28,col=5,endColumn=15," in shown[level] for level in (Hint.LINE, Hint.CHANGE))
    junit = {level: formats()["junit"].render(limited(RUN, level)) for level in Hint}
    assert ["mine.py:28" in junit[level] for level in Hint] == [False, False, True, True]


def test_the_record_itself_keeps_everything() -> None:
    """A report of another level can be made of it later."""
    assert limited(RUN) == RUN and limited(RUN, Hint.CLAIM).verdicts[0].finding == ()
    assert RUN.verdicts[0].change is not None and RUN.verdicts[0].finding == ("part.slip",)
    assert limited(limited(RUN, Hint.LINE)) == limited(RUN, Hint.LINE)


def test_what_passed_or_is_to_do_is_told_at_every_level() -> None:
    """Its message is no hint."""
    run = record(verdict("part", "agrees", Status.TO_DO, message="it raises NotImplementedError"), hints=Hint.CLAIM)
    assert limited(run).verdicts == run.verdicts


def test_courses_choose_among_the_same_levels() -> None:
    assert tuple(level.value for level in Hint) == HINTS
