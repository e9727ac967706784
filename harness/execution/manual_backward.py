"""Hand-written backward functions: how ``COMPONENT_backward`` is called, and what is read from what it returns.

It is called by the names of its parameters: the incoming gradient (``grad_out``, ``dout``, ...), the component's own
arguments, ``out`` for what the component returned, ``cache`` for the second thing it returned. It returns the gradient
of the first floating-point argument, a tuple in the order of these arguments, or a dictionary by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.core.contract import Contract
from harness.core.tree import Path
from harness.execution.backward_arguments import BackwardArguments
from harness.execution.backward_results import BackwardResult
from harness.stubs.detection import unfinished


class ManualBackward:
    """The hand-written backward function of one component. ``function`` is where a report points."""

    def __init__(self, function: Callable[..., Any], contract: Contract) -> None:
        self.function, self.contract = function, contract
        self.name = str(getattr(function, "__name__", function))

    def split(self, returned: Any, method: str) -> tuple[Any, tuple[Any, ...]]:
        """(what the contract asks for, what was kept for the way back) of what the forward function returned."""
        signature = self.contract.calls[method]
        returns_one = not signature.returns_several and not signature.returns_nothing
        if type(returned) is tuple and len(returned) > 1 and returns_one:
            return returned[0], returned[1:]
        return returned, ()

    def fits(self) -> bool:
        """Whether it takes the incoming gradient, and the component's arguments or result by their names or all of
        them.

        (In torch there is autograd to ask, and a helper that takes other things is not the component's gradient.)
        """
        method = [name for name in self.contract.calls if name != "build"][-1]
        given = {a.name: None for a in self.contract.calls[method].arguments}
        try:
            self._arguments(method, given, None, ()).bound(None, strict=True)
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
        """Gradients by label, None where it gives none.

        ``given``: the arguments by name, ``returned``: what the forward function returned for them, ``incoming``: the
        gradients of its floating-point results. ``wanted``: where the arguments of this call stand that have a
        gradient, and their labels; ``others``: those of earlier calls, which only a dictionary can name.

        Raises TypeError that says what was expected where it cannot be called, or where its result cannot be read;
        NotImplementedError where it is not written yet.
        """
        if why := unfinished(self.function):
            raise NotImplementedError(f"{self.name} is to do: {why}")
        out, kept = self.split(returned, method)
        arguments, keywords = self._arguments(method, given, out, kept).bound(_one_or_all(incoming))
        return self._reader(method, wanted, others)(self.function(*arguments, **keywords))

    def prepared(
        self,
        method: str,
        given: Mapping[str, Any],
        returned: Any,
        incoming: Sequence[Any],
        wanted: Mapping[Path, str],
        others: Mapping[Path, str],
    ) -> tuple[Callable[[Any], Any], Callable[[Any], dict[str, Any]]]:
        """For timing: (a function of what the forward function returns, a reader of what that function returns).

        It is bound once to everything else.
        """
        marks = tuple(object() for _ in self.split(returned, method)[1])
        result = object()
        arguments, keywords = self._arguments(method, given, result, marks).bound(_one_or_all(incoming))

        def again(returned: Any) -> Any:
            out, kept = self.split(returned, method)
            now = {id(result): out, id(marks): kept, **{id(mark): one for mark, one in zip(marks, kept, strict=True)}}
            here = {name: now.get(id(value), value) for name, value in keywords.items()}
            return self.function(*(now.get(id(value), value) for value in arguments), **here)

        return again, self._reader(method, wanted, others)

    def _arguments(self, method: str, given: Mapping[str, Any], out: Any, kept: tuple[Any, ...]) -> BackwardArguments:
        arguments = self.contract.calls[method].arguments
        return BackwardArguments(self.function, self.contract.name, arguments, given, out, kept)

    def _reader(
        self, method: str, wanted: Mapping[Path, str], others: Mapping[Path, str]
    ) -> Callable[[Any], dict[str, Any]]:
        known = [a for signature in self.contract.calls.values() for a in signature.arguments]
        result = BackwardResult(self.name, self.contract.calls[method].arguments, known, wanted, others)

        def read(returned: Any) -> dict[str, Any]:
            found = result.read(returned)
            return {label: found.get(path) for path, label in (*others.items(), *wanted.items())}

        return read


def _one_or_all(incoming: Sequence[Any]) -> Any:
    return incoming[0] if len(incoming) == 1 else tuple(incoming)
