"""Scores of mutants as text: rows for a terminal, and a page for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.mutation.making import Mutant
from harness.mutation.sweep import Score

HEAD = """\
# Mutants

`plumbline mutants` changes the reference mechanically, one place at a time, and judges each change like an
implementation. A change that no check notices is a hole in the checks. This page is written by
`plumbline mutants --write docs/MUTANTS.md`.

The operators: another arithmetic operator, comparison or logical operator; operands or arguments exchanged; a number
off by one, halved or times ten; another axis; a sign, a `not`, a call such as `transpose` or `clamp` dropped; a keyword
argument dropped; a related function (`sin` for `cos`, `mean` for `sum`); a bound of a slice or range off by one; a
condition negated; a statement deleted; an assignment made in place; a gradient cut off. What only finds the words of an
error is not changed. {most}.

A mutant counts as noticed when a check of its component fails. Code that the plain form does not run is judged in a
legal form that runs it, or by a component that uses it. *Crash* says how many of these raise an error or never return:
any call shows them. An *equivalent* mutant gives what the reference gives for every call that the contract allows; it
does not count. `specs/mutants/` holds the argument for each of these, and the reason for each survivor that is known.

| component | mutants | equivalent | noticed | crash | score | score, quick |
|---|---|---|---|---|---|---|
"""


def percent(part: int, whole: int) -> float:
    """A share of a hundred; all of nothing is a hundred."""
    return 100 * part / whole if whole else 100.0


def change(mutant: Mutant) -> list[str]:
    """The place of a mutant, and its line before and after."""
    after = [f"    + {mutant.after}"] if mutant.after else []
    return [f"  {mutant.of.partition('.')[0]}.py:{mutant.line} ({mutant.of})", f"    - {mutant.before}", *after]


def row_of(score: Score) -> Iterator[str]:
    """One line for a component, then what needs a look: survivors, and what is stored wrongly."""
    share = percent(score.killed, score.judged)
    yield (
        f"{score.component:<30} {len(score.rows):>4} mutants, {len(score.equivalent):>2} equivalent: "
        f"{score.killed:>3} of {score.judged:>3} noticed ({share:5.1f} %), {score.crashed:>3} by a crash; "
        f"{score.seconds:.0f} s"
    )
    for mutant, outcome, stored in score.survivors:
        yield from change(mutant)
        reached = "" if outcome.reached else "no check runs this line"
        yield f"    survives: {stored.reason if stored else reached or 'not explained'}"
    for mutant, outcome, stored in score.contradicted:
        yield from change(mutant)
        yield f"    stored as {stored.kind}, but {outcome.place}::{outcome.killed_by} notices it"
    for entry in score.gone:
        yield f"  stored in specs/mutants/{score.component}.toml, but there is no such mutant of {entry.key[0]}:"
        yield f"    - {entry.key[1]}"
        yield f"    + {entry.key[2]}"


def markdown(scores: Sequence[Score], quick: Sequence[Score], most: int) -> str:
    """The page: a table of scores at two efforts, then the survivors with their reasons.

    ``quick``: the scores at the effort quick; nothing where it was not tried.
    """
    by_name = {score.component: score for score in quick}
    lines = [_line(s.component, [s], [by_name[s.component]] if s.component in by_name else []) for s in scores]
    lines.append(_line("**all**", scores, quick))
    how_many = f"At most {most} mutants of each component are taken, chosen by a digest" if most else "All are taken"
    page = HEAD.format(most=how_many) + "\n".join(lines) + "\n"
    alive = [(mutant, stored) for score in scores for mutant, _, stored in score.survivors]
    if alive:
        page += "\n## Survivors\n\n"
        for mutant, stored in alive:
            reason = stored.reason if stored else "Not explained yet."
            after = f"`{mutant.after}`" if mutant.after else "nothing"
            page += f"- `{mutant.of}`: `{mutant.before}` becomes {after}. {reason}\n"
    return page


def _line(name: str, scores: Sequence[Score], quick: Sequence[Score]) -> str:
    killed, judged = sum(score.killed for score in scores), sum(score.judged for score in scores)
    equivalent, crashed = sum(len(score.equivalent) for score in scores), sum(score.crashed for score in scores)
    fast = percent(sum(score.killed for score in quick), sum(score.judged for score in quick))
    shown = f"{fast:.1f} %" if quick else "not tried"
    counts = f"{judged + equivalent} | {equivalent} | {killed} | {crashed}"
    return f"| {name} | {counts} | {percent(killed, judged):.1f} % | {shown} |"
