"""Runs a training script as Python would, in this process, and puts the process back afterwards."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from harness.core.errors import UsageError
from harness.execution import call
from harness.execution.environment import restored
from harness.training.places import Places
from harness.training.stopping import StopInspection


@dataclass(frozen=True)
class Script:
    """``file``: its path; ``module``: its dotted name, where it was named so; ``folder``: searched first for modules;
    ``owned``: the folder whose files are the person's."""

    file: Path
    module: str
    folder: str
    owned: str


def find_script(path: str | Path) -> Script:
    """A script by its file. Raises UsageError where there is none."""
    file = Path(path).resolve()
    if not file.is_file():
        raise UsageError(f"there is no script {path}")
    return Script(file, "", str(file.parent), str(file.parent) + os.sep)


def find_module(name: str) -> Script:
    """A script by its module's name, as ``python -m`` takes it. Raises UsageError where there is none."""
    here = os.getcwd()
    with _searched(here):
        try:
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.submodule_search_locations is not None:
                spec = importlib.util.find_spec(f"{name}.__main__")
        except (ImportError, ValueError) as error:
            raise UsageError(f"there is no module {name}: {error}") from None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise UsageError(f"there is no module {name} that could be run")
    file = Path(spec.origin).resolve()
    owned = file.parents[name.count(".")] if "." in name else file.parent
    return Script(file, spec.name, here, str(owned if owned != Path(here) else file.parent) + os.sep)


def run_script(script: Script, arguments: Sequence[str], places: Places) -> BaseException | None:
    """Run it until its end, or until it is stopped. Returns what it raised, if it broke.

    An exit with code 0 is an end. Raises UsageError where it is no Python; KeyboardInterrupt as it comes.
    """
    try:
        code = compile(script.file.read_bytes(), str(script.file), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{script.file} is no Python: {error}") from None
    with _as_main(script, arguments, places) as module, restored():
        try:
            call.invoke(_execute, code, module)
        except StopInspection:
            return None
        except SystemExit as ended:
            return None if ended.code in (None, 0) else ended
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return error
    return None


def _execute(code: CodeType, module: ModuleType) -> None:
    exec(code, vars(module))


@contextmanager
def _as_main(script: Script, arguments: Sequence[str], places: Places) -> Iterator[ModuleType]:
    """The module ``__main__`` of the script, with its arguments and folder; the modules it brings along go again."""
    module = ModuleType("__main__")
    values: dict[str, Any] = {"__file__": str(script.file), "__cached__": None}
    if script.module:
        spec = importlib.util.spec_from_file_location(script.module, script.file)
        values |= {"__spec__": spec, "__package__": script.module.rpartition(".")[0]}
    vars(module).update(values)
    before, argv = dict(sys.modules), sys.argv
    _forget(name for name, loaded in before.items() if name != "__main__" and _is_beside(loaded, script))
    sys.modules["__main__"], sys.argv = module, [str(script.file), *arguments]
    try:
        with _searched(script.folder):
            yield module
    finally:
        sys.argv = argv
        _forget(name for name, loaded in sys.modules.items() if name not in before and _is_own(loaded, places))
        sys.modules.update(before)


def _forget(names: Iterator[str]) -> None:
    for name in list(names):
        sys.modules.pop(name, None)


def _is_own(module: ModuleType, places: Places) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and places.is_own(file)


def _is_beside(module: ModuleType, script: Script) -> bool:
    """Whether a module was loaded from the script's folder: it is loaded anew, as in a process of its own."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and str(Path(file).parent) == str(script.file.parent)


@contextmanager
def _searched(folder: str) -> Iterator[None]:
    before = list(sys.path)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path[:] = before
