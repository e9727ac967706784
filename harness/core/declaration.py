"""What ``@implements`` says of one factory. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.core.notebook import shown_line

LAYOUTS = ("out_in", "in_out")


@dataclass(frozen=True, eq=False)
class Declaration:
    """One factory and what was said of it; see :func:`harness.discovery.implements.implements`."""

    component: str
    factory: Callable[..., Any]
    variant: str | None = None
    layout: str | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    call: Callable[..., Any] | None = None

    @property
    def module(self) -> str:
        """The name of the module that the factory was written in."""
        return str(getattr(self.factory, "__module__", ""))

    @property
    def label(self) -> str:
        """Its name and line, for messages."""
        code = getattr(self.factory, "__code__", None)
        name = getattr(self.factory, "__qualname__", repr(self.factory))
        return f"{name} ({shown_line(code.co_filename, code.co_firstlineno)})" if code else f"{name} (in {self.module})"

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it is written: a module that is run again declares the same things again."""
        code = getattr(self.factory, "__code__", None)
        line = (code.co_filename, code.co_firstlineno) if code else id(self.factory)
        return (self.component, self.module, getattr(self.factory, "__qualname__", ""), line)
