"""Which names of a module are its author's own, and which are merely imported from another distribution.

``from torch.utils.checkpoint import checkpoint`` makes nobody the author of ``checkpoint``. An assignment in their own
file (``softmax = torch.softmax``) is a statement of its author: that is the way to say that it is meant.
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import ModuleType

from harness.core.library_files import is_library_file
from harness.core.skipped import LIFTED

Imported = tuple[str, str]
"""A module as it is written after ``from`` or ``import`` (dots included), and the name in it; "" for the module."""
STAR = "*"


def is_merely_imported(module: ModuleType, name: str) -> bool:
    """Whether a name of a module was imported from another distribution than its own, directly or in several steps.

    Where the source is not there, or binds the name in another way (``globals()[...] = ...``), it was not.
    """
    return _is_foreign_name(module, module, name, frozenset())


def is_foreign(origin: str, home: ModuleType) -> bool:
    """Whether the module of this dotted name belongs to another distribution: the standard library, an installed one.

    What has the same first name as ``home`` is of its own package, wherever that lies.
    """
    if origin.partition(".")[0] == home.__name__.partition(".")[0]:
        return False
    module = sys.modules.get(origin)
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    if file is None:
        places = [str(folder) for folder in getattr(module, "__path__", ())]
        return not places or any(is_library_file(place + os.sep) for place in places)
    return is_library_file(file)


def _is_foreign_name(module: ModuleType, home: ModuleType, name: str, seen: frozenset[tuple[str, str]]) -> bool:
    if (module.__name__, name) in seen:
        return False
    seen |= {(module.__name__, name)}
    imported = _last_import(module, name)
    if imported is None:
        return False
    written, member = imported
    for origin, inner in _readings(written, member, module):
        source = sys.modules.get(origin)
        if source is None or (inner and not hasattr(source, inner)):
            continue
        if is_foreign(origin, home):
            return True
        return bool(inner) and _is_foreign_name(source, home, inner, seen)
    return False


def _readings(written: str, member: str, module: ModuleType) -> Iterator[Imported]:
    """What an import may mean: an object of a module, or a module of a package."""
    package = getattr(module, "__package__", None) or module.__name__.rpartition(".")[0]
    try:
        origin = importlib.util.resolve_name(written, package) if written.startswith(".") else written
    except ImportError:
        return
    if member:
        yield f"{origin}.{member}", ""
    yield origin, member


def _last_import(module: ModuleType, name: str) -> Imported | None:
    """The import that binds a name last in a module's source; None where another statement does, or none."""
    bound: Imported | None = None
    for names, imported in bindings(executed(module)):
        if name in names:
            bound = imported
        elif STAR in names and imported is not None:
            written = imported[0]
            sources = (sys.modules.get(origin) for origin, inner in _readings(written, "", module) if not inner)
            if any(source is not None and hasattr(source, name) for source in sources):
                bound = (written, name)
    return bound


def executed(module: ModuleType) -> list[ast.stmt]:
    """The statements of a module that were executed when it was imported; none where there is no source."""
    script = vars(module).get(LIFTED)
    if script is not None:
        return list(script.executed)
    file = getattr(module, "__file__", None) or ""
    try:
        return _parsed("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return []


@lru_cache(maxsize=64)
def _parsed(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def bindings(body: Iterable[ast.stmt]) -> Iterator[tuple[set[str], Imported | None]]:
    """The names that each statement binds, in order, with what an import imports; None for another statement.

    Looks into ``if``, ``try``, ``with`` and loops, where names are the module's too.
    """
    for statement in body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                top = alias.name.partition(".")[0]
                yield ({alias.asname}, (alias.name, "")) if alias.asname else ({top}, (top, ""))
        elif isinstance(statement, ast.ImportFrom):
            written = "." * statement.level + (statement.module or "")
            for alias in statement.names:
                member = "" if alias.name == STAR else alias.name
                yield {alias.asname or alias.name}, (written, member)
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield {statement.name}, None
        else:
            yield assigned_names(statement), None
            for inner in ("body", "orelse", "finalbody"):
                yield from bindings(getattr(statement, inner, ()))
            for handler in getattr(statement, "handlers", ()):
                yield from bindings(handler.body)


def assigned_names(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns itself: of targets, loops and ``with ... as``."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target] if statement.value is not None else []
    elif isinstance(statement, (ast.AugAssign, ast.For, ast.AsyncFor)):
        targets = [statement.target]
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in statement.items if item.optional_vars is not None]
    stored = (node for target in targets for node in ast.walk(target))
    return {node.id for node in stored if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
