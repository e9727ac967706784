"""Arguments of a case that are neither tensors nor plain values: settings, resources, results of earlier calls."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """A frozen record of named numbers (a model's sizes), read by attribute or by item.

    An unknown name raises AttributeError (KeyError by item) with a text that lists the known ones.
    """

    values: tuple[tuple[str, Any], ...]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "values", tuple(values.items()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "values":
            raise AttributeError(name)
        for known, value in self.values:
            if known == name:
                return value
        raise AttributeError(f"no setting {name!r}; there are: {', '.join(known for known, _ in self.values)}")

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.values)

    def as_dict(self) -> dict[str, Any]:
        """All of them, by name."""
        return dict(self.values)

    def __repr__(self) -> str:
        return "(" + ", ".join(f"{name}={value!r}" for name, value in self.values) + ")"


@dataclass(frozen=True)
class Resource:
    """An argument by name, ``package.module:function``, that the executor makes again for every run of the case.

    For what is large, and for what is no tensor or number, like a model to train: ``arguments`` are plain values that
    the function is called with.
    """

    where: str
    arguments: tuple[Any, ...] = ()

    def load(self) -> Any:
        """Make it. Raises ImportError or AttributeError where there is no such function."""
        return load_function(self.where)(*self.arguments)

    def __repr__(self) -> str:
        return f"{self.where.rpartition(':')[2]}({', '.join(map(repr, self.arguments))})"


@dataclass(frozen=True)
class Earlier:
    """What an earlier call of the same case returned, handed on as it is: a quantizer's own scale, say.

    It is the latest call of ``method``, or the one ``back`` of its calls before. ``entry``: which entry of what it
    returned; None for all of it.
    """

    method: str
    entry: int | None = None
    back: int = 0

    def __repr__(self) -> str:
        entry = "" if self.entry is None else f"[{self.entry}]"
        return f"{self.method}(){entry}" + (f" of {self.back} before" if self.back else "")


@dataclass(frozen=True)
class Given:
    """The object that the latest call of ``method`` was given as ``argument``: a model that was to be trained, say."""

    method: str
    argument: str

    def __repr__(self) -> str:
        return f"the {self.argument} of {self.method}()"


class TrackedSettings(Settings):
    """Settings that note which of them are read: code that never looks at an optional one does not support it.

    ``read``: the names read so far; a set that is given is shared with whoever gave it.
    """

    def __init__(self, settings: Settings, read: set[str] | None = None) -> None:
        super().__init__(**settings.as_dict())
        object.__setattr__(self, "read", set() if read is None else read)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        self.read.add(name)
        return value

    def as_dict(self) -> dict[str, Any]:
        """All of them, which counts as reading all."""
        self.read.update(self.known())
        return self.known()

    def known(self) -> dict[str, Any]:
        """All of them, which does not count as reading."""
        return super().as_dict()


class TrackedWeights(dict[str, Any]):
    """Named tensors that note which of them are read. ``read``: their names; shared by the records of all layers.

    ``is_read``: whether any of these are. A layer that is left out says nothing of the names that its code knows.
    """

    def __init__(self, values: Mapping[str, Any], read: set[str]) -> None:
        super().__init__(values)
        self.read, self.is_read = read, False

    def _note(self, *names: str) -> None:
        self.read.update(names)
        self.is_read = True

    def __getitem__(self, name: str) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As a dictionary's."""
        self._note(name)
        return super().get(name, default)

    def items(self) -> Any:
        """All of them, which counts as reading all."""
        self._note(*self)
        return super().items()

    def values(self) -> Any:
        """All of them, which counts as reading all."""
        self._note(*self)
        return super().values()

    def pop(self, name: str, *default: Any) -> Any:
        """As a dictionary's."""
        self._note(name)
        return super().pop(name, *default)


def tracked_weights(value: Any, read: set[str]) -> Any:
    """A record of tensors, with the records and lists of records in it, that notes in ``read`` what is read."""
    if isinstance(value, Mapping):
        return TrackedWeights({name: tracked_weights(inner, read) for name, inner in value.items()}, read)
    return [tracked_weights(inner, read) for inner in value] if isinstance(value, list) else value


def load_function(where: str) -> Callable[..., Any]:
    """The function ``package.module:function``. Raises ImportError or AttributeError where there is none."""
    module, _, name = where.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
