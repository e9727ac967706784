"""Hand-written backward functions: how ``COMPONENT_backward`` is called, and what is read from what it returns.

It is called by the names of its parameters: the incoming gradient (``grad_out``, ``dout``, ...), the component's own
arguments, ``out`` for what the component returned, ``cache`` for the second thing it returned. It returns the gradient of
the first floating-point argument, a tuple in the order of these arguments, or a dictionary by their names.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.core.contract import Argument, Contract
from harness.core.tree import Path, dotted
from harness.stubs.detection import unfinished

INCOMING = re.compile(
    r"(d|d_|grad_|g_|gradient_|delta_|up_?)?(out|output|outputs|y|logits|upstream|upstream_(grad|gradient)|incoming|stream)"
    r"|(out|output|y|logits|upstream|incoming)_?(grad|gradient)|dl_?d_?(y|out|output)|incoming_gradient|cotangent|ct|gy"
)
"""Names of the incoming gradient; bare ``out``, ``output``, ``y`` and ``logits`` are the component's result."""
VAGUE = ("grad", "gradient", "delta", "g", "dz", "dh", "d", "v", "error")
"""Names of the incoming gradient where no plainer one is there."""
RESULT = ("out", "output", "outputs", "y", "logits", "result")
KEPT = ("cache", "ctx", "saved", "tape", "memory", "saved_tensors", "intermediates", "residuals")


class ByHand:
    """A backward function of somebody's, for one component. ``function`` is where a report points."""

    def __init__(self, function: Callable[..., Any], contract: Contract) -> None:
        self.function, self.contract = function, contract
        self.name = str(getattr(function, "__name__", function))

    def apart(self, returned: Any, method: str) -> tuple[Any, tuple[Any, ...]]:
        """(what the contract asks for, what was kept for the way back) of what the forward function returned."""
        promised = self.contract.calls[method].result
        if type(returned) is tuple and len(returned) > 1 and not promised.startswith(("(", "{", "[", "nothing")):
            return returned[0], returned[1:]
        return returned, ()

    def fits(self) -> bool:
        """Whether it must be meant: it takes the incoming gradient and the component's arguments or result, by their names
        or all of them. (In torch there is autograd to ask, and a helper that takes other things is nobody's gradient.)
        """
        method = [name for name in self.contract.calls if name != "build"][-1]
        given = {a.name: None for a in self.contract.calls[method].arguments}
        try:
            self._bound(self.contract.calls[method].arguments, given, None, (), None, strict=True)
        except (TypeError, ValueError):
            return False
        return True

    def gradients(
        self,
        method: str,
        given: Mapping[str, Any],
        returned: Any,
        incoming: Sequence[Any],
        wanted: Mapping[Path, str],
        others: Mapping[Path, str],
    ) -> dict[str, Any]:
        """Gradients by label. ``wanted``: where the arguments of this call stand that have one, and their labels;
        ``others``: those of earlier calls, which only a dictionary can name. Missing ones are None.

        Raises TypeError that says what was expected where it cannot be called, or where its result cannot be read.
        """
        if why := unfinished(self.function):
            raise NotImplementedError(f"{self.name} is to do: {why}")
        arguments = self.contract.calls[method].arguments
        out, kept = self.apart(returned, method)
        args, keywords = self._bound(
            arguments, given, out, kept, incoming[0] if len(incoming) == 1 else tuple(incoming)
        )
        result = self.function(*args, **keywords)
        found = self._read(result, arguments, wanted, others)
        return {label: found.get(path) for path, label in (*others.items(), *wanted.items())}

    def prepared(
        self,
        method: str,
        given: Mapping[str, Any],
        returned: Any,
        incoming: Sequence[Any],
        wanted: Mapping[Path, str],
        others: Mapping[Path, str],
    ) -> tuple[Callable[[Any], Any], Callable[[Any], dict[str, Any]]]:
        """For timing: it is bound once to all but what the component returns, and a reader of what it returns itself."""
        arguments = self.contract.calls[method].arguments
        marks = tuple(object() for _ in self.apart(returned, method)[1])
        result = object()
        upstream = incoming[0] if len(incoming) == 1 else tuple(incoming)
        args, keywords = self._bound(arguments, given, result, marks, upstream)

        def again(returned: Any) -> Any:
            out, kept = self.apart(returned, method)
            now = {id(result): out, id(marks): kept, **{id(mark): one for mark, one in zip(marks, kept, strict=True)}}
            here = {name: now.get(id(value), value) for name, value in keywords.items()}
            return self.function(*(now.get(id(value), value) for value in args), **here)

        def read(given_back: Any) -> dict[str, Any]:
            found = self._read(given_back, arguments, wanted, others)
            return {label: found.get(path) for path, label in (*others.items(), *wanted.items())}

        return again, read

    # calling ---------------------------------------------------------------------------------------------------------

    def _bound(
        self,
        arguments: Sequence[Argument],
        given: Mapping[str, Any],
        out: Any,
        kept: tuple[Any, ...],
        incoming: Any,
        strict: bool = False,
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        signature = inspect.signature(self.function)
        parameters = [p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        values: dict[str, Any] = {}
        ours = {a.name: given.get(a.name, a.default) for a in arguments if a.name in given or a.optional}
        ours.update({name: value for name, value in given.items() if name not in ours})
        values.update({p.name: ours[p.name] for p in parameters if p.name in ours})

        def free() -> list[str]:
            return [p.name for p in parameters if p.name not in values]

        gradient = self._incoming(free())
        if gradient is None:
            raise self._cannot_be_called(arguments, "the incoming gradient")
        values[gradient] = incoming
        values.update({name: out for name in free() if name in RESULT})
        left = [a for a in arguments if a.name not in values and a.name in ours]
        for name in free():
            match = next((a for a in left if name in a.aliases or name.lower() in a.aliases), None)
            if match is not None:
                values[name] = ours[match.name]
                left.remove(match)
        needed = [p.name for p in parameters if p.name not in values and p.default is p.empty]
        if kept and len(kept) == len(needed):
            values.update(zip(needed, kept, strict=True))
        for name in free():
            if name in KEPT and (kept or name in needed):
                if not kept:
                    raise TypeError(
                        f"{self.name}{signature} asks for {name}, and {self.contract.name} returns its result alone: "
                        f"let {self.contract.name} return (out, {name}), or take the arguments again: {self._example(arguments)}"
                    )
                values[name] = kept[0] if len(kept) == 1 else kept
        by_order = [p.name for p in parameters if p.name not in values and p.default is p.empty]
        if strict and by_order and len(by_order) not in (len(left), sum(a.role != "setting" for a in left)):
            raise self._cannot_be_called(arguments, by_order[0])
        for p in parameters:
            if p.name not in values and p.default is p.empty:
                if not left:
                    raise self._cannot_be_called(arguments, p.name)
                values[p.name] = ours[left.pop(0).name]
        positional = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
        keywords = {p.name: values[p.name] for p in parameters if p.name in values and p not in positional}
        if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
            keywords.update({name: value for name, value in ours.items() if name not in values})
        return tuple(values[p.name] for p in positional if p.name in values), keywords

    def _incoming(self, free: list[str]) -> str | None:
        """The parameter that takes the incoming gradient: by its name, or the first that is nothing else."""
        plain = [name for name in free if INCOMING.fullmatch(name.lower()) and name not in RESULT]
        vague = [name for name in VAGUE if name in free]
        hinted = [name for name in free if re.match(r"(d|grad|gradient)_?\w|\w+_(grad|gradient)$", name.lower())]
        rest = [name for name in free if name not in RESULT and name not in KEPT]
        return next(iter((*plain, *vague, *hinted, *rest)), None)

    def _example(self, arguments: Sequence[Argument]) -> str:
        return f"{self.name}({', '.join(['grad_out', *(a.name for a in arguments)])})"

    def _cannot_be_called(self, arguments: Sequence[Argument], missing: str) -> TypeError:
        return TypeError(
            f"{self.name}{inspect.signature(self.function)}: nothing is known to pass as {missing}. It may take the incoming "
            f"gradient (grad_out), the component's arguments by their names, out for its result, and cache where "
            f"{self.contract.name} returns (out, cache): {self._example(arguments)}"
        )

    # reading ---------------------------------------------------------------------------------------------------------

    def _read(
        self, result: Any, arguments: Sequence[Argument], wanted: Mapping[Path, str], others: Mapping[Path, str]
    ) -> dict[Path, Any]:
        present = list(dict.fromkeys(str(path[0]) for path in wanted))
        floats = [a.name for a in arguments if a.role != "setting" and (a.fields or a.kind.startswith("float"))]
        everything = [a.name for a in arguments]
        if result is None:
            raise TypeError(f"{self.name} returned None (is a `return` missing?); {self._expected(floats)}")
        if hasattr(result, "_asdict"):
            result = result._asdict()
        if isinstance(result, Mapping):
            paths = [*wanted, *others]
            found = dict(self._walked(result, paths, {a.name: a for a in self._everywhere()}))
            if not found:
                raise TypeError(
                    f"{self.name} returned a dictionary of {', '.join(map(str, result))}; {self._expected(floats)}"
                )
            return found
        if isinstance(result, (tuple, list)):
            for order in (present, floats, everything):
                if len(result) == len(order):
                    named = dict(zip(order, result, strict=True))
                    return dict(self._walked(named, list(wanted), {a.name: a for a in self._everywhere()}))
            raise TypeError(f"{self.name} returned {len(result)} gradients; {self._expected(floats)}")
        if not present:
            return {}
        return dict(self._walked({present[0]: result}, list(wanted), {a.name: a for a in self._everywhere()}))

    def _expected(self, floats: Sequence[str]) -> str:
        listed = ", ".join(floats)
        return f"it must return the gradients of {listed}: a tuple in this order, or a dictionary by these names"

    def _everywhere(self) -> Iterator[Argument]:
        for signature in self.contract.calls.values():
            for argument in signature.arguments:
                yield from _with_fields(argument)

    def _walked(
        self, result: Mapping[Any, Any], paths: Sequence[Path], known: Mapping[str, Argument]
    ) -> Iterator[tuple[Path, Any]]:
        """The gradient at each path: nested as the arguments are, under dotted names, or flat where nothing is nested."""
        for path in paths:
            if dotted(path) in result:
                yield path, result[dotted(path)]
                continue
            value: Any = result
            for step in path:
                inner = _entry(value, step, known)
                if inner is _NOTHING and step == path[0] and len(path) > 1:
                    continue  # the names of a record of weights may stand at the top
                value = inner
                if value is _NOTHING or value is None:
                    break
            if value is not _NOTHING and value is not None and value is not result:
                yield path, value


_NOTHING = object()


def _entry(value: Any, step: str | int, known: Mapping[str, Argument]) -> Any:
    """The entry of what was returned that stands for this name or index: ``x``, ``dx``, ``grad_x``, ``x_grad``, ..."""
    if isinstance(step, int):
        return value[step] if isinstance(value, (list, tuple)) and step < len(value) else _NOTHING
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if not isinstance(value, Mapping):
        return _NOTHING
    aliases = known[step].aliases if step in known else ()
    for name in (step, *(alias for alias in aliases if "." not in alias)):
        for form in (name, f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad", f"g_{name}"):
            if form in value:
                return value[form]
    return next(
        (value[key] for key in ("grads", "gradients") if key in value and step in known and known[step].fields),
        _NOTHING,
    )


def _with_fields(argument: Argument) -> Iterator[Argument]:
    yield argument
    for inner in argument.fields:
        yield from _with_fields(inner)
