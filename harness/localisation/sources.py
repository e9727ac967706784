"""The text of the implementation's files: statements and expressions at a place."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from harness.core.notebook import SUFFIX, read_notebook


@dataclass(frozen=True)
class Source:
    """The Python of one file (of a notebook, its cells as one)."""

    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, the first at 0."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module | None:
        """Its syntax tree; None where it has none."""
        try:
            return ast.parse(self.text)
        except (SyntaxError, ValueError):
            return None

    def line(self, number: int) -> str:
        """A line, by its number from 1; empty where there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def lines_between(self, first: int, last: int) -> str:
        """The lines with these numbers, both included, as far as they are there."""
        return "\n".join(self.lines[max(first, 1) - 1 : max(last, 0)])

    def characters(self, line: int, column: int) -> int:
        """A column in bytes, as Python counts, in characters."""
        return len(self.line(line).encode("utf-8")[:column].decode("utf-8", "ignore")) if column >= 0 else -1

    def part(self, line: int, column: int, end_line: int, end_column: int) -> str:
        """The text between two places (columns in characters), in one line."""
        if line == end_line:
            return self.line(line)[column:end_column]
        middle = [self.line(n) for n in range(line + 1, end_line)]
        return " ".join(
            one.strip() for one in [self.line(line)[column:], *middle, self.line(end_line)[:end_column]] if one.strip()
        )

    def expression(self, line: int, column: int, end_line: int, end_column: int) -> ast.expr | None:
        """The expression at exactly this place; columns in bytes."""
        for node in ast.walk(self.tree) if self.tree is not None else ():
            if isinstance(node, ast.expr):
                place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
                if place == (line, column, end_line, end_column):
                    return node
        return None


def source_of_file(file: str) -> Source | None:
    """The source of a file; None where it cannot be read."""
    try:
        return _read(file, Path(file).stat().st_mtime)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=32)
def _read(file: str, changed: float) -> Source:
    if file.endswith(SUFFIX):
        return Source(read_notebook(Path(file)).source)
    return Source(Path(file).read_text(encoding="utf-8"))
