"""One failure as every report shows it: the finding first, then the evidence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from harness.core.claim import About
from harness.core.forms import how_to_declare
from harness.core.notebook import shown_line
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict
from harness.reports.groups import Group, check_command, fix_command
from harness.reports.marked_lines import LEGEND, fixing_lines, marked_lines, place_of
from harness.reports.wording import WIDTH, times_the_tolerance, wrapped

LABEL = 16
"""Columns of the labels of the evidence."""


def failure(record: RunRecord, group: Group, width: int = WIDTH, commands: bool = True) -> str:
    """A failure in lines of ``width`` columns. ``commands``: also those that explain and reproduce it."""
    verdict, summary = group.head, group.summary(record)
    if summary is not None:
        lines = wrapped(introduction(group, summary), width)
        for one in group.summaries(record):
            lines += ["", textwrap.indent(one.diff, "    ")] if one.diff else []
            lines += ["", *wrapped(one.sentence, width, "  ")]
        lines += ["", *wrapped(how, width, "  ")] if (how := how_to_declare(declarations(record, [group]))) else []
    elif verdict.status == Status.CRASHED:
        lines = [f"{verdict.component} raised an error {in_cases(verdict)}:", "", f"    {verdict.message}"]
        lines += ["", *textwrap.indent("\n".join(verdict.frames), "    ").splitlines()] if verdict.frames else []
    elif verdict.returned or verdict.status == Status.TIMED_OUT:
        lines = wrapped(f"{verdict.component}: {verdict.message}", width)
    else:
        lines = wrapped(broken_claim(verdict), width)
        lines += ["", *wrapped(verdict.message, width, "    ")] if verdict.message else []
    lines += ["", *shown] if (shown := marked_lines(verdict, width)) else []
    lines += ["", *shown] if (shown := fixing_lines(verdict, width)) else []
    lines.append("")
    for label, value in evidence(record, group) + (command_rows(record, group) if commands else []):
        lines += wrapped(value, width, f"  {label:<{LABEL}}", " " * (LABEL + 2))
    return "\n".join(lines)


def declarations(record: RunRecord, found: Iterable[Group]) -> list[str]:
    """What declares the legal forms of these failures, as ``key=value`` pairs, each once.

    Of two values of one key for one component, that which explains more stays. Where components want two values of
    one key, each names its component.
    """
    chosen: dict[tuple[str, str], MistakeSummary] = {}
    for group in sorted((g for g in found if g.is_form(record)), key=lambda g: -len(g.rest)):
        for one in group.summaries(record):
            chosen.setdefault((one.component, one.declare.partition("=")[0]), one)
    values: dict[str, set[str]] = {}
    for (_, key), one in chosen.items():
        values.setdefault(key, set()).add(one.declare)
    order = sorted(chosen.items(), key=lambda item: _place(record, item[0][0]))
    return list(dict.fromkeys(_apart(one) if len(values[key]) > 1 else one.declare for (_, key), one in order))


def _place(record: RunRecord, component: str) -> int:
    return record.order.index(component) if component in record.order else len(record.order)


def _apart(one: MistakeSummary) -> str:
    """How a form is declared for its component alone."""
    return one.declare if one.declare.startswith(f"{one.component}=") else f"{one.component}.{one.declare}"


def opening(group: Group, summary: MistakeSummary) -> str:
    """Which output or claim is wrong, and in how many cases, where a known mistake explains it; or what it resembles,
    where the mistake explains a part of the failed checks only."""
    verdict = group.head
    if summary.component != verdict.component:
        said = f"{verdict.component}: wrong output {in_cases(verdict)}, caused by its {summary.component}"
    elif {About.NUMBERS, About.ROUNDING} & set(verdict.about):
        said = f"{verdict.component}: wrong output {in_cases(verdict)}"
    else:
        said = broken_claim(verdict).rstrip(".")
    return f"{said}. {_sentence(resemblance(group))}" if group.is_hedged else said


def introduction(group: Group, summary: MistakeSummary) -> str:
    """What is wrong, before the diff that shows it; says which line of that is whose."""
    return f"{opening(group, summary)} ({LEGEND}):" if summary.diff else f"{opening(group, summary)}."


def resemblance(group: Group) -> str:
    """``it resembles eps_outside_the_root in 3 of 11 failed checks``."""
    names = " and ".join(name.partition(".")[2] or name for name in group.names)
    explained, failed = group.share
    return f"it resembles {names} in {explained} of {failed} failed checks"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def broken_claim(verdict: Verdict) -> str:
    """Which claim failed, and in how many cases."""
    return f'{verdict.component} fails the check "{verdict.sentence}" {in_cases(verdict)}.'


def in_cases(verdict: Verdict) -> str:
    """In how many of its cases a check failed."""
    return f"in {verdict.failed_cases} of {verdict.cases} cases" if verdict.cases != 1 else "in the only case"


def evidence(record: RunRecord, group: Group) -> list[tuple[str, str]]:
    """What is known of a failure beside its sentence: labels and their values, in order; none is empty."""
    summary, verdict = group.summary(record), group.head
    claims = [v.claim for v in group.rest if v.component == verdict.component and v.claim != verdict.claim]
    rows = [
        ("smallest case", verdict.smallest),
        ("worst element", verdict.worst),
        ("error", times_the_tolerance(verdict.excess) if verdict.worst else ""),
        ("same output as", ", ".join(verdict.or_else) if len(group.names) <= 1 else ""),
        ("legal form", "" if group.is_form(record) else _or_form(record, verdict)),
        ("together with", ", ".join(name for name in verdict.finding if name not in group.names)),
        ("also failed", ", ".join(dict.fromkeys(claims))),
        ("also explains", ", ".join(group.also)),
        ("not known", "" if group.names else _searched(verdict)),
        ("fix first", "" if group.names else _failing_parts(record, verdict)),
        ("your code", shown_line(*place_of(verdict)) if verdict.where else ""),
        ("reported in", ", ".join(summary.seen_in) if summary else ""),
    ]
    return [(label, value) for label, value in rows if value]


def command_rows(record: RunRecord, group: Group) -> list[tuple[str, str]]:
    """The commands that explain and reproduce a failure, with their labels."""
    summary, verdict = group.summary(record), group.head
    is_told = summary is not None and bool(summary.diff) and not summary.is_relation
    rows = [("details", f"plumbline explain {summary.name}")] if summary is not None and is_told else []
    rows += [("reproduce", f"plumbline replay {verdict.case_id}")] if verdict.case_id else []
    rows += [("or run" if verdict.case_id else "reproduce", check_command(record, verdict))]
    return [*rows, ("fix it", fix_command(record, verdict))] if verdict.change is not None else rows


def _or_form(record: RunRecord, verdict: Verdict) -> str:
    """How to declare a legal form whose output is the same as the mistake's; empty where there is none."""
    forms = [record.summaries[name].declare for name in verdict.or_else if name in record.summaries]
    return next((f"if you mean it so, declare it: --impl-variant={pair}" for pair in forms if pair), "")


def _searched(verdict: Verdict) -> str:
    """What was tried where nothing explains the failure; empty where nothing was looked for."""
    if not verdict.searched:
        return ""
    mistakes, together, relations = verdict.searched
    return f"none of {mistakes:,} known mistakes, {together:,} sets of them and {relations:,} relations explains it"


def _failing_parts(record: RunRecord, verdict: Verdict) -> str:
    """The parts of a composite that fail too, in one sentence; empty where none does."""
    failing = [name for name in record.below(verdict.component) if any(v.failing for v in record.of(name))]
    if not failing:
        return ""
    what = "a part of it that fails too" if len(failing) == 1 else "parts of it that fail too"
    return f"{', '.join(failing)} ({what})"


def headline(record: RunRecord, group: Group) -> str:
    """One line for summaries: the diagnosis where there is one, the failed claim in words otherwise."""
    summary, verdict = group.summary(record), group.head
    if summary:
        sentences = [one.sentence for one in group.summaries(record)]
        sentences[:0] = [f"{_sentence(resemblance(group))}:"] if group.is_hedged else []
        return " ".join([*sentences, how_to_declare(declarations(record, [group]))]).strip()
    if verdict.status in (Status.CRASHED, Status.TIMED_OUT) or verdict.returned or verdict.depends_on_earlier_calls:
        return verdict.message
    why = verdict.worst or verdict.message
    return f'fails the check "{verdict.sentence}"{": " if why else ""}{why}'
