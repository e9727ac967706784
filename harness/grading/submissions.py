"""The submissions in a folder: their names, their files, and the forbidden imports in them."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import UsageError

IGNORED = ("__pycache__", ".git", ".venv", "venv", "__MACOSX", ".ipynb_checkpoints", ".DS_Store")
PARSING = threading.Lock()
"""Submissions are judged in threads, and CPython 3.11's parser raises SystemError if two threads are inside at once."""


@dataclass(frozen=True)
class Submission:
    """One file or folder. ``entry``: the file to judge. ``problem``: why there is none, in words for the student."""

    name: str
    path: Path
    entry: str
    digest: str
    problem: str = ""


def find(folder: Path, entry: str = "") -> tuple[list[Submission], list[str]]:
    """Every submission, by name, and the names that were skipped. Raises UsageError for none, or two of one name."""
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder; `plumbline grade` takes one with a file or a folder per submission"
        )
    found: dict[str, Submission] = {}
    skipped = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            continue
        if path.is_symlink() or not (path.is_dir() or path.suffix == ".py"):
            skipped.append(path.name)
            continue
        one = submission(path, entry)
        if one.name in found:
            raise UsageError(
                f"{folder} has two submissions named {one.name}: {found[one.name].path.name} and {path.name}"
            )
        found[one.name] = one
    if not found:
        raise UsageError(f"{folder} has no submission: no .py file and no folder (for a single submission: --single)")
    return list(found.values()), skipped


def submission(path: Path, entry: str = "", name: str = "") -> Submission:
    """One file or folder as a submission."""
    name = name or (path.name if path.is_dir() else path.stem)
    if path.is_file():
        return Submission(name, path, path.name, _digest(path, [Path(path.name)]))
    files = list(_files(path))
    chosen, problem = _entry(path, files, entry)
    return Submission(name, path, chosen, _digest(path, files), problem)


def _entry(path: Path, files: list[Path], entry: str) -> tuple[str, str]:
    """The file to judge, or why there is none."""
    if entry:
        if Path(entry) in files:
            return entry, ""
        there = ", ".join(str(f) for f in files if f.suffix == ".py")[:200]
        return "", f"it has no {entry}" + (f"; it has {there}" if there else "; it has no Python file")
    modules = [str(f) for f in files if f.suffix == ".py" and len(f.parts) == 1]
    if "__init__.py" in modules:
        return "__init__.py", ""
    if len(modules) == 1:
        return modules[0], ""
    if modules:
        return (
            "",
            f"it has {len(modules)} Python files ({', '.join(modules)[:200]}), "
            "and the rubric names none of them as entry",
        )
    inner = [str(f) for f in files if f.suffix == ".py"]
    return (
        (inner[0], "")
        if len(inner) == 1
        else ("", "it has no Python file" if not inner else "it has no Python file at its top level")
    )


def _files(folder: Path) -> Iterator[Path]:
    """Every regular file, relative, in order. Links are skipped: they may point anywhere."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in IGNORED and not (Path(root) / name).is_symlink())
        for name in sorted(names):
            path = Path(root) / name
            if name not in IGNORED and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder)


def _digest(path: Path, files: Iterable[Path]) -> str:
    folder = path if path.is_dir() else path.parent
    digest = hashlib.sha256()
    for file in files:
        content = (folder / file).read_bytes()
        digest.update(f"{file.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def copied(one: Submission, folder: Path) -> str:
    """Copy the submission into a folder and return the path to judge, relative to it, as ``--impl`` takes it."""
    safe = re.sub(r"[^\w.-]", "_", one.name)
    if one.path.is_file():
        shutil.copyfile(one.path, folder / f"{safe}.py")
        return f"./{safe}.py"
    for file in _files(one.path):
        (folder / safe / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one.path / file, folder / safe / file)
    return f"./{safe}" if one.entry == "__init__.py" else f"./{safe}/{one.entry}"


def forbidden(one: Submission, names: Iterable[str]) -> str:
    """Where the code refers to a forbidden module, in words; empty if it does not, as far as its text shows."""
    folder, files = (
        (one.path, list(_files(one.path))) if one.path.is_dir() else (one.path.parent, [Path(one.path.name)])
    )
    for file in files:
        if file.suffix != ".py":
            continue
        try:
            with PARSING:
                tree = ast.parse((folder / file).read_bytes())  # in whatever encoding it declares
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # the import will tell
        for node in ast.walk(tree):
            for used in _modules(node):
                for name in names:
                    if used == name or used.startswith(f"{name}."):
                        return (
                            f"{file.as_posix()}:{getattr(node, 'lineno', 0)} uses {name}, which this assignment forbids"
                        )
    return ""


def _modules(node: ast.AST) -> list[str]:
    """The dotted names of modules that a syntax node refers to: imports, attributes, and strings that are imported."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Attribute):
        return [_dotted(node)]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else _dotted(node.func)
        return [str(node.args[0].value)] if called in ("import_module", "__import__") else []
    return []


def _dotted(node: ast.AST) -> str:
    """``a.b.c``; empty if it does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
