"""The reference's package in a process that must not have it: the names without the code.

Contract sheets import functions of the reference and name them in their contracts. In the process of the implementation
these names stand for stand-ins, which ask the judge. It answers while the implementation is discovered (which order of
parameters a class has shows in its numbers), and for what inputs are made of; nothing else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from harness.core.claim import NotSupported

Ask = Callable[[str, tuple[Any, ...], dict[str, Any]], Any]
"""(``package.module:function``, arguments, named arguments) -> what the judge gave."""


@dataclass(frozen=True)
class Outline:
    """A module without its code. ``values``: its plain values, packed; ``source``: of one that holds no answers."""

    is_package: bool = False
    functions: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    imported: Mapping[str, str] = field(default_factory=dict)
    """Names that come from another module of the package, with ``module:name``."""
    source: str = ""


class Hollow(MetaPathFinder, Loader):
    """Imports the modules of these outlines in the place of the real ones."""

    def __init__(self, outlines: Mapping[str, Outline], ask: Ask, unpack: Callable[[Any], Any]) -> None:
        self.outlines, self.ask, self.unpack = outlines, ask, unpack
        self._made: dict[str, Any] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of the reference; None for every other."""
        outline = self.outlines.get(name)
        if outline is None:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=outline.is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None: Python makes it."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with what stands for its contents."""
        outline, held = self.outlines[module.__name__], vars(module)
        if outline.is_package:
            module.__path__ = []  # nothing of it is looked for anywhere else
        if outline.source:
            exec(compile(outline.source, f"<{module.__name__}>", "exec"), held)
            return
        held.update({name: self.unpack(value) for name, value in outline.values.items()})
        held.update({name: self._function(f"{module.__name__}:{name}") for name in outline.functions})
        held.update({name: self._class(f"{module.__name__}:{name}") for name in outline.classes})
        for name, where in outline.imported.items():
            other, _, inner = where.partition(":")
            held[name] = getattr(importlib.import_module(other), inner)

    def _function(self, where: str) -> Any:
        """One stand-in for each function, wherever it is imported from."""
        if where not in self._made:
            ask = self.ask

            def stand_in(*given: Any, **named: Any) -> Any:
                return ask(where, given, named)

            stand_in.__module__, _, stand_in.__name__ = where.partition(":")
            stand_in.__qualname__ = stand_in.__name__
            self._made[where] = stand_in
        return self._made[where]

    def _class(self, where: str) -> Any:
        if where not in self._made:
            module, _, name = where.partition(":")
            self._made[where] = Nameable(name, (NotHere,), {"__module__": module})
        return self._made[where]


class Nameable(type):
    """Whatever method of such a class is named, there is one, without code: edits of the reference name methods."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def stand_in(*given: Any, **named: Any) -> Any:
            raise NotSupported(f"the reference's {cls.__name__}.{name} is not in the process of the implementation")

        stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = cls.__module__, name, f"{cls.__name__}.{name}"
        setattr(cls, name, stand_in)
        return stand_in


class NotHere(metaclass=Nameable):
    """A class of the reference whose code is not here."""

    def __init__(self, *given: Any, **named: Any) -> None:
        raise NotSupported(f"the reference's {type(self).__name__} is not in the process of the implementation")


def install(hollow: Hollow) -> None:
    """Let the modules be imported from now on. Raises RuntimeError where one of them was imported before."""
    there = [name for name in hollow.outlines if name in sys.modules]
    if there:
        raise RuntimeError(f"already imported: {', '.join(there)}")
    sys.meta_path.insert(0, hollow)
