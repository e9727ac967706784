"""The line whose change fixes the answers: for code that computes no tensors, in which no value can be replaced.

Every line that wrong answers come from is changed in small ways, the smallest first. The first change with which all
wrong answers are right, and the right ones stay so, shows the line. Functions that may touch files or other programs
are left alone: nobody knows what they would do with a change.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

import torch

from harness.core.change import Change
from harness.core.implementation import Implementation
from harness.core.marked_line import Mark, MarkedLine
from harness.core.steps import Place
from harness.core.tree import leaves
from harness.execution.run_lines import Lines
from harness.localisation.experiment import Sample
from harness.localisation.marking import line_at
from harness.localisation.repair.candidates import changes
from harness.localisation.repair.scope import statement_at
from harness.localisation.repair.search import find_fixes
from harness.localisation.sources import Source, source_of_file

FEW = 3
"""Answers whose lines are looked at."""
SUSPECT = 0.4
"""A change costs so much less on a line that runs in all wrong answers, and in no right one."""
MARGIN = 0.4
"""What a change of another line may cost more to be as likely: then both lines are marked."""
TENSORS = ("torch.", ".T", ".mT", ".transpose(", ".permute(", ".view(", ".masked_fill(", ".unsqueeze(", "keepdim")
"""What is written of tensors only."""
OUTSIDE = frozenset(
    [
        "open",
        "os",
        "io",
        "sys",
        "shutil",
        "pathlib",
        "Path",
        "tempfile",
        "subprocess",
        "socket",
        "urllib",
        "requests",
        "http",
        "sqlite3",
        "pickle",
        "system",
        "popen",
        "unlink",
        "rmdir",
        "rmtree",
        "rename",
        "write",
        "write_text",
        "write_bytes",
        "dump",
        "save",
        "eval",
        "exec",
        "input",
    ]
)
"""Names in functions that may touch what is outside of them."""
MOST_TEXT = 100_000_000
"""Characters of all candidates together: each holds the text of its file."""
WHOLE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)
"""Statements that are no computation."""


def is_text(samples: Sequence[Sample]) -> bool:
    """Whether the cases hold no tensor, and the right answers none of several numbers: text, ids, a learning rate."""
    values = [leaf for sample in samples for _, leaf in leaves(list(sample.right.outputs))]
    given = [tensor for sample in samples for tensor in sample.request.case.tensors()]
    return bool(samples) and not given and not any(torch.is_tensor(value) and value.numel() > 1 for value in values)


def lines_by_change(
    wrong: Sequence[Sample],
    right: Sequence[Sample],
    ran: Callable[[Sample], Lines],
    made: Callable[[Change], Implementation | None],
    numbers: Sequence[float],
    seconds: float,
) -> tuple[MarkedLine, ...]:
    """The line that a change fixes, and a second one where a change of that is as likely; none where none does.

    ``ran``: the lines that run for a sample. ``made``: the implementation with a change in force. ``numbers``: those of
    the reference's source. ``seconds``: of the processor, for the search.
    """
    bad, good = [ran(one) for one in wrong[:FEW]], [ran(one) for one in right[:FEW]]
    if any(_reaches_outside(file, bad) for file in _files(bad)):
        return ()
    ordered = _candidates(bad, good, numbers)
    samples = (*wrong, *right)

    def first_of(pairs: Sequence[tuple[float, Change]], seconds: float) -> int:
        """The place of the first change with which every answer is right; -1 where there is none."""
        trials = [change for _, change in pairs]
        change = next(find_fixes(trials, made, samples, seconds), None)
        return -1 if change is None else trials.index(change)

    found = first_of(ordered, seconds)
    if found < 0:
        return ()
    cost, change = ordered[found]
    line = _marked(change)
    as_likely = [
        pair for pair in ordered[found + 1 :] if pair[0] <= cost + MARGIN and _number(pair[1]) != _number(change)
    ]
    second = first_of(as_likely, seconds / 3)
    return (line,) if second < 0 else (line, _marked(as_likely[second][1]))


def _candidates(bad: Sequence[Lines], good: Sequence[Lines], numbers: Sequence[float]) -> list[tuple[float, Change]]:
    """Changes of the lines that run, the likeliest first, each with what it costs. Of a long file the cheapest ones of
    every line, as many as have a place in memory."""
    lines = [line for file in _files(bad) for line in _statements(file, bad)]
    found: list[tuple[float, Change]] = []
    for line in lines:
        less = SUSPECT * (_share(line, bad) - _share(line, good))
        left = MOST_TEXT // len(lines)
        for change in changes([line], numbers):
            if left <= 0:
                break
            if not any(change.after.count(word) > change.before.count(word) for word in TENSORS):
                found.append((change.cost - less, change))
                left -= len(change.after)
    return sorted(found, key=lambda pair: pair[0])


def _files(ran: Sequence[Lines]) -> list[str]:
    return sorted({file for lines in ran for file in lines})


def _reaches_outside(file: str, ran: Sequence[Lines]) -> bool:
    """Whether a function that runs may touch files or other programs, in whatever branch."""
    source = source_of_file(file)
    numbers = {number for lines in ran for number in lines.get(file, ())}
    tree = source.tree if source is not None else None
    running = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any(node.lineno <= number <= (node.end_lineno or node.lineno) for number in numbers)
    ]
    inner = [node for function in running for node in ast.walk(function)]
    names = {node.id for node in inner if isinstance(node, ast.Name)}
    return not OUTSIDE.isdisjoint(names | {node.attr for node in inner if isinstance(node, ast.Attribute)})


def _statements(file: str, ran: Sequence[Lines]) -> Iterator[MarkedLine]:
    """Each statement of a file that runs, as a line with nothing underlined."""
    source = source_of_file(file)
    if source is None or source.tree is None:
        return
    seen: set[int] = set()
    for number in sorted({number for lines in ran for number in lines.get(file, ())}):
        statement = statement_at(source.tree, number)
        if statement is not None and not isinstance(statement, WHOLE) and statement.lineno not in seen:
            seen.add(statement.lineno)
            yield MarkedLine(file, statement.lineno, statement.lineno)


def _share(line: MarkedLine, ran: Sequence[Lines]) -> float:
    """In which share of these runs a line runs."""
    return sum(line.line in lines.get(line.file, ()) for lines in ran) / len(ran) if ran else 0.0


def _number(change: Change) -> int:
    """The first line that differs, from 1."""
    before, after = change.before.splitlines(), change.after.splitlines()
    pairs = enumerate(zip(before, after, strict=False), 1)
    return next((n for n, (one, other) in pairs if one != other), min(len(before), len(after)))


def _marked(change: Change) -> MarkedLine:
    """The line that a change changes, with the smallest expression around what differs underlined."""
    before, after, number = change.before.splitlines(), change.after.splitlines(), _number(change)
    if len(after) > len(before):  # a statement is missing after the line before
        return line_at(Place(change.file, number - 1, number - 1), Mark.MISSING)
    one, other = before[number - 1], after[number - 1] if len(after) == len(before) else ""
    start = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    back = zip(reversed(one[start:]), reversed(other[start:]), strict=False)
    same = next((n for n, (a, b) in enumerate(back) if a != b), min(len(one), len(other)) - start)
    return line_at(
        _expression(change.file, Source(change.before), number, start, max(len(one) - same, start + 1)), Mark.WRONG
    )


def _expression(file: str, source: Source, line: int, start: int, end: int) -> Place:
    """The smallest expression of a line around these characters; the statement where there is none."""
    text = source.line(line)
    first, last = (len(text[:at].encode("utf-8")) for at in (start, end))
    spans = [
        (node.end_col_offset - node.col_offset, node.col_offset, node.end_col_offset)
        for node in ast.walk(source.tree or ast.Module([], []))
        if isinstance(node, ast.expr)
        and node.end_col_offset is not None
        and node.lineno == node.end_lineno == line
        and node.col_offset <= first
        and last <= node.end_col_offset
    ]
    _, column, end_column = min(spans, default=(0, len(text) - len(text.lstrip()), len(text.encode("utf-8"))))
    return Place(file, line, line, column, end_column)
