"""Scripts and notebooks are lifted, not run.

Importing a script would train. So of such a file only what its definitions need is executed: imports, functions,
classes, constants, and simple assignments that a definition reads. Statements that train, read files or arguments,
print, or build a model are not; neither is what depends on them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.discovery.bindings import assigned_names, bindings
from harness.discovery.statements import (
    DEFINITIONS,
    LOOPS,
    UNWANTED,
    Definitions,
    called,
    calls,
    is_acting,
    is_main_guard,
    is_script,
    loaded,
    root,
)

PURE = frozenset({"sys", "implements", "warnings"})
"""What may be called for its effect alone: ``sys.path.append``, ``implements(...)(Mine)``."""


@dataclass(frozen=True)
class Lifted:
    """``kept``: the statements to execute. ``skipped``: the others. ``lost``: names that only those would bind."""

    kept: tuple[ast.stmt, ...]
    skipped: tuple[ast.stmt, ...]
    lost: dict[str, ast.stmt] = field(default_factory=dict)


def script_in(tree: ast.Module) -> bool:
    """Whether a file is a script that defines something: it is lifted then."""
    own = Definitions(tree.body)
    return bool(own.functions or own.classes) and is_script(tree.body, own)


def lift(tree: ast.Module, wanted: Iterable[str] = ()) -> Lifted:
    """What of a file is executed where it is lifted. ``wanted``: names that are looked for in it."""
    return _Lifting(tree.body, wanted).lifted()


class _Lifting:
    """One look through a file, from the top."""

    def __init__(self, body: Sequence[ast.stmt], wanted: Iterable[str]) -> None:
        self.body, self.own = body, Definitions(body)
        self.imported = {n for names, imported in bindings(body) if imported is not None for n in names}
        self.needed = self._needed(set(wanted))
        self.bound: set[str] = set()
        self.lost: dict[str, ast.stmt] = {}
        self.skipped: list[ast.stmt] = []

    def _needed(self, wanted: set[str]) -> set[str]:
        """Names that are wanted, that definitions read, and what is read for these."""
        needed = wanted | {
            n for node in (*self.own.functions.values(), *self.own.classes.values()) for n in loaded(node)
        }
        assigning = [s for s in _flat(self.body) if assigned_names(s) or isinstance(s, ast.Expr)]
        while True:
            more = {n for s in assigning if _touched(s) & needed for n in loaded(s)} - needed
            if not more:
                return needed
            needed |= more

    def lifted(self) -> Lifted:
        kept = [kept for statement in self.body for kept in self._kept(statement)]
        return Lifted(tuple(kept), tuple(self.skipped), self.lost)

    def _kept(self, statement: ast.stmt) -> Iterable[ast.stmt]:
        """The statement, or what is left of it."""
        if is_main_guard(statement):
            return ()
        if isinstance(statement, (ast.If, ast.Try, ast.With)) and not self._is_unwanted(_head(statement)):
            return self._inner(statement)
        if self._is_executed(statement):
            for names, _ in bindings([statement]):
                self.bound |= names
                for name in names:
                    self.lost.pop(name, None)
            return (statement,)
        self._skip(statement)
        return ()

    def _inner(self, statement: ast.If | ast.Try | ast.With) -> Iterable[ast.stmt]:
        """A branch with what is left of its body; nothing where nothing is."""
        for part in ("body", "orelse", "finalbody"):
            inner = [kept for one in getattr(statement, part, ()) for kept in self._kept(one)]
            setattr(statement, part, inner)
        for handler in getattr(statement, "handlers", ()):
            handler.body = [kept for one in handler.body for kept in self._kept(one)] or [_nothing(handler)]
        if not statement.body and not getattr(statement, "orelse", ()):
            return ()
        statement.body = statement.body or [_nothing(statement)]
        return (statement,)

    def _skip(self, statement: ast.stmt) -> None:
        self.skipped.append(statement)
        names = {name for names, _ in bindings([statement]) for name in names}
        self.lost.update(dict.fromkeys(sorted(names - self.bound), statement))

    def _is_executed(self, statement: ast.stmt) -> bool:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return True
        if isinstance(statement, DEFINITIONS):
            return not loaded(statement, inside=False) & self.lost.keys()
        if self._is_unwanted(statement):
            return False
        if isinstance(statement, ast.Expr):
            return self._is_effect_needed(statement.value)
        if isinstance(statement, LOOPS):
            touched = {name for inner in _flat([statement]) for name in _touched(inner)}
            return bool(touched & self.needed) and not self.own.are_called_in(statement)
        is_plain = not any(True for _ in calls(statement))
        return bool(assigned_names(statement)) and (is_plain or bool(assigned_names(statement) & self.needed))

    def _is_effect_needed(self, value: ast.expr) -> bool:
        """A docstring; or a call that fills what a definition reads, or adds to the search path."""
        name = root(value)
        if isinstance(value, ast.Constant) or name in PURE:
            return True
        return isinstance(value, ast.Call) and name in self.needed & self.bound - self.imported

    def _is_unwanted(self, node: ast.AST) -> bool:
        """Whether it does what a lifted file does not, builds a model, or reads what was not made."""
        made = {called(call) for call in calls(node)}
        acts = any(is_acting(call, self.own.acting) for call in calls(node))
        return acts or bool(made & (UNWANTED | self.own.modules)) or bool(loaded(node, inside=False) & self.lost.keys())


def _flat(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Statements, with those inside branches and loops; none of definitions."""
    found = []
    for statement in body:
        if isinstance(statement, DEFINITIONS) or is_main_guard(statement):
            continue
        found.append(statement)
        for part in ("body", "orelse", "finalbody"):
            found += _flat(getattr(statement, part, ()))
        for handler in getattr(statement, "handlers", ()):
            found += _flat(handler.body)
    return found


def _touched(statement: ast.stmt) -> set[str]:
    """Names that a statement assigns, or whose object it changes."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    into = {root(target) for target in targets if not isinstance(target, ast.Name)}
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        into.add(root(statement.value))
    return (assigned_names(statement) | into) - {""}


def _head(statement: ast.If | ast.Try | ast.With) -> ast.AST:
    """The part of a branch that is always executed."""
    if isinstance(statement, ast.If):
        return statement.test
    items = statement.items if isinstance(statement, ast.With) else []
    return ast.Tuple([item.context_expr for item in items])


def _nothing(place: ast.AST) -> ast.Pass:
    return ast.copy_location(ast.Pass(), place)
