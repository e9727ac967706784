"""From the site that healed to the lines that are shown: the text, the part that is wrong, what the reference has."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import replace

from harness.core.marked_line import Mark, MarkedLine
from harness.core.steps import Place, Step
from harness.localisation.alignment import is_close
from harness.localisation.experiment import Experiment
from harness.localisation.layouts import Form
from harness.localisation.numbers import origins
from harness.localisation.recipe import Recipe
from harness.localisation.sites import Sites
from harness.localisation.sources import Source, source_of_file

MOST_LINES = 2
AROUND = 3
"""Lines above and below that a report may show with a line."""
MOST_WRONG = 3
"""Lines that a healed value may rest on and that are not right; of more the experiment has not decided."""


def marked(experiment: Experiment, recipes: Sequence[Recipe]) -> tuple[MarkedLine, ...]:
    """The lines, the surest first; none where too many are left."""
    found: list[MarkedLine] = []
    for recipe in recipes:
        found += _of_one(experiment, recipe, alone=len(recipes) == 1)
    if len(recipes) > 1:
        found = _joined(found)
    once = {(line.file, line.line): line for line in reversed(found) if line.text}
    lines = [line for line in found if line.text and once[(line.file, line.line)] is line]
    return tuple(lines[:MOST_LINES]) if len(recipes) == 1 or len(lines) <= MOST_LINES else ()


def _joined(found: Sequence[MarkedLine]) -> list[MarkedLine]:
    """Parts of one line that are wrong alike become one part: from the first to the last."""
    joined: dict[tuple[object, ...], MarkedLine] = {}
    for line in found:
        key = (line.file, line.line, line.end_line, line.mark)
        first = joined.setdefault(key, line)
        if first is not line and first.column >= 0 and line.column >= 0 and line.line == line.end_line:
            start, end = min(first.column, line.column), max(first.end_column, line.end_column)
            joined[key] = replace(first, column=start, end_column=end, computes=line.text[start:end])
    return list(joined.values())


def _of_one(experiment: Experiment, recipe: Recipe, alone: bool) -> list[MarkedLine]:
    """The line of what healed, and one more that it depends on."""
    sites, own = Sites(experiment), experiment.own
    step = own.steps[own.at[recipe.site][0]]
    if recipe.argument >= 0:  # what the function is given where it is called
        return [line_at(step.outer[0], Mark.WRONG, _expected(experiment, recipe))]
    if recipe.order:
        return [line_at(step.place, Mark.WRONG)]
    if recipe.missing:
        reader = sites.first_wrong_reader(recipe.site)
        head = line_at(step.place, Mark.MISSING, _expected(experiment, recipe))
        return [head] if reader is None else [head, line_at(own.steps[reader].place, Mark.READER)]
    if recipe.undone:
        return [line_at(step.place, Mark.SURPLUS)]
    if negatives := _negatives(experiment, recipe):
        places = {(one.place.file, one.place.line): one.place for one in negatives}
        return [line_at(place, Mark.WRONG) for place in reversed(places.values())]
    head = line_at(_narrowed(experiment, step, sites), Mark.WRONG, _expected(experiment, recipe))
    before = [own.steps[n].place for n in sorted(sites.wrong_before(recipe.site))]
    others = {(place.file, place.line): place for place in before if place.line != step.place.line}
    if len(others) > MOST_WRONG:
        return []
    if others and alone and _is_scaled(experiment, recipe):
        root = own.steps[max(sites.wrong_before(recipe.site))]
        return [line_at(_narrowed(experiment, root, sites), Mark.WRONG), *(_numbers(experiment, root) or [head])]
    second = [line_at(place, Mark.WRONG) for place in list(others.values())[:1]] if alone else []
    return [head, *(second or _numbers(experiment, step))]


def _negatives(experiment: Experiment, recipe: Recipe) -> list[Step]:
    """Where the sign of what healed was wrong alone: that step and those after it whose results are negatives of right
    values, in order. A sign is missing behind one of them: log-probabilities are negative by themselves."""
    made, own = recipe.made(experiment), recipe.own(experiment)
    if len(own) != 1 or made is None or not made.values or (value := made.values[0]) is None:
        return []
    if value.shape != own[0].shape or not is_close(-value if value.is_floating_point() else value, own[0]):
        return []
    graph, found = experiment.own, [experiment.own.at[recipe.site][0]]
    while len(after := graph.readers[found[-1]]) == 1 and _is_negative(experiment, graph.steps[min(after)]):
        found += after
    return [graph.steps[n] for n in found] if len(found) > 1 else []


def _is_negative(experiment: Experiment, step: Step) -> bool:
    """Whether a result is the negative of a right value."""
    value = step.values[0] if len(step.values) == 1 else None
    match = None if value is None else experiment.alignment.derived(value)
    return match is not None and match.layout.form is Form.NEGATIVE


def _is_scaled(experiment: Experiment, recipe: Recipe) -> bool:
    """Whether what healed is a multiple of what was there: that operation is right, and a factor before it is not."""
    made, own = recipe.made(experiment), recipe.own(experiment)
    wanted = made.values[0] if made is not None and made.values else None
    if wanted is None or not wanted.is_floating_point() or wanted.shape != own[0].shape:
        return False
    mine, wanted = own[0].double(), wanted.double()
    factor = float((mine * wanted).sum() / wanted.square().sum().clamp(min=1e-300))
    return math.isfinite(factor) and is_close(mine, factor * wanted, experiment.rounded)


def line_at(place: Place, mark: Mark, expected: str = "") -> MarkedLine:
    """The line of a place, with its text; empty where the file cannot be read."""
    source = source_of_file(place.file) or Source("")
    start = source.characters(place.line, place.column)
    end = source.characters(place.end_line, place.end_column)
    computes = source.part(place.line, start, place.end_line, end) if start >= 0 else source.line(place.line).strip()
    text = source.lines_between(place.line, place.end_line)
    return MarkedLine(
        *(place.file, place.line, place.end_line, start, end, text, computes, expected, mark),
        above=source.lines_between(place.line - AROUND, place.line - 1),
        below=source.lines_between(place.end_line + 1, place.end_line + AROUND),
    )


def _narrowed(experiment: Experiment, step: Step, sites: Sites) -> Place:
    """Without an operand at its beginning or end that is right already: ``q @ k / width`` is wrong in ``/ width``."""
    place = step.place
    source = source_of_file(place.file)
    if source is None or place.column < 0 or place.line != place.end_line:
        return place
    for n in step.inputs:
        inner = experiment.own.steps[n].place if n >= 0 else None
        if inner is None or not sites.is_right(n) or inner.column < 0 or inner.line != inner.end_line:
            continue
        if (inner.file, inner.line, inner.column) == (place.file, place.line, place.column):
            raw = source.line(place.line).encode("utf-8")[inner.end_column : place.end_column]
            start = place.end_column - len(raw.lstrip(b" )"))
            if raw.strip(b" )") and not raw.strip().startswith(b"."):
                return Place(place.file, place.line, place.line, start, place.end_column, place.function)
    return place


def _expected(experiment: Experiment, recipe: Recipe) -> str:
    """The reference's expression in the place of the one that healed."""
    if not recipe.sources:
        return ""
    step = experiment.right.step(recipe.sources[0][0], recipe.sources[0][1])
    source = source_of_file(step.place.file) if step is not None else None
    if step is None or source is None or step.place.column < 0:
        return ""
    place = step.place
    start, end = (source.characters(*pair) for pair in ((place.line, place.column), (place.end_line, place.end_column)))
    return source.part(place.line, start, place.end_line, end)


def _numbers(experiment: Experiment, step: Step) -> list[MarkedLine]:
    """The line that gives a number which the operation computes with, where there is one such line."""
    source = source_of_file(step.place.file)
    if source is None or step.place.column < 0:
        return []
    traced = {one.place.line for one in experiment.own.steps if one.place.file == step.place.file}
    found = origins(source, step.place, traced)
    return [line_at(_place(one, step.place.file), Mark.NUMBER) for one in found] if len(found) == 1 else []


def _place(node: ast.stmt, file: str) -> Place:
    value = getattr(node, "value", node)
    end_line, end = value.end_lineno or value.lineno, value.end_col_offset
    return Place(file, value.lineno, end_line, value.col_offset, -1 if end is None else end)
