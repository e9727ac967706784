"""What a hand-written backward function returned, read by names or by order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.core.contract import Argument
from harness.core.tree import Path, dotted


class BackwardResult:
    """Reads gradients. ``name``: of the function, for messages; ``arguments``: of the contract's call; ``known``: of
    all.

    ``wanted``: where the arguments of this call stand that have a gradient; ``others``: those of earlier calls, which
    only a dictionary can name.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[Argument],
        known: Iterable[Argument],
        wanted: Iterable[Path],
        others: Iterable[Path],
    ) -> None:
        self.name = name
        self.known = {a.name: a for argument in known for a in _with_fields(argument)}
        self.wanted, self.others = list(wanted), list(others)
        present = list(dict.fromkeys(str(path[0]) for path in self.wanted))
        self.floats = [a.name for a in arguments if a.role != "setting" and (a.fields or a.is_float_tensor)]
        self.orders = (present, self.floats, [a.name for a in arguments])

    def read(self, result: Any) -> dict[Path, Any]:
        """The gradient at each place that has one. Raises TypeError that says what was expected."""
        if result is None:
            raise self._wrong("None (is a `return` missing?)")
        if hasattr(result, "_asdict"):  # a named tuple
            result = result._asdict()
        if isinstance(result, Mapping):
            found = dict(self._at_paths(result, [*self.wanted, *self.others]))
            if not found:
                raise self._wrong(f"a dictionary of {', '.join(map(str, result))}")
            return found
        if isinstance(result, (tuple, list)):
            order = next((order for order in self.orders if len(order) == len(result)), None)
            if order is None:
                raise self._wrong(f"{len(result)} gradients")
            return dict(self._at_paths(dict(zip(order, result, strict=True)), self.wanted))
        present = self.orders[0]
        return dict(self._at_paths({present[0]: result}, self.wanted)) if present else {}

    def _wrong(self, what: str) -> TypeError:
        listed = ", ".join(self.floats)
        return TypeError(
            f"{self.name} returned {what}; it must return the gradients of {listed}: "
            "a tuple in this order, or a dictionary by these names"
        )

    def _at_paths(self, result: Mapping[Any, Any], paths: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
        """The gradient at each path: nested as the arguments are, under dotted names, or flat."""
        for path in paths:
            if dotted(path) in result:
                yield path, result[dotted(path)]
                continue
            value: Any = result
            for step in path:
                inner = self._entry(value, step)
                if inner is _NOTHING and step == path[0] and len(path) > 1:
                    continue  # the names of a record of weights may stand at the top
                value = inner
                if value is _NOTHING or value is None:
                    break
            if value is not _NOTHING and value is not None and value is not result:
                yield path, value

    def _entry(self, value: Any, step: str | int) -> Any:
        """The entry that stands for this name or index: ``x``, ``dx``, ``grad_x``, ``x_grad``, ..."""
        if isinstance(step, int):
            return value[step] if isinstance(value, (list, tuple)) and step < len(value) else _NOTHING
        if hasattr(value, "_asdict"):
            value = value._asdict()
        if not isinstance(value, Mapping):
            return _NOTHING
        argument = self.known.get(step)
        aliases = argument.aliases if argument is not None else ()
        for name in (step, *(alias for alias in aliases if "." not in alias)):
            for form in (name, f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad", f"g_{name}"):
                if form in value:
                    return value[form]
        has_fields = argument is not None and bool(argument.fields)
        return next((value[key] for key in ("grads", "gradients") if key in value and has_fields), _NOTHING)


_NOTHING = object()


def _with_fields(argument: Argument) -> Iterator[Argument]:
    yield argument
    for inner in argument.fields:
        yield from _with_fields(inner)
