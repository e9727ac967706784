"""Failing checks that have one cause are shown as one failure; and the commands that reproduce it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from harness.core.claim import About
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict, with_covered


@dataclass(frozen=True)
class Group:
    """Failing verdicts with one cause: the one to read (``head``), the rest, and the names of the known mistakes."""

    head: Verdict
    rest: tuple[Verdict, ...]
    names: tuple[str, ...]

    home: str
    """The component whose mistake it is: a part of ``head.component``, or that itself."""
    share: tuple[int, int] = (0, 0)
    """How many failed checks of the component the names explain, and how many failed, where nothing explains some."""

    @property
    def is_hedged(self) -> bool:
        """Whether the names are a resemblance only: some failed checks of the component have no explanation."""
        return bool(self.share[1])

    @property
    def also(self) -> tuple[str, ...]:
        """Other components among the rest, in order."""
        return tuple(dict.fromkeys(v.component for v in self.rest if v.component != self.head.component))

    def summary(self, record: RunRecord) -> MistakeSummary | None:
        """The known mistake that explains it, where there is one."""
        return record.summaries.get(self.names[0]) if self.names else None

    def summaries(self, record: RunRecord) -> tuple[MistakeSummary, ...]:
        """All known mistakes or legal forms that explain it together."""
        return tuple(record.summaries[name] for name in self.names if name in record.summaries)

    def is_form(self, record: RunRecord) -> bool:
        """Whether it is about legal forms that were not declared."""
        found = self.summaries(record)
        return bool(found) and all(one.declare for one in found)


def groups(record: RunRecord) -> list[Group]:
    """The failures in order of dependence: each finding once, with everything that it explains.

    Legal forms that were found together are one. Parts stand before composites. A composite whose mistakes are all
    known from its parts adds nothing of its own; a crash that repeats in several claims is one. Where a part fails
    without an explanation, so may its composites.
    """
    record = replace(record, verdicts=with_covered(record.verdicts))
    by_finding: dict[str, list[Verdict]] = {}
    unexplained: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in (v for name in record.order for v in record.of(name) if v.failing):
        for name in verdict.finding:
            by_finding.setdefault(name, []).append(verdict)
        if not verdict.finding:
            unexplained.setdefault((verdict.component, *_cause(verdict)), []).append(verdict)
    together: dict[tuple[object, ...], list[str]] = {}
    for name, verdicts in by_finding.items():
        is_form = name in record.summaries and record.summaries[name].declare
        key = ("forms", *map(id, verdicts)) if is_form else ("mistake", name)
        together.setdefault(key, []).append(name)
    found = [_explained(record, tuple(names), by_finding[names[0]]) for names in together.values()]
    found += [_unexplained(verdicts) for verdicts in unexplained.values()]
    found = [replace(group, share=_share(record, group)) for group in found]
    last = len(record.order)
    return sorted(found, key=lambda g: (not g.names, record.order.index(g.home) if g.home in record.order else last))


def _share(record: RunRecord, group: Group) -> tuple[int, int]:
    """How many failed checks of the component that is shown the names explain, of how many; (0, 0) where every one has
    an explanation. A check that ran out of time is none."""
    failed = [v for v in record.of(group.head.component) if v.failing and v.status is not Status.TIMED_OUT]
    if not group.names or all(v.finding for v in failed):
        return 0, 0
    return sum(not set(group.names).isdisjoint(v.finding) for v in failed), len(failed)


def _explained(record: RunRecord, names: tuple[str, ...], verdicts: list[Verdict]) -> Group:
    """The failures that a known mistake explains; first to read is a comparison of all numbers in its own component."""
    name = names[0]
    is_known = name in record.summaries
    home = record.summaries[name].component if is_known else name.partition(".")[0]
    alone = [v for v in verdicts if set(v.finding) == set(names)]
    candidates = [v for v in alone if v.component == home] or alone or verdicts
    candidates = [v for v in candidates if not v.explained_by] or candidates
    head = next((v for v in candidates if v.about == (About.NUMBERS,)), candidates[0])
    rest = tuple(v for v in verdicts if v is not head)
    lines = tuple(line for line in head.lines if line.mistake in names)
    return Group(replace(head, lines=lines), rest, names, home if is_known else head.component)


def _unexplained(verdicts: list[Verdict]) -> Group:
    """Failures with one cause that nothing explains; first to read is a comparison of all numbers."""
    head = next((v for v in verdicts if About.NUMBERS in v.about), verdicts[0])
    return Group(head, tuple(v for v in verdicts if v is not head), (), head.component)


def _cause(verdict: Verdict) -> tuple[str, ...]:
    """What unexplained failures of one component have in common that are shown as one."""
    if verdict.lines:
        return ("lines", *(f"{line.file}:{line.line}" for line in verdict.lines))
    if verdict.status != Status.FAILED or verdict.explains:
        return ("message", verdict.message)
    if _compares_all_numbers(verdict):
        return ("numbers",)
    return ("check", verdict.claim, verdict.message)


def _compares_all_numbers(verdict: Verdict) -> bool:
    """Whether it fails wherever the numbers differ from the reference's."""
    about = set(verdict.about)
    return bool({About.NUMBERS, About.ROUNDING} & about) or {About.GRADIENT, About.CONSISTENCY} <= about


def run_command(record: RunRecord) -> str:
    """The command that repeats the run on the same cases."""
    if record.command:
        return record.command
    variants = _variants(record)
    options = [
        f"--impl={record.impl}",
        f"--impl-seed={record.seed}",
        f"--impl-effort={record.effort}" if record.effort != "default" else "",
        f"--impl-variant={variants}" if variants else "",
    ]
    return " ".join(["pytest", *(shlex.quote(option) for option in options if option)])


def fix_command(record: RunRecord, verdict: Verdict) -> str:
    """The command that writes the change which fixes a component, after asking."""
    variants = _variants(record)
    options = [
        f"--impl={record.impl}",
        f"--seed={record.seed}",
        f"--variant={variants}" if variants else "",
        "--write",
    ]
    return " ".join(["plumbline", "fix", verdict.component, *(shlex.quote(option) for option in options if option)])


def _variants(record: RunRecord) -> str:
    """What was declared, as an option takes it."""
    return ",".join(f"{component}={name}" for component, name in (record.variants or {}).items())


def check_command(record: RunRecord, verdict: Verdict) -> str:
    """The command that repeats one check on the same cases."""
    if record.command:
        return record.command
    return f'{run_command(record)} -k "{verdict.component} and {verdict.claim}"'
