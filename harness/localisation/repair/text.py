"""The text of a file by its syntax tree, and edits of it that leave everything else as it is written."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property

ATOMS = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript, ast.Tuple, ast.List, ast.Dict, ast.Set)
"""Expressions that need no parentheses, wherever they stand."""


@dataclass(frozen=True)
class TextEdit:
    """The characters from ``start`` to ``end`` of a text become ``new``. ``cost``: how much it changes."""

    start: int
    end: int
    new: str
    cost: float = 1.0

    def of(self, text: str) -> str:
        """The text with this edit."""
        return text[: self.start] + self.new + text[self.end :]


@dataclass(frozen=True)
class Text:
    """The text of a file."""

    text: str

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines(keepends=True)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self._lines:
            starts.append(starts[-1] + len(line))
        return starts

    def _offset(self, line: int, column: int) -> int:
        """Where a place is, in characters. ``line`` from 1, ``column`` in bytes."""
        return self._starts[line - 1] + len(self._lines[line - 1].encode("utf-8")[:column].decode("utf-8", "ignore"))

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        """Where the text of a node begins and ends."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._offset(node.lineno, node.col_offset), self._offset(end_line, end_column)

    def of(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def inner(self, node: ast.expr) -> str:
        """The text of a node as it may stand beside any operator."""
        return self.of(node) if isinstance(node, ATOMS) else f"({self.of(node)})"

    def replaced(self, node: ast.expr | ast.stmt | ast.keyword, new: str, cost: float = 1.0) -> TextEdit:
        """The edit that writes ``new`` in the place of a node."""
        return TextEdit(*self.span(node), new, cost)

    def line(self, number: int) -> tuple[int, int]:
        """Where a line begins and ends, its line break included."""
        return self._starts[number - 1], self._starts[number]
