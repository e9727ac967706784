"""Every face has the shape that its readers demand: of made-up records, of real runs, and whatever somebody's code
says."""

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support_benchmarks import BARE, DOUBTFUL, MACHINE, miniature
from support_browser import MODES, WIDTHS, browser, console, look, picture
from support_faces import SUBJECTS, real_record
from support_formats import CHECKS
from support_records import BUSY, EMPTY, FINE, HOSTILE, WORST, record, verdict

from harness.core.lesson import Answer, Curve, Kind, LessonResult, Outcome, Point, Relation
from harness.core.note import Note, NoteCode
from harness.core.record import RunRecord, Status
from harness.reports.writing import formats, write_report

WORDS = WORST[0]
LESSON = LessonResult(
    name="clipping",
    claim=WORDS,
    source=WORDS,
    setup=WORDS,
    outcome=Outcome.OPEN,
    answers=tuple(
        Answer(
            "saves", WORDS, WORDS, "nats", Relation.ABOVE, 0.1, Kind.MEAN, Outcome.OPEN, middle, low, high, p, (middle,)
        )
        for middle, low, high, p in ((0.4, 0.3, 0.5, 0.001), (math.nan, -math.inf, math.inf, None))
    ),
    seeds=4,
    seconds=1.0,
    budget=120.0,
    across=WORDS,
    up=WORDS,
    log_across=True,
    log_up=True,
    curves=(Curve(WORDS, (Point(1.0, 2.0, 1.5, 2.5), Point(10.0, 0.0, math.nan, math.inf))),),
    arms=(WORDS,),
    own=(WORDS,),
    caveat=WORDS,
    problem=WORDS,
    left_out=(WORDS,),
)
"""A lesson with numbers that no plot has a place for."""
MADE_UP = {
    "busy": BUSY,
    "fine": FINE,
    "empty": EMPTY,
    "hostile": HOSTILE,
    "excused": record(
        verdict("part", "agrees", Status.FAILED, failed_cases=1, message="off", excused="expected: why"),
        verdict("other", "agrees"),
    ),
    "lessons": record(verdict("part", "agrees"), lessons=[LESSON]),
    "timed": record(verdict("part", "agrees"), benchmarks=[miniature(), DOUBTFUL, BARE], machine=MACHINE),
}


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder that all processes of this test run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


def test_every_face_has_a_reader() -> None:
    assert set(CHECKS) == set(formats())


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("run", MADE_UP.values(), ids=MADE_UP)
def test_made_up_records(name: str, run: RunRecord) -> None:
    CHECKS[name](formats()[name].render(run), run)


@pytest.mark.parametrize("words", WORST, ids=range(len(WORST)))
def test_nobodys_words_break_a_face(words: str) -> None:
    """Each alone, wherever somebody's words may stand; what is shown is short enough to be read."""
    run = replace(
        HOSTILE,
        impl=words,
        notes=(Note("", NoteCode.OTHER, words),),
        verdicts=[replace(v, message=words) for v in HOSTILE.verdicts],
    )
    for name, check in CHECKS.items():
        text = formats()[name].render(run)
        check(text, run)
        text.encode()
        assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
        assert len(text) < 200_000


@pytest.mark.parametrize("implementation", SUBJECTS)
def test_real_runs(implementation: str, shared: Path) -> None:
    """The reference holds, a library's model too; the student's file has its three mistakes named, in every face for
    people."""
    run = real_record(implementation, shared)
    texts = {name: formats()[name].render(run) for name in CHECKS}
    for name, check in CHECKS.items():
        check(texts[name], run)
    found = {name for v in run.verdicts for name in v.finding}
    mistakes = {"gelu.variant=erf", "layer_norm.unbiased_variance", "attention.scaled_by_width"}
    if implementation != "student":
        assert not found and "What is wrong" not in texts["html"]
        return
    assert mistakes <= found
    for name in ("html", "markdown", "gradescope", "gitlab", "github", "junit", "csv", "ctrf"):
        assert all(mistake in texts[name].replace("_<wbr>", "_").replace("\\_", "_") for mistake in mistakes), name
    (maps,) = [fact for fact in run.measurements if fact.grids]
    assert (
        maps.value is not None
        and maps.value > 0.01
        and "yours" in texts["html"]
        and "reference, head 1" in texts["html"]
    )


@pytest.mark.skipif(not browser(), reason="there is no Chromium on this machine")
@pytest.mark.parametrize("implementation", [*SUBJECTS, "hostile", "timed"])
def test_the_page_in_a_browser(implementation: str, shared: Path, tmp_path: Path) -> None:
    """Nothing sticks out of the page, all text can be read, light and dark, and the browser has nothing to complain of.

    With PLUMBLINE_ARTEFACTS=FOLDER pages and pictures are kept there, to be looked at.
    """
    page = tmp_path / f"{implementation}.html"
    run = MADE_UP[implementation] if implementation in MADE_UP else real_record(implementation, shared)
    write_report("html", run, page)
    kept = os.environ.get("PLUMBLINE_ARTEFACTS")
    for mode, width in zip(MODES, WIDTHS, strict=True):  # each once: what is wide does not depend on the colours
        seen = look(page, width, mode, tmp_path)
        assert seen["width"] == width and seen["texts"] > 30
        assert seen["scroll"] <= seen["width"] and not seen["wide"], f"{width} px: {seen}"
        assert seen["least"] >= 4.5, f"{mode}: {seen['low']}"
    assert not console(page, tmp_path)
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        write_report("html", run, Path(kept) / page.name)
        for mode in MODES:
            for width in WIDTHS:
                height = min(look(page, width, mode, tmp_path)["height"], 16_000)
                picture(page, width, mode, height, Path(kept) / f"{implementation}-{width}-{mode}.png", tmp_path)


@pytest.mark.skipif(not browser(), reason="there is no Chromium on this machine")
def test_the_browser_would_notice(tmp_path: Path) -> None:
    """A page that is too wide, that cannot be read, and that wants something from elsewhere."""
    page = tmp_path / "bad.html"
    page.write_text(
        '<!doctype html><html><head><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "</head><body style='background:#fff'><p style='color:#aaa;width:900px'>pale and wide</p>"
        "<img src='picture.png'></body></html>"
    )
    seen = look(page, WIDTHS[0], "light", tmp_path)
    assert seen["scroll"] > seen["width"] and seen["wide"] and seen["least"] < 4.5 and "pale" in seen["low"][0]
    assert any("Content Security Policy" in line for line in console(page, tmp_path))
