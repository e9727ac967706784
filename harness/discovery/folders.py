"""A folder without ``__init__.py`` as one implementation: the modules of its files together.

A project is often such a folder: model.py, train.py, tokenizer.py, which import each other by name. What each of them
defines is taken as if it stood in one file.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.core.errors import ImportFailed, UsageError
from harness.core.library_files import is_library_file
from harness.core.note import NoteCode
from harness.discovery.bindings import is_merely_imported
from harness.discovery.locate import Place, cut, locate, searched_first
from harness.discovery.notes import FoundNote
from harness.discovery.scripts import lifted_note
from harness.discovery.statements import DEFINITIONS

PROJECT = "__plumbline_project__"
"""The name in the module of a folder under which it keeps its :class:`Project`."""
NO_SOURCE = ("setup", "conftest", "__main__")


@dataclass
class Project:
    """The modules of a folder, and what a person should know of how they were imported."""

    modules: list[ModuleType] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def modules_of(module: ModuleType) -> list[ModuleType]:
    """The modules that an implementation is written in: those of a folder, or the one."""
    project = vars(module).get(PROJECT)
    return project.modules if isinstance(project, Project) else [module]


def notes_of(module: ModuleType) -> list[FoundNote]:
    """What a person should know of how it was imported: skipped lines, files that were left out."""
    project = vars(module).get(PROJECT)
    own = project.notes if isinstance(project, Project) else []
    lifted = filter(None, map(lifted_note, modules_of(module)))
    return [*map(FoundNote, own), *(FoundNote(text, NoteCode.LIFTED) for text in lifted)]


def load_folder(place: Place, load: Callable[[Place], ModuleType]) -> ModuleType:
    """One module with everything that the files of a folder define. ``load`` imports one file.

    Files that define nothing, and tests, are left out. Of two definitions of one name the first counts, in the order
    of the files' names. Raises UsageError where no file defines anything, or the reason of the first that cannot be
    imported where none can be.
    """
    folder = place.path
    assert folder is not None
    files = [file for file in sorted(folder.glob("*.py")) if _defines(file)]
    if not files:
        every = ", ".join(sorted(p.name for p in folder.rglob("*.py"))[:20]) or "no .py file"
        raise UsageError(f"{folder.name} is a directory in which no file defines anything. It holds {cut(every)}")
    searched_first(str(folder))
    whole = ModuleType(place.module)
    project = Project()
    failures = []
    for file in files:
        inner = _place(file)
        if inner.module in sys.modules and not inner.is_file:  # imported by a file before it
            project.modules.append(sys.modules[inner.module])
            continue
        try:
            project.modules.append(load(inner))
        except ImportFailed as error:
            failures.append(error)
            last = str(error).rstrip().rpartition("\n")[2]
            project.notes.append(f"{file.name} is not checked, since it cannot be imported: {last}")
    if not project.modules:
        raise failures[0]
    _collect(whole, project)
    vars(whole)[PROJECT] = project
    whole.__file__ = str(folder)
    sys.modules[place.module] = whole
    return whole


def _defines(file: Path) -> bool:
    """Whether a file holds a function or class, and is no test."""
    stem = file.stem
    if stem in NO_SOURCE or stem.startswith("test_") or stem.endswith("_test"):
        return False
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    except SyntaxError:
        return True  # said when it is imported
    return any(isinstance(node, DEFINITIONS) for node in ast.walk(tree))


def _place(file: Path) -> Place:
    """The file under the name by which the others import it, unless that is taken or it climbs to its package."""
    place = locate(str(file))
    known = sys.modules.get(file.stem)
    origin = getattr(known, "__file__", None)
    is_it = origin is not None and Path(origin).resolve() == file.resolve()
    if origin is not None and not is_it and not is_library_file(str(origin)):
        del sys.modules[file.stem]  # of another folder
        known = None
    taken = known is not None and not is_it
    if taken or "." in place.module or not file.stem.isidentifier() or file.stem in sys.stdlib_module_names:
        return place
    return Place(file.stem, file.resolve(), (), place.text)


def _collect(whole: ModuleType, project: Project) -> None:
    """Put what the modules define into the one that stands for all."""
    owner: dict[str, str] = {}
    again: list[str] = []
    for module in project.modules:
        for name, value in list(vars(module).items()):
            if name.startswith("_") or isinstance(value, ModuleType) or is_merely_imported(module, name):
                continue
            if name == "PLUMBLINE" and isinstance(value, dict):
                value = _merged(vars(whole).get(name, {}), value)
            elif name in owner:
                if vars(whole)[name] is not value and callable(value):
                    again.append(f"{name} of {_file(module)} (that of {owner[name]} counts)")
                continue
            owner[name] = _file(module)
            setattr(whole, name, value)
    if again:
        project.notes.append(f"defined more than once, and not checked: {cut(', '.join(again))}")


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two dictionaries PLUMBLINE as one."""
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = {**one[key], **other[key]}
    return both


def _file(module: ModuleType) -> str:
    return Path(getattr(module, "__file__", None) or module.__name__).name
