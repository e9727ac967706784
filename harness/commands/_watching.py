"""Which files an implementation is made of, and which of its components a change touches: read, never run."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WHOLE = ""
"""The name under which everything of a file that is no function, class or import is kept."""


class Unfinished(Exception):
    """A file cannot be read as Python just now; the text says where and why."""


@dataclass(frozen=True)
class Source:
    """The top-level names of an implementation: what each is (a digest), what it refers to, and what it builds.

    ``lively``: those that run while the file is imported (all but functions).
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    refers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    builds: Mapping[str, str] = field(default_factory=dict)
    lively: frozenset[str] = frozenset()


def files_of(path: Path) -> list[Path]:
    """The file, and what it imports from its own folder, directly or not; of a package, all its files."""
    if path.name == "__init__.py":
        return sorted(path.parent.rglob("*.py"))
    found, waiting = [path], [path]
    while waiting:
        for name in _imported(waiting.pop()):
            parts = name.split(".")
            for candidate in (
                path.parent.joinpath(*parts).with_suffix(".py"),
                path.parent.joinpath(*parts, "__init__.py"),
            ):
                if candidate.is_file() and candidate not in found:
                    found.append(candidate)
                    waiting.append(candidate)
    return found


def _imported(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module] if node.module else []
            names += [f"{node.module}.{alias.name}" if node.module else alias.name for alias in node.names]
    return names


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """When each file was written last, and how long it is; (0, 0) for one that is not there."""
    found = {}
    for file in files:
        try:
            state = file.stat()
            found[file] = (state.st_mtime_ns, state.st_size)
        except OSError:
            found[file] = (0, 0)
    return found


def read(files: Iterable[Path]) -> Source:
    """The top-level names of all files together. Raises Unfinished where one is no Python just now."""
    digests: dict[str, str] = {}
    refers: dict[str, frozenset[str]] = {}
    builds: dict[str, str] = {}
    lively: set[str] = set()
    for file in files:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise Unfinished(f"{file.name}, line {error.lineno}: {error.msg}") from None
        except (OSError, ValueError) as error:
            raise Unfinished(f"{file.name} cannot be read: {error}") from None
        rest = []
        for node in tree.body:
            names = _defined(node)
            if not names:
                rest.append(ast.dump(node))
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lively.update(names)
            for name in names:
                digests[name] = _digest(digests.get(name, "") + ast.dump(node))
                used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                used |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
                refers[name] = refers.get(name, frozenset()) | used - {name}
                for component in _implemented(node):
                    builds[name] = component
        digests[f"{WHOLE}{file}"] = _digest("\n".join(rest))
    return Source(digests, refers, builds, frozenset(lively))


def _defined(node: ast.stmt) -> list[str]:
    """The names that a top-level statement gives a meaning to, where it does nothing else."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) for t in node.targets):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    return []


def _implemented(node: ast.AST) -> list[str]:
    """The components that ``@implements("...")`` says."""
    calls = [d for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Call) and d.args]
    named = [c.args[0] for c in calls if ast.unparse(c.func).rpartition(".")[2] == "implements"]
    return [str(a.value) for a in named if isinstance(a, ast.Constant)]


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def touched(before: Source, after: Source, components: Iterable[str], parts: Mapping[str, Iterable[str]]) -> set[str]:
    """The components that a change may concern: what changed, whatever refers to it, and what stands on that.

    A component that no function or class of its name or @implements stands for may be anywhere, and is always among
    them; so is every component where something changed outside of functions, classes and imports.
    """
    changed = {n for n in {*before.digests, *after.digests} if before.digests.get(n) != after.digests.get(n)}
    every = set(components)
    if any(name not in after.refers and name not in before.refers for name in changed):
        return every if changed else set()
    at_once = changed & (before.lively | after.lively)
    while more := {n for n, used in after.refers.items() if n not in changed and used & changed}:
        changed |= more
    roots = {name: {name, *(f for f, built in after.builds.items() if built == name)} for name in every}
    found = {name for name, names in roots.items() if names & changed}
    if at_once and not found:  # nobody refers to it, and still it may stop the import
        return every
    if changed:
        found |= {name for name, names in roots.items() if not names & (set(after.refers) | set(before.refers))}
    while more := {n for n in every if n not in found and set(parts.get(n, ())) & found}:
        found |= more
    return found
