"""What to do next, and why: first fix what is wrong, then finish what is begun, then implement what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.forms import table_line
from harness.core.notebook import shown_line
from harness.core.record import RunRecord, Status
from harness.reports.failure import declarations
from harness.reports.groups import Group, groups
from harness.reports.marked_lines import place_of
from harness.reports.table import stub_reason
from harness.reports.wording import listed, wrapped

WIDTH = 120
MOST_LINES = 2
"""The meaning of a component is added where all fits into so many lines."""


def next_step(record: RunRecord, width: int = WIDTH) -> list[str]:
    """One or two lines, three where a signature is long; none where there is nothing to say."""
    text, component = _advice(record)
    if not text:
        return []
    meaning = record.meanings.get(component, "")
    whole = wrapped(f"next: {text} {meaning}".rstrip(), width, "", "      ")
    return whole if len(whole) <= MOST_LINES else wrapped(f"next: {text}", width, "", "      ")


def _advice(record: RunRecord) -> tuple[str, str]:
    """The advice in words, and the component whose meaning helps to follow it, if any."""
    if text := _fix(record) or _finish(record):
        return text, ""
    return _implement(record)


# what is wrong -------------------------------------------------------------------------------------------------------


def _fix(record: RunRecord) -> str:
    """The mistake that explains most; of equals, the one deepest in what the others are made of."""
    found = groups(record)
    if not found:
        return ""
    failing = {name for name in record.order if any(v.failing for v in record.of(name))}

    def rank(group: Group) -> tuple[bool, int, int]:
        through_parts = not group.names and bool(failing & set(record.below(group.head.component)))
        return through_parts, -len(group.also), record.order.index(_home(record, group))

    forms = declare_or_change(record, found)
    found = [group for group in found if not group.is_form(record)]
    if not found:
        return forms
    first = min(found, key=rank)
    home, component = _home(record, first), first.head.component
    above = [name for name in failing if home in record.below(name) and name not in first.also and name != component]
    rest = dict.fromkeys(_home(record, g) for g in sorted(found, key=rank))
    for name in (home, component, *above):
        rest.pop(name, None)
    why = _why_first(record, first, sorted(above, key=record.order.index), failing)
    then = f" Then fix {listed(list(rest)[:4])}." if rest else ""
    also = f" Then {forms}" if forms else ""
    return f"fix {home}{'' if home == component else f' in {component}'} first{_place(first)}{why}.{then}{also}"


def declare_or_change(record: RunRecord, found: Sequence[Group]) -> str:
    """What to do about legal forms that were not declared: one declaration for all of them. Empty where there are
    none."""
    pairs = declarations(record, found)
    if not pairs:
        return ""
    homes = listed(list(dict.fromkeys(_home(record, group) for group in found if group.is_form(record))))
    what = "a legal form" if len(pairs) == 1 else "legal forms"
    lines = "; ".join(map(table_line, pairs))
    option = f"--impl-variant={','.join(pairs)}"
    return (
        f"declare {what} of {homes} or change the code: {option} (in pyproject.toml under [tool.plumbline]: {lines})."
    )


def _place(group: Group) -> str:
    """`` (student.py:24, eps_outside_the_root)``."""
    head = group.head
    at = shown_line(*place_of(head), short=True) if head.where else ""
    name = (group.names[0].partition(".")[2] or group.names[0]) if group.names else ""
    name = f"it resembles {name}" if name and group.is_hedged else name
    known = ", ".join(filter(None, (at, name)))
    return f" ({known})" if known else ""


def _why_first(record: RunRecord, first: Group, above: list[str], failing: set[str]) -> str:
    if first.also:
        return f": it also explains the failures of {listed(first.also)}"
    if above:
        return f": {listed(above)} {'depends' if len(above) == 1 else 'depend'} on it"
    parts = [part for part in record.parts.get(first.head.component, ()) if part not in failing]
    passed = [part for part in parts if any(v.status == Status.PASSED for v in record.of(part))]
    if passed:
        return f": its {'part' if len(passed) == 1 else 'parts'} {listed(passed)} passed"
    return ": none of its parts failed" if parts else ""


def _home(record: RunRecord, group: Group) -> str:
    summary = group.summary(record)
    return summary.component if summary and summary.component in record.order else group.head.component


# what is to do -------------------------------------------------------------------------------------------------------


def _finish(record: RunRecord) -> str:
    """A component of which some checks passed and some are to do."""
    for name in record.order:
        verdicts = record.of(name)
        waiting = [v for v in verdicts if v.status == Status.TO_DO]
        if waiting and any(v.status == Status.PASSED for v in verdicts):
            return f"finish {name}. {len(waiting)} of its {len(verdicts)} checks are to do: {waiting[0].message}."
    return ""


def _implement(record: RunRecord) -> tuple[str, str]:
    """What continues what is begun: the next part of the first composite of which something passed."""
    done = {name for name in record.order if any(v.status == Status.PASSED for v in record.of(name))}
    to_do = [n for n in record.order if n in record.missing or any(v.status == Status.TO_DO for v in record.of(n))]
    to_do = [name for name in to_do if name not in done]
    others = _of_other_models(record, done)
    to_do = [name for name in to_do if name not in others] or to_do
    if not to_do:
        whole = set(record.planned) >= set(record.order)
        everything = f"nothing. All {len(record.order)} components passed; --impl-require=all keeps it so."
        return everything if whole else "", ""
    path = _path(record, to_do, done)
    chosen = path[-1]
    parts = [part for part in record.parts.get(chosen, ()) if part in done]
    needs = f"its parts {listed(parts)} are done" if len(parts) > 1 else f"its part {parts[0]} is done" if parts else ""
    reasons = "; ".join(filter(None, (_because(record, path, done), needs)))
    stub = stub_reason(record.of(chosen))
    signature = record.signatures.get(chosen)
    how = f" So far: {stub}." if stub else f" Write `{signature}`." if signature else ""
    return f"implement {chosen}{': ' + reasons if reasons else ''}.{how}", chosen


def _of_other_models(record: RunRecord, done: set[str]) -> set[str]:
    """Where a model is begun: the other models, and what only these are made of. Nothing where several are."""
    made_of = {model: {model, *record.below(model)} for model in record.models}
    own = {
        model: names.difference(*(other for one, other in made_of.items() if one != model))
        for model, names in made_of.items()
    }
    there = done | {name for name in record.order if name not in record.missing}
    begun = [model for model, names in own.items() if names & there]
    if len(begun) != 1:
        return set()
    return set().union(*(names for model, names in made_of.items() if model not in begun)) - made_of[begun[0]]


def _path(record: RunRecord, to_do: list[str], done: set[str]) -> list[str]:
    """From the first composite of which something is done down to the part of it to implement next."""
    stubs = [name for name in to_do if any(v.where for v in record.of(name))]
    first = (stubs if not done and stubs else to_do)[0]
    path = [next((name for name in to_do if done & set(record.below(name))), first)]
    while parts := [name for name in to_do if name in record.parts.get(path[-1], ())]:
        path.append(parts[0])
    return path


def _because(record: RunRecord, path: list[str], done: set[str]) -> str:
    """What is begun and needs the last component of ``path``, which leads there from a composite."""
    if len(path) > 1:
        parts = [name for name in record.parts.get(path[0], ()) if name in done]
        beside = (parts or [name for name in record.below(path[0]) if name in done])[:3]
        above = path[0] if len(path) == 2 else f"{path[0]} (in its {' and '.join(path[1:-1])})"
        begun = f"{listed(beside)} {'is' if len(beside) == 1 else 'are'} done, and " if beside else ""
        return f"{begun}{above} needs it{' too' if beside else ''}"
    users = [name for name in record.order if path[0] in record.parts.get(name, ())]
    if users:
        return f"{users[0]} needs it"
    return "" if done else "it comes first"
