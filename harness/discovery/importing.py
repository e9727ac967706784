"""Imports what ``--impl`` names, within a time limit. A failure shows the implementation's own lines."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.core.errors import ImportFailed, UsageError, did_you_mean
from harness.core.library_files import is_library_file, is_own_file
from harness.core.notebook import cell_of
from harness.discovery.folders import load_folder
from harness.discovery.implements import forget
from harness.discovery.locate import Place, cut, searched_first
from harness.discovery.scripts import is_lifted, run_lifted, script_of, statement_of_failure
from harness.execution import call
from harness.execution.guarded import DEFAULT_SECONDS
from harness.execution.time_limit import TimedOut, TimeLimit

NOT_THEIRS = (str(Path(__file__).resolve().parents[1]) + os.sep, importlib.__file__, "<frozen importlib")
"""Files whose frames say nothing about the implementation."""
SHARE = 3.0
"""The limit of a case is this many times the limit of an import: 20 processor seconds by default. Libraries are large,
but a training loop at the top of a module never ends."""
LEAST_SECONDS = 5.0
"""An import may take this long, however short the limit of a case."""


FOLDERS_ABOVE = 6
"""So many folders above a file are searched for a module that it imports."""


class FreshLoader(SourceFileLoader):
    """Always compiles the file as it stands, and leaves no cache beside it.

    Python takes a cache for the file where size and whole second of the last change agree, as they do for a file
    that is corrected at once.
    """

    def path_stats(self, path: Any) -> Any:
        """Raises OSError, which is how a loader says that it keeps no cache."""
        raise OSError(f"{path} is compiled anew")


@contextmanager
def imported_anew(files: Iterable[str]) -> Iterator[None]:
    """Nothing beside these files counts as imported inside; afterwards the modules are again those that were there."""
    folders = tuple({os.path.dirname(os.path.abspath(file)) + os.sep for file in files if file})
    loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if name != "__main__"}
    beside = [name for name, file in loaded.items() if isinstance(file, str) and _lies_in(file, folders)]
    before = {name: sys.modules.pop(name) for name in beside}
    try:
        yield
    finally:
        sys.modules.update(before)


def _lies_in(file: str, folders: tuple[str, ...]) -> bool:
    """Whether a file of a person's own lies in one of these folders."""
    return bool(folders) and os.path.abspath(file).startswith(folders) and is_own_file(file)


def import_seconds(time_limit: float) -> float:
    """Processor seconds for an import, where one case may take ``time_limit``; 0 means no limit for both."""
    return max(time_limit / SHARE, LEAST_SECONDS) if time_limit > 0 else 0.0


def load(place: Place, time_limit: float = DEFAULT_SECONDS, wanted: Collection[str] = ()) -> tuple[ModuleType, Any]:
    """The module and the object in it.

    ``time_limit``: processor seconds for one case, see :func:`import_seconds`. ``wanted``: names that are looked for,
    which a script or notebook binds where it is lifted. Raises ImportFailed where the code fails or does not end,
    UsageError where there is no such object.
    """
    names = {*wanted, *place.attributes[:1]}
    if place.path is not None and place.path.is_dir():
        module = _folder(place, time_limit, names)
    else:
        module = _imported(place, time_limit, names)
    found: Any = module
    for i, name in enumerate(place.attributes):
        try:
            found = call.invoke(getattr, found, name)
        except AttributeError:
            raise UsageError(_no_attribute(place, found, i)) from None
    return module, found


def _no_attribute(place: Place, found: Any, index: int) -> str:
    name = place.attributes[index]
    whole = ".".join((place.text.rpartition(":")[0], *place.attributes[:index]))
    names = [n for n in dir(found) if not n.startswith("_")]
    listed = ", ".join(n for n in names if not isinstance(getattr(found, n, None), ModuleType)) or "nothing"
    hint = did_you_mean(name, names) or f"It has: {cut(listed)}"
    return f"--impl={place.text}: {whole} has no {name!r}; {hint}"


def _folder(place: Place, time_limit: float, wanted: Collection[str]) -> ModuleType:
    try:
        return load_folder(place, lambda file: _imported(file, time_limit, wanted))
    except ImportFailed:
        raise
    except UsageError as error:
        raise UsageError(f"--impl={place.text}: {error}") from None


def _imported(place: Place, time_limit: float, wanted: Collection[str]) -> ModuleType:
    seconds = import_seconds(time_limit)
    try:
        with TimeLimit(seconds, f"importing {place.name}"):
            return _run_with_folders_above(place, wanted)
    except UsageError as wrong:  # @implements refuses what it was given
        frames = [f for f in traceback.extract_tb(wrong.__traceback__) if not f.filename.startswith(NOT_THEIRS)]
        at = f'\n  File "{frames[-1].filename}", line {frames[-1].lineno}\n    {frames[-1].line}' if frames else ""
        raise UsageError(f"--impl={place.text}: {wrong}{at}\nNo check was run.") from None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit, and what test frameworks raise to stop a module
        module = _lifted_after(place, error, seconds, wanted)
        if module is not None:
            return module
        raise ImportFailed(_failure(place, error, seconds)) from None


def _run_with_folders_above(place: Place, wanted: Collection[str]) -> ModuleType:
    """The module. What it lacks may lie in a folder above its own, from which it is meant to be run."""
    while True:
        try:
            return _run(place, wanted)
        except ModuleNotFoundError as error:
            folder = _folder_above_with(place, (error.name or "").partition(".")[0])
            if folder is None or folder in sys.path:
                raise
            searched_first(folder)


def _folder_above_with(place: Place, name: str) -> str | None:
    """The nearest folder above a file, or ``src`` in it, that holds a module or package of this name."""
    if place.path is None or not name or is_library_file(str(place.path)):
        return None
    for above in list(place.path.parents)[:FOLDERS_ABOVE]:
        for folder in (above, above / "src"):
            if (folder / f"{name}.py").is_file() or (folder / name).is_dir():
                return str(folder)
    return None


def _make_packages(place: Place) -> None:
    """The outermost package of a file with relative imports, under its own name; those inside are found in it."""
    name, dot, inner = place.module.partition(".")
    if not dot:
        return
    for loaded in [n for n in sys.modules if n == name or n.startswith(f"{name}.")]:
        forget(loaded)
        del sys.modules[loaded]
    assert place.path is not None
    folder = place.path.parents[inner.count(".")]
    init = folder / "__init__.py"
    if not init.is_file():
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
        return
    loader = FreshLoader(name, str(init))
    spec = importlib.util.spec_from_file_location(name, init, loader=loader, submodule_search_locations=[str(folder)])
    assert spec is not None
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    call.invoke(loader.exec_module, package)


def _run(place: Place, wanted: Collection[str]) -> ModuleType:
    """Import it; of a script or notebook only what its definitions need."""
    if place.is_file:
        assert place.path is not None
        searched_first(str(place.path.parent))
        forget(place.module)
        sys.modules.pop(place.module, None)
        _make_packages(place)
    script = script_of(place)
    if script is not None and is_lifted(script):
        return _made(place, lambda module: run_lifted(script, module, wanted))
    if not place.is_file:
        return call.invoke(importlib.import_module, place.module)
    return _made(place, lambda module: call.invoke(_loader(module).exec_module, module))


def _made(place: Place, execute: Callable[[ModuleType], None]) -> ModuleType:
    """A new module under the name of the place, executed."""
    package = place.module.rpartition(".")[0]
    if package:
        call.invoke(importlib.import_module, package)
    assert place.path is not None
    loader = FreshLoader(place.module, str(place.path))
    spec = importlib.util.spec_from_file_location(place.module, place.path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[place.module] = module  # dataclasses and pickle look there
    try:
        execute(module)
    except BaseException:
        del sys.modules[place.module]
        raise
    return module


def _loader(module: ModuleType) -> Any:
    return module.__spec__.loader if module.__spec__ is not None else None


def _lifted_after(place: Place, error: BaseException, seconds: float, wanted: Collection[str]) -> ModuleType | None:
    """The module without the statements of a script, where one of them failed for lack of its data or its time."""
    script = script_of(place)
    at = statement_of_failure(script, error) if script is not None else None
    if script is None or at is None:
        return None
    forget(place.module)
    what = "takes too long" if isinstance(error, TimedOut) else f"raises {type(error).__name__}"
    try:
        with TimeLimit(seconds, f"importing {place.name}"):
            return _made(place, lambda module: run_lifted(script, module, wanted, f" whose line {at.lineno} {what}"))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        return None


def _failure(place: Place, error: BaseException, seconds: float) -> str:
    """What happened, where, and what to do."""
    shown = traceback_without_harness(error).rstrip()
    if isinstance(error, SystemExit):
        put = 'put such lines under `if __name__ == "__main__":`'
        reason = f"{place.name} ends the program while it is imported (sys.exit or exit); {put}"
    elif isinstance(error, TimedOut):
        put = 'Put training and tests under `if __name__ == "__main__":`; if it is only slow: --impl-timeout=SECONDS'
        reason = f"importing {place.name} took more than {seconds:g} s of processor time. {put}"
        shown = shown.rpartition("\n")[0]
    else:
        reason = f"{place.name} fails while it is imported"
    lines = [f"--impl={place.text}: {reason}. No check was run.", "", shown]
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        lacks = f"It needs {top!r}, which this Python does not have ({sys.executable})"
        lines += ["", f"{lacks}: python -m pip install {top}"]
    return "\n".join(lines)


def traceback_without_harness(error: BaseException) -> str:
    """The traceback as Python prints it, without frames of the harness and the import machinery; causes included."""
    whole = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()

    def shorten(one: traceback.TracebackException | None) -> None:
        if one is None or id(one) in seen:
            return
        seen.add(id(one))
        own_frames = [f for f in one.stack if not f.filename.startswith(NOT_THEIRS)]
        one.stack = traceback.StackSummary.from_list([_in_its_cell(f) for f in own_frames])
        shorten(one.__cause__)
        shorten(one.__context__)

    shorten(whole)
    return "".join(whole.format())


def _in_its_cell(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    """The frame; of a notebook with the cell and the line in it."""
    cell = cell_of(frame.filename, frame.lineno or 0)
    if cell is None:
        return frame
    return traceback.FrameSummary(f"{frame.filename}, cell {cell[0]}", cell[1], frame.name, line=frame.line)
