"""What to do next, and why that: what is wrong first, by what it explains; then what is to do, by what stands on it."""

from __future__ import annotations

import textwrap
from pathlib import PurePath

from harness.core.record import RunRecord, Status
from harness.reports.text import WIDTH, Group, groups


def next_step(record: RunRecord) -> list[str]:
    """One or two lines, three where a signature is long; none where there is nothing to say."""
    text = _mend(record) or _finish(record) or _write(record)
    meaning = record.meanings.get(text.partition(".")[0], "")
    whole = _lines(f"{text}. {meaning}") if meaning else _lines(text)
    return whole if len(whole) <= 2 else _lines(text)


def _lines(text: str) -> list[str]:
    return (
        textwrap.wrap(
            f"next: {text}", WIDTH + 12, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
        )
        if text
        else []
    )


# what is wrong -------------------------------------------------------------------------------------------------------


def _mend(record: RunRecord) -> str:
    """The mistake that explains most; of equals, the one deepest in what the others are made of."""
    found = groups(record)
    if not found:
        return ""
    failing = {name for name in record.order if any(v.failing for v in record.of(name))}

    def rank(group: Group) -> tuple[bool, int, int]:
        through_parts = not group.names and bool(failing & set(record.below(group.head.component)))
        return through_parts, -len(group.also), record.order.index(_home(record, group))

    first = min(found, key=rank)
    home, component = _home(record, first), first.head.component
    at = f" ({PurePath(first.head.where).name}:{first.head.line})" if first.head.where else ""
    what = f"mend {home}{'' if home == component else f', in {component},'} first{at}"
    if first.names:
        what += f", {first.names[0].partition('.')[2] or first.names[0]}"
    above = [name for name in failing if home in record.below(name) and name not in first.also and name != component]
    if first.also:
        why = f"it explains {_and(first.also)} too"
    elif above:
        why = f"{_and(sorted(above, key=record.order.index))} {_stand(above)} on it"
    else:
        parts = [p for p in record.parts.get(component, ()) if p not in failing]
        sound = [
            p for p in parts if any(v.status == Status.PASSED for v in record.of(p))
        ]  # not what is to do, or not apart
        why = "nothing that it is made of is wrong" if parts else "it needs nothing else"
        why = f"what it is made of ({_and(sound)}) holds" if sound else why
    rest = dict.fromkeys(_home(record, g) for g in sorted(found, key=rank))
    for name in (home, component, *above):
        rest.pop(name, None)
    return f"{what}: {why}" + (f"; then {_and(list(rest)[:4])}" if rest else "")


def _home(record: RunRecord, group: Group) -> str:
    name = record.summaries[group.names[0]].component if group.names and group.names[0] in record.summaries else ""
    return name if name in record.order else group.head.component


# what is to do -------------------------------------------------------------------------------------------------------


def _finish(record: RunRecord) -> str:
    """A component of which some holds and some is to do."""
    for name in record.order:
        verdicts = record.of(name)
        waiting = [v for v in verdicts if v.status == Status.TO_DO]
        if waiting and any(v.status == Status.PASSED for v in verdicts):
            return f"finish {name}. {len(waiting)} of its {len(verdicts)} checks wait: {waiting[0].message}"
    return ""


def _write(record: RunRecord) -> str:
    """What continues what is begun: the next part of the first composite of which something holds."""
    done = {name for name in record.order if any(v.status == Status.PASSED for v in record.of(name))}
    to_do = [n for n in record.order if n in record.missing or any(v.status == Status.TO_DO for v in record.of(n))]
    to_do = [name for name in to_do if name not in done]
    if not to_do:
        whole = set(record.planned) >= set(record.order)
        return f"nothing: all {len(record.order)} components hold; --impl-require=all keeps it so" if whole else ""
    stubs = [n for n in to_do if any(v.where for v in record.of(n))]
    begun = next(
        (name for name in to_do if done & set(record.below(name))), (stubs if not done and stubs else to_do)[0]
    )
    chosen, path = begun, [begun]
    while parts := [p for p in to_do if p in record.parts.get(chosen, ())]:
        chosen = parts[0]
        path.append(chosen)
    standing = [p for p in record.parts.get(chosen, ()) if p in done]
    why = _because(record, chosen, path, done)
    needs = f"it stands on {_and(standing)}, done" if standing else "it needs nothing else"
    written = record.signatures.get(chosen)
    so_far = next((v.message for v in record.of(chosen) if v.status == Status.TO_DO and v.where), "")
    if so_far and not so_far.endswith("NotImplementedError"):
        how = f"so far {so_far}" if not so_far.startswith("its ") else so_far
    else:
        how = f"write `{written}`" if written else ""
    told = ", ".join(filter(None, (why, needs))) + (f"; {how}" if how else "")
    return f"{chosen}. {told}"


def _because(record: RunRecord, chosen: str, path: list[str], done: set[str]) -> str:
    """What is begun and waits for it: ``path`` leads there from a composite."""
    if len(path) > 1:
        beside = [n for n in record.parts.get(path[0], ()) if n in done] or [
            n for n in record.below(path[0]) if n in done
        ]
        above = path[0] if len(path) == 2 else f"{path[0]}, through {' and '.join(path[1:-1])},"
        if beside:
            return f"{_and(beside[:3])} {'is' if len(beside) == 1 else 'are'} done, {above} needs it"
        return f"{above} needs it"
    users = [name for name in record.order if chosen in record.parts.get(name, ())]
    if users:
        return f"{users[0]} needs it"
    return "" if done else "it comes first"


def _and(names: object) -> str:
    listed = list(names)  # type: ignore[call-overload]
    return " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1]))) if listed else ""


def _stand(names: list[str]) -> str:
    return "stands" if len(names) == 1 else "stand"
