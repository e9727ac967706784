"""What a person reads in the terminal: a failure with the finding first, one table, and the trust line."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.core.claim import About
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict

WIDTH = 108
MANY = 4
"""So many components of which nothing is there are told in one line, not in a row each."""


@dataclass(frozen=True)
class Group:
    """Failing verdicts that say one thing: the one to read (``head``), the rest, and the components it also explains."""

    head: Verdict
    rest: tuple[Verdict, ...]
    names: tuple[str, ...]

    home: str
    """The component whose mistake it is: a part of ``head.component``, or that itself."""

    @property
    def also(self) -> tuple[str, ...]:
        """Other components among the rest, in order."""
        return tuple(dict.fromkeys(v.component for v in self.rest if v.component != self.head.component))


def groups(record: RunRecord) -> list[Group]:
    """The failures in order of dependence: each finding once, with everything it explains beneath it.

    Parts stand before composites. A composite whose mistakes are all known from its parts adds nothing of its own; a
    crash that repeats in several claims is one. Where a part fails without an explanation, so may its composites.
    """
    ranked = [v for name in record.order for v in record.of(name) if v.failing]
    by_finding: dict[str, list[Verdict]] = {}
    loose: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in ranked:
        if verdict.finding:
            for name in verdict.finding:
                by_finding.setdefault(name, []).append(verdict)
        else:
            loose.setdefault((verdict.component, *_cause(verdict)), []).append(verdict)
    found = []
    for name, verdicts in by_finding.items():
        home = record.summaries[name].component if name in record.summaries else name.partition(".")[0]
        alone = [v for v in verdicts if v.finding == (name,)]
        at_home = [v for v in alone if v.component == home]
        candidates = at_home or alone or verdicts
        head = next((v for v in candidates if v.about == (About.NUMBERS,)), candidates[0])
        at = home if name in record.summaries else head.component
        found.append(Group(head, tuple(v for v in verdicts if v is not head), (name,), at))
    found += [Group(verdicts[0], tuple(verdicts[1:]), (), verdicts[0].component) for verdicts in loose.values()]
    return sorted(found, key=lambda g: (not g.names, record.order.index(g.home) if g.home in record.order else 99))


def _cause(verdict: Verdict) -> tuple[str, ...]:
    """What unexplained failures of one component have in common that are told as one."""
    if verdict.status != Status.FAILED or verdict.explains:
        return ("message", verdict.message)
    if _compares_all_numbers(verdict):
        return ("numbers",)
    return ("check", verdict.claim, verdict.message)


def _compares_all_numbers(verdict: Verdict) -> bool:
    """Whether it fails wherever the numbers are others than the reference's."""
    about = set(verdict.about)
    return bool({About.NUMBERS, About.ROUNDING} & about) or {About.GRADIENT, About.CONSISTENCY} <= about


def command(record: RunRecord) -> str:
    """The run again, on the same cases, as it would be typed."""
    variants = ",".join(f"{component}={name}" for component, name in (record.variants or {}).items())
    options = [
        f"--impl={record.impl}",
        f"--impl-seed={record.seed}",
        f"--impl-effort={record.effort}" if record.effort != "default" else "",
        f"--impl-variant={variants}" if variants else "",
    ]
    return " ".join(["pytest", *(shlex.quote(option) for option in options if option)])


def again(record: RunRecord, head: Verdict) -> str:
    """The command that judges one check again, on the same cases."""
    return f'{command(record)} -k "{head.component} and {head.claim}"'


def failure(record: RunRecord, group: Group, again: str = "") -> str:
    """One failure, finding first, then the evidence."""
    verdict = group.head
    lines: list[str] = []
    summary = record.summaries.get(group.names[0]) if group.names else None
    if summary is not None:
        lines += [
            *opening(verdict, summary),
            "",
            textwrap.indent(summary.diff, "    "),
            "",
            *_wrapped(summary.sentence, "  "),
        ]
    elif verdict.status == Status.CRASHED:
        lines += [f"{verdict.component} raised an error ({of_cases(verdict)}):", "", f"    {verdict.message}"]
        lines += ["", *textwrap.indent("\n".join(verdict.frames), "    ").splitlines()] if verdict.frames else []
    elif verdict.returned:
        lines += _wrapped(f"{verdict.component}: {verdict.message}", "")
    elif verdict.status == Status.TIMED_OUT:
        lines += [f"{verdict.component} did not come to an end: {verdict.message}"]
    else:
        lines += [
            f"{verdict.component}: it must hold that {verdict.sentence}; {of_cases(verdict)} say no.",
            "",
            *_wrapped(verdict.message, "    "),
        ]
    lines += _laid_out(evidence(record, group, again))
    return "\n".join(lines)


def opening(verdict: Verdict, summary: MistakeSummary) -> list[str]:
    """What is wrong with what, on how many cases."""
    implementation = verdict.component
    if summary.component != verdict.component:
        return [
            f"{implementation} disagrees with the reference on {of_cases(verdict)}. Its {summary.component} computes:"
        ]
    if {About.NUMBERS, About.ROUNDING} & set(verdict.about):
        return [f"{implementation} disagrees with the reference on {of_cases(verdict)}. It computes:"]
    return [f"{implementation}: it must hold that {verdict.sentence}; {of_cases(verdict)} say no. It computes:"]


def of_cases(verdict: Verdict) -> str:
    """On how many of the cases it does not hold."""
    return f"{verdict.failed_cases} of {verdict.cases} cases" if verdict.cases != 1 else "the one case tried"


def evidence(record: RunRecord, group: Group, again: str) -> list[tuple[str, str]]:
    """What is known of a failure beside its sentence: labels and what they say, in order."""
    summary = record.summaries.get(group.names[0]) if group.names else None
    verdict, facts = group.head, list[tuple[str, str]]()
    if verdict.smallest:
        facts.append(("smallest case", verdict.smallest))
    if verdict.worst:
        excess = f"     {verdict.excess:.2g} x the tolerance" if verdict.excess else ""
        facts.append(("worst element", verdict.worst + excess))
    if verdict.or_else and len(group.names) <= 1:
        facts.append(("or else", f"the same numbers follow from {', '.join(verdict.or_else)}"))
    others = [name for name in verdict.finding if name not in group.names]
    if others:
        facts.append(("together with", ", ".join(others)))
    claims = [v.claim for v in group.rest if v.component == verdict.component and v.claim != verdict.claim]
    if claims:
        facts.append(("also broken", ", ".join(dict.fromkeys(claims))))
    if group.also:
        facts.append(("also explains", ", ".join(group.also)))
    if not group.names:
        sick = [name for name in record.below(verdict.component) if any(v.failing for v in record.of(name))]
        if sick:
            facts.append(("made of", f"{', '.join(sick)}, wrong too: mend that first"))
    if verdict.where:
        facts.append(("your code", f"{verdict.where}:{verdict.line}"))
    if summary is not None and summary.seen_in:
        facts.append(("seen in", ", ".join(summary.seen_in)))
    if summary is not None:
        facts.append(("more", f"plumbline explain {summary.name}"))
    if verdict.case_id:
        facts.append(("again", f"plumbline replay {verdict.case_id}" + (f"     {again}" if again else "")))
    return facts


def _laid_out(told: list[tuple[str, str]]) -> list[str]:
    lines = [""]
    for label, value in told:
        wrapped = textwrap.wrap(value, WIDTH - 18, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append(f"  {label:<16}{wrapped[0]}")
        lines += [f"  {'':<16}{more}" for more in wrapped[1:]]
    return lines


def headline(record: RunRecord, group: Group) -> str:
    """One line for summaries: the diagnosis where there is one, the broken claim in words otherwise."""
    summary = record.summaries.get(group.names[0]) if group.names else None
    if summary:
        return summary.sentence
    if group.head.status in (Status.CRASHED, Status.TIMED_OUT) or group.head.returned:
        return group.head.message
    return f"it does not hold that {group.head.sentence}: {group.head.worst or group.head.message}"


class TableLine(NamedTuple):
    """One line of the table: its text, and its component and that one's status where it is a component's row."""

    text: str
    component: str = ""
    status: Status | None = None


def table(record: RunRecord) -> list[str]:
    """The text of :func:`table_lines`."""
    return [line.text for line in table_lines(record)]


def table_lines(record: RunRecord) -> list[TableLine]:
    """One line per component that was judged: claims held, worst error of 1, gradients, verdict; the first are titles."""
    rows = [("component", "claims held", "worst error", "gradients", "verdict")]
    statuses: list[Status | None] = [None]
    absent = [n for n in record.order if _is_absent(record, n)]
    absent = absent if len(absent) >= MANY else []
    for name in record.order:
        if name in absent:
            continue
        verdicts = record.of(name)
        judged = [v for v in verdicts if v.status.is_judged]
        if not judged:
            if verdicts or (name in record.missing and record.planned.get(name)):
                rows.append((name, "-", "-", "-", _to_do(verdicts)))
                offered = not verdicts or any(v.status == Status.TO_DO for v in verdicts)
                statuses.append(Status.TO_DO if offered else Status.NOT_APPLICABLE)
            continue
        held = [v for v in judged if v.status == Status.PASSED]
        errors = [v.error for v in held if v.error is not None]
        worst = f"{max(errors):.2g} of 1" if errors else "exact" if held else "-"
        rows.append(
            (name, f"{len(held)} of {len(judged)}", worst, _gradients(verdicts), _verdict(record, name, judged))
        )
        statuses.append(Status.FAILED if any(v.failing for v in judged) else Status.PASSED)
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    texts = ["  ".join([*(c.ljust(w) for c, w in zip(row[:4], widths, strict=True)), row[4]]).rstrip() for row in rows]
    names = ["", *(row[0] for row in rows[1:])]
    lines = [TableLine(*line) for line in zip(texts, names, statuses, strict=True)]
    lines = lines[1:] if absent and len(lines) == 1 else lines
    told = f"{'also ' if len(rows) > 1 else ''}to do: {', '.join(absent)}"
    wrapped = textwrap.wrap(told, WIDTH + 12, subsequent_indent="    ") if absent else []
    return [*lines, *map(TableLine, wrapped)]


def _is_absent(record: RunRecord, name: str) -> bool:
    """Whether nothing of a component is there, so that there is nothing to say of it."""
    verdicts = record.of(name)
    missing = bool(verdicts) and all(v.status == Status.TO_DO and not v.where for v in verdicts)
    return missing or (not verdicts and name in record.missing and bool(record.planned.get(name)))


def _to_do(verdicts: Sequence[Verdict]) -> str:
    """That it is to do, and why, where something of it is there; or why none of its checks is offered."""
    if verdicts and all(v.status == Status.NOT_APPLICABLE for v in verdicts):
        reasons = [v.message for v in verdicts]
        return max(reasons, key=reasons.count)
    whys = [v.message for v in verdicts if v.status == Status.TO_DO and v.where]
    whys = [why for why in whys if not why.endswith("NotImplementedError")]  # they said so themselves
    return f"to do: {whys[0]}"[:100] if whys else "to do"


def _gradients(verdicts: Sequence[Verdict]) -> str:
    judged = [v for v in verdicts if About.GRADIENT in v.about and v.status.is_judged]
    if any(v.failing for v in judged):
        return "WRONG"
    passed = any(v.status == Status.PASSED for v in judged)
    return "right" if passed else "not applicable"


def _verdict(record: RunRecord, name: str, judged: Sequence[Verdict]) -> str:
    failing, excused = [v for v in judged if v.failing], sum(bool(v.excused) for v in judged)
    if not failing:
        return f"holds, but for {excused} excused" if excused else "holds"
    names = list(dict.fromkeys(n for v in failing for n in v.finding))
    own = [n for n in names if record.summaries.get(n) is None or record.summaries[n].component == name]
    unexplained = [v for v in failing if not v.finding]
    if names and not own and not unexplained:
        return "WRONG, explained by " + ", ".join(names)
    if names:
        more = f" and {len(unexplained)} more" if unexplained else ""
        return "WRONG: " + ", ".join(names) + more
    returned = [v.returned for v in failing if v.returned]
    if returned:
        return f"WRONG: it returned {returned[0]}"
    if all(v.status in (Status.CRASHED, Status.TIMED_OUT) for v in failing):
        return f"CRASHED: {failing[0].message}"[:80]
    return (
        "WRONG: "
        + ", ".join(v.claim for v in failing[:3])
        + (f" and {len(failing) - 3} more" if len(failing) > 3 else "")
    )


def trust(record: RunRecord) -> list[str]:
    """What was and was not looked at: so that green means something."""
    planned = sum(record.planned.values())
    ran = [v for v in record.verdicts if v.status.is_judged]
    to_do = sum(v.status == Status.TO_DO for v in record.verdicts)
    not_applicable = sum(v.status == Status.NOT_APPLICABLE for v in record.verdicts)
    not_run = planned - len(record.verdicts)
    counts = f"{planned} checks planned: {len(ran)} run, {to_do} to do, {not_applicable} not applicable"
    counts += f", {not_run} not reached" if not_run > 0 else ""
    passing = [v for v in ran if v.status == Status.PASSED and v.error is not None]
    worst = max(passing, key=lambda v: v.error or 0.0, default=None)
    margin = (
        f"largest error among passing checks {worst.error:.2g} of 1 ({worst.component}::{worst.claim})"
        if worst
        else "no error measured"
    )
    alarm = sum(v.false_alarm for v in ran)
    chance = f"false-alarm probability of the random checks at most {alarm:.1g}" if alarm else "no random check"
    return [counts, f"{sum(v.cases for v in ran)} cases judged; {margin}; {chance}; seed {record.seed}"]


def notes(record: RunRecord) -> Iterable[str]:
    """What a person should know that is no failure, once per component."""
    seen = dict.fromkeys((v.component, note) for v in record.verdicts for note in v.notes)
    return [f"{component}: {note}" for component, note in seen] + list(record.notes)


def measurements(record: RunRecord) -> list[str]:
    """What was measured beyond right and wrong: each with its number and how it was obtained (of maps, where they are)."""
    lines = []
    for fact in record.measurements:
        how = "maps: --impl-report=html" if fact.grids else fact.how.rstrip(".")
        said = f"{fact.component}: {fact.sentence.rstrip('.')} ({how})"
        lines += textwrap.wrap(
            said, WIDTH + 12, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
    return ["facts:", *(f"  {line}" for line in lines), ""] if lines else []


def _wrapped(text: str, indent: str) -> list[str]:
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrapped or [indent]
