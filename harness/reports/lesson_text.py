"""Lessons as text: their answers with figures, and the table of verdicts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from harness.core.lesson import Answer, Kind, LessonResult, Outcome

INTRODUCTION = (
    "# Lessons",
    "",
    "Claims that people repeat about building language models, each as the smallest experiment in which it can be",
    "false. This page is written by `plumbline study --markdown docs/LESSONS.md`.",
    "",
    "The arms of a lesson share data, initial weights and the order of batches, so that their differences are paired.",
    "A part of a claim holds where the whole interval of its effect lies beyond the least effect that matters. That",
    "threshold stands in the lesson's file. The interval is at 95 % over all looks; p is two-sided, of the effect",
    "against the threshold. A lesson holds where all its parts do. *Does not hold at this size* says nothing about",
    "models a thousand times as large.",
    "",
    "Sizes, steps and initial weights were chosen in pilot runs of the first two to four seeds, so that the models",
    "learn. After a pilot a few questions were added, and one was exchanged, and its threshold with it: the caveat of",
    "norm-placement says which. No other threshold was moved; `--seed 100` takes seeds that no pilot saw. The figures",
    "depend a little on the versions of torch and of Python, whose documentation is the text.",
    "",
)
HEADS = ("lesson", "verdict", "parts", "seeds", "seconds")


def figure(value: float) -> str:
    """Three digits."""
    if not math.isfinite(value):
        return "infinite" if math.isinf(value) else "not a number"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def measured(answer: Answer) -> str:
    """The effect with its interval: ``0.4 nats [0.26, 0.54]``."""
    unit = f" {answer.unit}" if answer.unit else ""
    if math.isnan(answer.estimate):
        return "no figure"
    if answer.kind is Kind.EXACT and answer.low == answer.high:
        return f"{figure(answer.estimate)}{unit} (exact)"
    if math.isinf(answer.low) and math.isinf(answer.high):
        return f"{figure(answer.estimate)}{unit} (too few seeds for an interval)"
    return f"{figure(answer.estimate)}{unit} [{figure(answer.low)}, {figure(answer.high)}]"


def asked(answer: Answer) -> str:
    """What the claim needs: ``claimed: above 0.1``."""
    return f"claimed: {answer.relation} {figure(answer.threshold)}"


def probability(p: float | None) -> str:
    """``p = 0.012``; empty where there is none."""
    if p is None:
        return ""
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"


def figures(answer: Answer) -> str:
    """Effect, interval, what is claimed and p in one line."""
    return "; ".join(filter(None, (measured(answer), asked(answer), probability(answer.p))))


def verdict(result: LessonResult) -> str:
    """The verdict; where some parts hold and others not, how many."""
    count = len(result.answers)
    if result.outcome is Outcome.HOLDS or not count or not result.held:
        return str(result.outcome)
    return f"{result.outcome} ({result.held} of {count} parts hold)"


def lines(result: LessonResult, width: int = 80) -> list[str]:
    """One lesson: verdict, claim, each question with its figures, and what else there is to know."""
    seeds = f"{result.seeds} seed{'s' if result.seeds != 1 else ''}"
    head = f"{result.name}: {verdict(result)}"
    found = [head, *_wrapped(f'"{result.claim}" ({result.source})', width, "  ")]
    for answer in result.answers:
        found += _wrapped(f"{answer.outcome}: {answer.sentence}", width, "  - ", "    ")
        found += _wrapped(f"{figures(answer)} ({answer.effect})", width, "      ")
    if result.problem:
        found += _wrapped(f"stopped: {result.problem}", width, "  ")
    if result.own:
        found += _wrapped(f"yours that took part: {', '.join(result.own)}", width, "  ")
    for why in result.left_out:
        found += _wrapped(f"yours that did not take part: {why}", width, "  ")
    for name in result.against:
        found += _wrapped(f"against yours: {name} holds with the reference's and not with yours", width, "  ")
    return [*found, f"  {seeds}, {result.seconds:.0f} of {result.budget:.0f} s"]


def _wrapped(text: str, width: int, indent: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def rows(results: Sequence[LessonResult]) -> list[tuple[str, ...]]:
    """Lesson, verdict, parts that hold, seeds and processor seconds."""
    return [
        (
            result.name,
            str(result.outcome),
            f"{result.held} of {len(result.answers)}",
            str(result.seeds),
            f"{result.seconds:.0f}",
        )
        for result in results
    ]


def table(results: Sequence[LessonResult]) -> list[str]:
    """The rows under their titles, and how many lessons came out how."""
    cells = [HEADS, *rows(results)]
    wide = [max(len(row[at]) for row in cells) for at in range(len(HEADS))]
    found = []
    for row in cells:
        left = [f"{cell:<{w}}" for cell, w in zip(row[:2], wide[:2], strict=True)]
        right = [f"{cell:>{w}}" for cell, w in zip(row[2:], wide[2:], strict=True)]
        found.append("  ".join((*left, *right)).rstrip())
    return [*found, *_wrapped(summary(results), 80, "")]


def summary(results: Sequence[LessonResult]) -> str:
    """``14 lessons (holds: 5, does not hold at this size: 6, not decided: 3), 612 processor seconds``"""
    count = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    spent = sum(result.seconds for result in results)
    counted = f"{len(results)} lesson{'s' if len(results) != 1 else ''}"
    said = ", ".join(f"{outcome}: {number}" for outcome, number in count.items())
    return f"{counted} ({said}), {spent:.0f} processor seconds"


def as_markdown(results: Sequence[LessonResult]) -> str:
    """The table of verdicts, and below it every question with its figures."""
    titles = ("lesson", "verdict", "parts that hold", "seeds", "processor seconds")
    found = [
        *INTRODUCTION,
        _row(titles),
        _row(["---"] * len(titles)),
        *map(_row, rows(results)),
        "",
        summary(results) + ".",
        "",
    ]
    for result in results:
        found += [f"## {result.name}: {verdict(result)}", "", f"> {result.claim} ({result.source})", ""]
        found += [f"{result.setup}.", "", _row(("what the claim says", "verdict", "effect", "claimed", "p"))]
        found.append(_row(["---"] * 5))
        for a in result.answers:
            cells = (a.sentence, str(a.outcome), f"{a.effect}: {measured(a)}", asked(a).partition(": ")[2])
            found.append(_row((*cells, probability(a.p).removeprefix("p ").removeprefix("= "))))
        found += ["", f"{result.caveat}", ""] if result.caveat else [""]
    return "\n".join(found).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
