"""The submissions in a folder: which there are, what each consists of, and what may not be in it."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import UsageError

IGNORED = ("__pycache__", ".git", ".venv", "venv", "__MACOSX", ".ipynb_checkpoints", ".DS_Store")


@dataclass(frozen=True)
class Submission:
    """One file or folder. ``problem``: why there is nothing to judge, in words for the student; else ``entry`` is the file."""

    name: str
    path: Path
    entry: str
    digest: str
    problem: str = ""


def find(folder: Path, entry: str = "") -> tuple[list[Submission], list[str]]:
    """Every submission, by name, and what was passed over. Raises UsageError where there is none, or two of one name."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; `plumbline grade` takes one with a file or a folder per submission")
    found: dict[str, Submission] = {}
    passed_over = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            continue
        if path.is_symlink() or not (path.is_dir() or path.suffix == ".py"):
            passed_over.append(path.name)
            continue
        one = submission(path, entry)
        if one.name in found:
            raise UsageError(
                f"{folder} holds two submissions named {one.name}: {found[one.name].path.name} and {path.name}"
            )
        found[one.name] = one
    if not found:
        raise UsageError(f"{folder} holds no submission: no .py file and no folder (for one submission: --single)")
    return list(found.values()), passed_over


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
        return "", f"there is no {entry} in it" + (f"; it holds {there}" if there else "; it holds no Python file")
    modules = [str(f) for f in files if f.suffix == ".py" and len(f.parts) == 1]
    if "__init__.py" in modules:
        return "__init__.py", ""
    if len(modules) == 1:
        return modules[0], ""
    if modules:
        return "", f"it holds {len(modules)} Python files ({', '.join(modules)[:200]}), and nothing says which to judge"
    inner = [str(f) for f in files if f.suffix == ".py"]
    return (
        (inner[0], "")
        if len(inner) == 1
        else ("", "it holds no Python file" if not inner else "it holds no Python file at its top")
    )


def _files(folder: Path) -> Iterator[Path]:
    """Every regular file, relative, in order; links are not followed: they may lead anywhere."""
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
    """Copy it into a folder; the path of what is to be judged, as ``--impl`` takes it, relative to that folder."""
    safe = re.sub(r"[^\w.-]", "_", one.name)
    if one.path.is_file():
        shutil.copyfile(one.path, folder / f"{safe}.py")
        return f"./{safe}.py"
    for file in _files(one.path):
        (folder / safe / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one.path / file, folder / safe / file)
    return f"./{safe}" if one.entry == "__init__.py" else f"./{safe}/{one.entry}"


def forbidden(one: Submission, names: Iterable[str]) -> str:
    """Where it refers to a module that it must not use; an empty text where it does not, as far as reading tells."""
    folder, files = (
        (one.path, list(_files(one.path))) if one.path.is_dir() else (one.path.parent, [Path(one.path.name)])
    )
    for file in files:
        if file.suffix != ".py":
            continue
        try:
            tree = ast.parse((folder / file).read_bytes())  # in whatever encoding it declares
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # the import will tell
        for node in ast.walk(tree):
            for used in _modules(node):
                for name in names:
                    if used == name or used.startswith(f"{name}."):
                        return f"{file.as_posix()}:{getattr(node, 'lineno', 0)} uses {name}, which may not be used here"
    return ""


def _modules(node: ast.AST) -> list[str]:
    """The dotted names of modules that a piece of code refers to: in imports, as attributes, as a text to import."""
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
    """``a.b.c``; an empty text where it begins with something else than a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
