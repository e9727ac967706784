"""A script or notebook as a module: what of it is executed, under which conditions, and what a person is told of it."""

from __future__ import annotations
import __future__ as futures

import ast
import linecache
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from harness.core.errors import UsageError
from harness.core.formatting import error_text
from harness.core.library_files import is_library_file
from harness.core.notebook import SUFFIX, cell_of, read_notebook
from harness.core.skipped import LIFTED, SKIPPED
from harness.discovery.lifting import Lifted, lift, script_in
from harness.discovery.locate import Place
from harness.discovery.statements import DEFINITIONS
from harness.execution import call
from harness.execution.time_limit import TimedOut

SURROUNDINGS = (SystemExit, TimedOut, OSError, EOFError, RuntimeError, AssertionError)
"""What a script raises that lacks its data, its arguments, its accelerator or its time. What else is raised is a
mistake of the implementation."""
KEPT_FRAGMENTS = 5
"""So many runs of skipped lines are named."""


@dataclass
class Script:
    """A file that is lifted. ``executed``: its statements that were executed. ``why``: what made a script of it."""

    path: Path
    source: str
    why: str = ""
    executed: list[ast.stmt] = field(default_factory=list)
    skipped: list[ast.stmt] = field(default_factory=list)

    @property
    def is_notebook(self) -> bool:
        """Whether it is a Jupyter notebook."""
        return self.path.suffix == SUFFIX

    def note(self) -> str:
        """What was not executed, for the report; an empty text where that is nothing."""
        if not self.skipped:
            return ""
        many = len(self.skipped)
        what = "a notebook" if self.is_notebook else "a script"
        these = f"{many} other statements were" if many > 1 else "one other statement was"
        return (
            f"{self.path.name} is {what}{self.why}: its imports, definitions and constants were executed; {these} not "
            f"({self._lines()})"
        )

    def _lines(self) -> str:
        """``lines 3, 7-12 and more``; of a notebook its cells."""
        if self.is_notebook:
            cells = [cell_of(str(self.path), s.lineno) for s in self.skipped]
            runs = list(dict.fromkeys(str(cell[0]) for cell in cells if cell is not None))
            unit = "cell"
        else:
            runs, unit = _runs(self.skipped), "line"
        plural = "s" if len(runs) > 1 or "-" in runs[0] else ""
        more = " and more" if len(runs) > KEPT_FRAGMENTS else ""
        return f"{unit}{plural} {', '.join(runs[:KEPT_FRAGMENTS])}{more}"


def _runs(statements: Iterable[ast.stmt]) -> list[str]:
    """Lines of statements, neighbours together: ``7-12``."""
    found: list[list[int]] = []
    for statement in sorted(statements, key=lambda s: s.lineno):
        last = statement.end_lineno or statement.lineno
        if found and statement.lineno <= found[-1][1] + 2:
            found[-1][1] = max(last, found[-1][1])
        else:
            found.append([statement.lineno, last])
    return [f"{first}-{last}" if last > first else str(first) for first, last in found]


def lifted_note(module: ModuleType) -> str:
    """What a person is told of a module that was lifted; an empty text of another one."""
    script = vars(module).get(LIFTED)
    return script.note() if isinstance(script, Script) else ""


def script_of(place: Place) -> Script | None:
    """The file that a place names, where it may be lifted: no package, not installed, not loaded already.

    Raises UsageError where a notebook cannot be read.
    """
    path = place.path
    if path is None or path.name == "__init__.py" or is_library_file(str(path)) or place.module in sys.modules:
        return None
    if path.suffix == SUFFIX:
        try:
            source = read_notebook(path).source
        except (OSError, ValueError) as error:
            raise UsageError(f"{path.name} is no notebook that can be read: {error}") from None
        lines = source.splitlines(keepends=True)
        linecache.cache[str(path)] = (len(source), None, lines, str(path))  # for tracebacks and the source of classes
        return Script(path, source)
    try:
        return Script(path, path.read_text(encoding="utf-8")) if path.suffix == ".py" else None
    except (OSError, ValueError):
        return None  # Python says it better


def is_lifted(script: Script) -> bool:
    """Whether a file is lifted from the start: a notebook, or a script that would train or read arguments."""
    if script.is_notebook:
        return True
    try:
        return script_in(ast.parse(script.source))
    except (SyntaxError, ValueError):
        return False


def statement_of_failure(script: Script, error: BaseException) -> ast.stmt | None:
    """The statement at the top of a file in which its surroundings made it fail; None for another error or place."""
    if script.is_notebook or not isinstance(error, SURROUNDINGS):
        return None
    traceback, line = error.__traceback__, 0
    while traceback is not None and not line:
        code = traceback.tb_frame.f_code
        line = traceback.tb_lineno if (code.co_filename, code.co_name) == (str(script.path), "<module>") else 0
        traceback = traceback.tb_next
    body = ast.parse(script.source).body
    at = next((s for s in body if s.lineno <= line <= (s.end_lineno or s.lineno)), None)
    defines = any(isinstance(s, DEFINITIONS) for s in body)
    return None if isinstance(at, (ast.Import, ast.ImportFrom, *DEFINITIONS)) or not defines else at


def run_lifted(script: Script, module: ModuleType, wanted: Collection[str], why: str = "") -> None:
    """Execute what of a file its definitions need, in a new module.

    ``wanted``: names that are looked for in it. ``why``: what made a script of it, in words. Raises what the imports
    and definitions raise.
    """
    script.why = why
    lifted = lift(ast.parse(script.source), wanted)
    script.skipped += lifted.skipped
    skipped = {name: _in_words(script, statement) for name, statement in lifted.lost.items()}
    module.__dict__.update({SKIPPED: skipped, LIFTED: script})
    flags = 0
    for statement in lifted.kept:
        flags |= _future_flags(statement)
        code = compile(ast.Module([statement], []), str(script.path), "exec", flags, dont_inherit=True)
        try:
            call.invoke(exec, code, module.__dict__)
        except Exception as error:
            if not _is_dispensable(statement, error, lifted):
                raise
            script.skipped.append(statement)
            raised = f"{_in_words(script, statement)}, which raised {type(error).__name__} ({error_text(error)}),"
            skipped.update(dict.fromkeys(_bound(statement) - module.__dict__.keys(), raised))
        else:
            script.executed.append(statement)


def _is_dispensable(statement: ast.stmt, error: Exception, lifted: Lifted) -> bool:
    """Whether a file is lifted without a statement that failed: all but imports, and definitions that read what is
    there."""
    if isinstance(statement, DEFINITIONS):
        return isinstance(error, NameError) and error.name in lifted.lost
    return not any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(statement))


def _bound(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | (
        {statement.name} if isinstance(statement, DEFINITIONS) else set()
    )


def _future_flags(statement: ast.stmt) -> int:
    if not isinstance(statement, ast.ImportFrom) or statement.module != "__future__":
        return 0
    features = (getattr(futures, alias.name) for alias in statement.names)
    return sum(feature.compiler_flag for feature in features)


def _in_words(script: Script, statement: ast.stmt) -> str:
    """``line 12``, or ``line 3 of cell 4``."""
    cell = cell_of(str(script.path), statement.lineno)
    return f"line {statement.lineno}" if cell is None else f"line {cell[1]} of cell {cell[0]}"
