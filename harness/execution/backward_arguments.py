"""What a hand-written backward function is called with, decided by the names of its parameters.

Different from :mod:`harness.execution.arguments`: such a function takes more than the contract's arguments, under names
of its own, and none of it has a fixed place.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

from harness.core.contract import Argument

INCOMING = re.compile(
    r"(d|d_|grad_|g_|gradient_|delta_|up_?)?"
    r"(out|output|outputs|y|logits|upstream|upstream_(grad|gradient)|incoming|stream)"
    r"|(out|output|y|logits|upstream|incoming)_?(grad|gradient)|dl_?d_?(y|out|output)|incoming_gradient|cotangent|ct|gy"
)
"""Names of the incoming gradient; bare ``out``, ``output``, ``y`` and ``logits`` are the component's result."""
VAGUE = ("grad", "gradient", "delta", "g", "dz", "dh", "d", "v", "error")
"""Names of the incoming gradient where no plainer one is there."""
RESULT = ("out", "output", "outputs", "y", "logits", "result")
KEPT = ("cache", "ctx", "saved", "tape", "memory", "saved_tensors", "intermediates", "residuals")


class BackwardArguments:
    """The parameters of one backward function, filled one after the other.

    ``component``: the name of the component. ``arguments``: those of the contract's call, ``given``: their values and
    those of earlier calls. ``out``: what the component returned; ``kept``: what it returned beside that, for the way
    back.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        component: str,
        arguments: Sequence[Argument],
        given: Mapping[str, Any],
        out: Any,
        kept: tuple[Any, ...],
    ) -> None:
        self.function, self.component, self.arguments = function, component, arguments
        self.name = str(getattr(function, "__name__", function))
        self.signature = inspect.signature(function)
        self.out, self.kept = out, kept
        every = self.signature.parameters.values()
        self.parameters = [p for p in every if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        known = {a.name: given.get(a.name, a.default) for a in arguments if a.name in given or a.optional}
        self.known = {**known, **{name: value for name, value in given.items() if name not in known}}
        self.values = {p.name: self.known[p.name] for p in self.parameters if p.name in self.known}
        self.left: list[Argument] = []
        """Arguments of the contract that no parameter has yet."""

    def bound(self, incoming: Any, strict: bool = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(positional arguments, keyword arguments). ``incoming``: the gradient of the result.

        ``strict``: parameters with names of their own must be as many as the arguments that are left.

        Raises TypeError that says what it may take where a parameter is left over.
        """
        gradient = self._incoming_parameter()
        if gradient is None:
            raise self._cannot_be_called("the incoming gradient")
        self.values[gradient] = incoming
        self.values.update({name: self.out for name in self._free() if name in RESULT})
        self.left = [a for a in self.arguments if a.name not in self.values and a.name in self.known]
        self._fill_by_alias()
        self._fill_kept()
        self._fill_in_order(strict)
        positional = [p for p in self.parameters if p.kind is p.POSITIONAL_ONLY]
        named = [p for p in self.parameters if p.name in self.values and p not in positional]
        keywords = {p.name: self.values[p.name] for p in named}
        if any(p.kind is Parameter.VAR_KEYWORD for p in self.signature.parameters.values()):
            keywords.update({name: value for name, value in self.known.items() if name not in self.values})
        return tuple(self.values[p.name] for p in positional if p.name in self.values), keywords

    def _free(self) -> list[str]:
        return [p.name for p in self.parameters if p.name not in self.values]

    def _needed(self) -> list[str]:
        return [p.name for p in self.parameters if p.name not in self.values and p.default is p.empty]

    def _incoming_parameter(self) -> str | None:
        """The parameter that takes the incoming gradient: by its name, or the first that is nothing else."""
        free = self._free()
        plain = [name for name in free if INCOMING.fullmatch(name.lower()) and name not in RESULT]
        vague = [name for name in VAGUE if name in free]
        hinted = [name for name in free if re.match(r"(d|grad|gradient)_?\w|\w+_(grad|gradient)$", name.lower())]
        rest = [name for name in free if name not in RESULT and name not in KEPT]
        return next(iter((*plain, *vague, *hinted, *rest)), None)

    def _fill_by_alias(self) -> None:
        for name in self._free():
            match = next((a for a in self.left if name in a.aliases or name.lower() in a.aliases), None)
            if match is not None:
                self.values[name] = self.known[match.name]
                self.left.remove(match)

    def _fill_kept(self) -> None:
        """What the component kept: one for each parameter that is needed, or all of it as the cache."""
        needed = self._needed()
        if self.kept and len(self.kept) == len(needed):
            self.values.update(zip(needed, self.kept, strict=True))
        for name in self._free():
            if name in KEPT and (self.kept or name in needed):
                if not self.kept:
                    raise TypeError(
                        f"{self.name}{self.signature} asks for {name}, and {self.component} returns its result alone: "
                        f"let {self.component} return (out, {name}), or take the arguments again: {self._example()}"
                    )
                self.values[name] = self.kept[0] if len(self.kept) == 1 else self.kept

    def _fill_in_order(self, strict: bool) -> None:
        """The arguments that are left, for parameters whose names say nothing."""
        needed = self._needed()
        if strict and needed and len(needed) not in (len(self.left), sum(a.role != "setting" for a in self.left)):
            raise self._cannot_be_called(needed[0])
        for name in needed:
            if not self.left:
                raise self._cannot_be_called(name)
            self.values[name] = self.known[self.left.pop(0).name]

    def _example(self) -> str:
        return f"{self.name}({', '.join(['grad_out', *(a.name for a in self.arguments)])})"

    def _cannot_be_called(self, missing: str) -> TypeError:
        return TypeError(
            f"{self.name}{self.signature}: nothing is known to pass as {missing}. It may take the incoming gradient "
            f"(grad_out), the component's arguments by their names, out for its result, and cache where "
            f"{self.component} returns (out, cache): {self._example()}"
        )
