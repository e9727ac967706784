"""What ``--impl`` named: a module, a class, a function or an object, and the names in it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from harness.core.errors import plain
from harness.discovery.bindings import is_foreign, is_merely_imported
from harness.discovery.folders import modules_of
from harness.discovery.locate import Place
from harness.execution import call
from harness.stubs.classes import is_abstract


@dataclass(frozen=True)
class Target:
    """``module`` was imported from ``place``; ``thing`` is what was named in it, or the module itself."""

    place: Place
    module: ModuleType
    thing: Any
    components: Collection[str]

    @property
    def text(self) -> str:
        """The option, as messages begin with it."""
        return f"--impl={self.place.text}"

    @property
    def name(self) -> str:
        """What a person calls it: ``model.py:GPT``."""
        return ":".join(filter(None, (self.place.name, ".".join(self.place.attributes))))

    def is_one_thing(self) -> bool:
        """Whether a single function, class or module class was named, rather than something that holds components."""
        if not self.place.attributes:
            return False
        if inspect.isclass(self.thing):
            known = {plain(name) for name in self.components}
            holds = any(self.member(name) is not None for name in self.components)
            return is_module_class(self.thing) or plain(self.thing.__name__) in known or not holds
        return inspect.isroutine(self.thing) or isinstance(self.thing, torch.nn.Module)

    def called(self, name: str) -> Any:
        """What has this name: a member, or the one thing that was named; None where there is none."""
        if self.is_one_thing():
            return self.thing if name in (getattr(self.thing, "__name__", ""), *self.place.attributes[-1:]) else None
        return None if self.is_merely_imported(name) else self.member(name)

    def is_merely_imported(self, name: str) -> bool:
        """Whether their module only imports this name, from another distribution."""
        return self.thing is self.module and is_merely_imported(self.module, name)

    def member(self, name: str) -> Any:
        """The attribute or entry of this name; None where there is none."""
        if isinstance(self.thing, Mapping):
            return self.thing.get(name)
        return call.invoke(getattr, self.thing, name, None)

    def members(self) -> Iterable[tuple[str, Any]]:
        """Every name in it, with what it is."""
        if isinstance(self.thing, Mapping):
            return list(self.thing.items())
        return list(getattr(self.thing, "__dict__", {}).items())

    def own_classes(self) -> list[type]:
        """Its own module classes, or the one that was named. Those of its file come before those of other files."""
        if isinstance(self.thing, torch.nn.Module):
            return [type(self.thing)]
        if self.is_one_thing():
            return [self.thing] if is_module_class(self.thing) else []
        kinds = dict.fromkeys(value for _, value in self.members() if is_module_class(value))
        return sorted((k for k in kinds if not is_foreign(k.__module__, self.module)), key=lambda k: not self.holds(k))

    def own_things(self) -> list[Any]:
        """The classes and functions defined there, or the one thing that was named; no base of another one."""
        if self.is_one_thing():
            return [self.thing]
        every = [(name, value) for name, value in self.members() if not name.startswith("_")]
        written = [(name, value) for name, value in every if inspect.isclass(value) or inspect.isfunction(value)]
        written_here = [value for name, value in written if not self.is_merely_imported(name)]
        own = [
            v for v in dict.fromkeys(written_here) if not is_foreign(getattr(v, "__module__", None) or "", self.module)
        ]
        kinds = [value for value in own if inspect.isclass(value)]
        return [v for v in own if not any(v is not kind and v in kind.__mro__ and is_abstract(v) for kind in kinds)]

    def holds(self, thing: Any) -> bool:
        """Whether a function or class is written in its file, in a file of its folder, or in its package."""
        home = getattr(thing, "__module__", None) or ""
        return any(home == m.__name__ or home.startswith(f"{m.__name__}.") for m in modules_of(self.module))

    def module_classes(self) -> list[tuple[str, type]]:
        """The module classes in it that are not torch's and have no component's name, wherever they are written."""
        return [
            (name, value)
            for name, value in self.members()
            if is_module_class(value) and not value.__module__.startswith("torch.") and name not in self.components
        ]


def is_module_class(thing: object) -> bool:
    """Whether it is a class derived from torch.nn.Module."""
    return inspect.isclass(thing) and issubclass(thing, torch.nn.Module)
