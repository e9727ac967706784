"""What can be counted in Python source without running it: sizes, `Any`, long lines, docstrings, decisions on text."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from text_decisions import text_decisions

MOST_LINES_OF_FILE = 300
MOST_LINES_OF_FUNCTION = 40
MOST_CHARACTERS = 120
DOCUMENTED = ("core", "numerics", "execution", "modules", "adapters")
"""Packages of harness/ whose public objects need a docstring. `adapters` came before `execution` and `modules`."""
TABLES = ("specs/bugs/", "specs/script_mistakes/")
"""Tables of mistakes, whose lines may be long."""
PRAGMA = re.compile(r"\s+# (type: ignore|noqa)\S*.*$")
"""A comment for a tool. ruff does not count it as part of the line either."""
SKIPS = re.compile(r"# fmt: (skip|off)\b")
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Counts:
    """Of one folder. Places are `file:line`, or `file:line: the line`; paths are relative to the root."""

    files: int = 0
    functions: int = 0
    annotated_parameters: int = 0
    any_parameters: int = 0
    """Parameters whose annotation contains `Any`, as in `dict[str, Any]`."""
    only_any_parameters: int = 0
    """Parameters whose annotation is `Any` alone."""
    long_lines: int = 0
    long_lines_in_tables: int = 0
    format_skips: int = 0
    public_objects: int = 0
    long_files: list[str] = field(default_factory=list)
    long_functions: list[str] = field(default_factory=list)
    without_docstring: list[str] = field(default_factory=list)
    text_decisions: list[str] = field(default_factory=list)

    def __add__(self, other: Counts) -> Counts:
        """The counts of two folders together."""
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def count_folder(root: Path, folder: str) -> Counts:
    """Count all Python files below a folder of the root. Raises SyntaxError for a file that does not parse."""
    counts = Counts()
    for path in sorted((root / folder).rglob("*.py")):
        count_file(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"), counts)
    return counts


def count_file(name: str, text: str, counts: Counts) -> None:
    """Add one file to the counts. ``name``: its path relative to the root."""
    tree = ast.parse(text, name)
    lines = text.splitlines()
    counts.files += 1
    if len(lines) > MOST_LINES_OF_FILE:
        counts.long_files.append(f"{name}: {len(lines)} lines")
    _count_lines(name, text, lines, counts)
    for node in ast.walk(tree):
        if isinstance(node, Function):
            _count_function(name, node, counts)
    if needs_docstrings(name):
        for line, title, has_docstring in public_objects(tree):
            counts.public_objects += 1
            counts.without_docstring += [] if has_docstring else [f"{name}:{line}: {title}"]
    counts.text_decisions += [f"{name}:{line}: {lines[line - 1].strip()}" for line in text_decisions(tree)]


def _count_lines(name: str, text: str, lines: list[str], counts: Counts) -> None:
    long = sum(len(PRAGMA.sub("", line)) > MOST_CHARACTERS for line in lines)
    if name.startswith(TABLES):
        counts.long_lines_in_tables += long
    else:
        counts.long_lines += long
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    counts.format_skips += sum(t.type == tokenize.COMMENT and bool(SKIPS.search(t.string)) for t in tokens)


def _count_function(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, counts: Counts) -> None:
    counts.functions += 1
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if length > MOST_LINES_OF_FUNCTION:
        counts.long_functions.append(f"{name}:{node.lineno}: {node.name}, {length} lines")
    given = node.args
    parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    for annotation in [p.annotation for p in parameters if p is not None and p.annotation is not None]:
        counts.annotated_parameters += 1
        counts.only_any_parameters += _is_any(annotation)
        counts.any_parameters += any(map(_is_any, ast.walk(annotation)))


def _is_any(node: ast.AST) -> bool:
    """`Any`, or `typing.Any`."""
    return (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")


def needs_docstrings(name: str) -> bool:
    """A public module of the packages whose public objects need a docstring."""
    parts = name.split("/")
    is_private = parts[-1].startswith("_") and parts[-1] != "__init__.py"
    return len(parts) > 2 and parts[0] == "harness" and parts[1] in DOCUMENTED and not is_private


def public_objects(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """(line, title, has a docstring) of a module, its public functions and classes, and their public methods."""
    if tree.body:
        yield 1, "the module", ast.get_docstring(tree) is not None
    for node in tree.body:
        if not isinstance(node, (*Function, ast.ClassDef)) or not _is_public(node):
            continue
        yield node.lineno, node.name, ast.get_docstring(node) is not None
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, Function) and _is_public(inner):
                yield inner.lineno, f"{node.name}.{inner.name}", ast.get_docstring(inner) is not None


def _is_public(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """No leading underscore; no second definition of a name (an overload, the setter of a property)."""
    marks = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
    return not node.name.startswith("_") and not marks & {"overload", "setter", "deleter"}
