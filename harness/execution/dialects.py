"""Functions of published projects under their own names: ``run_linear(d_in, d_out, weights, in_features)``.

The contract sheets list them; this module recognises and calls one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch

from harness.core.case import CALL, Call
from harness.core.claim import NotSupported
from harness.core.contract import Contract, Dialect
from harness.core.implementation import Request
from harness.core.parameters import parameter_names, parameters_of
from harness.core.tree import map_leaves
from harness.core.values import Settings, TrackedSettings
from harness.execution import call as chokepoint
from harness.execution.arguments import accepts, untaken
from harness.execution.bound_call import Ready
from harness.execution.environment import restored
from harness.execution.functions import ClassAdapter, FunctionAdapter
from harness.execution.misfits import PlugIn
from harness.execution.session import Adapter, Session


def _has_the_contracts_form(own: type, contract: Contract) -> bool:
    """Whether a class has the contract's methods and all take what the contract says: then it speaks no dialect.

    (A torch optimizer has a ``step`` too, but that takes no gradients.)
    """
    needed = set(contract.calls) - contract.optional_methods
    return all(accepts(own if name == "build" else getattr(own, name, None), contract.calls[name]) for name in needed)


def _is_method(found: Callable[..., Any]) -> bool:
    """Whether it is a method of a class, looked up on the class."""
    owner = getattr(found, "__qualname__", "").rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>") and parameter_names(found)[:1] == ["self"]


def dialect_of(contract: Contract, member: Callable[[str], Any]) -> SpeaksDialect | None:
    """The adapter of a function that is this component in a known dialect. ``member`` finds a name in their module."""
    own = member(contract.name)
    if inspect.isclass(own) and _has_the_contracts_form(own, contract):
        return None
    for dialect in contract.dialects:
        found = member(dialect.function) if dialect.fits is None else None
        if not (inspect.isroutine(found) or (dialect.made is not None and inspect.isclass(found))):
            continue
        if inspect.isroutine(found) and _is_method(found):  # of a class that was named
            continue
        names = set(parameter_names(found))
        of_contract = {a.name for a in next(iter(contract.calls.values())).arguments}
        strange = set(dialect.lacks) or of_contract - set(dialect.takes)
        if set(dialect.takes) <= names and not names & strange:
            if dialect.made is None:
                return DialectAdapter(found, dialect, contract)
            return DialectFunction(found, dialect) if contract.is_function else DialectClass(found, dialect)
    return None


def likenesses(contract: Contract, things: Iterable[Any]) -> list[SpeaksDialect]:
    """Adapters of the classes and functions that are this component by what they have, whatever their names.

    The surest comes first; of equally sure ones the last of ``things``, which is usually built on those before it.
    """
    ranked = [
        (dialect.fits(thing), place, dialect, thing)
        for dialect in contract.dialects
        if dialect.fits is not None
        for place, thing in enumerate(things)
    ]
    ranked = sorted((one for one in ranked if one[0]), key=lambda one: (-one[0], -one[1]))
    make = DialectFunction if contract.is_function else DialectClass
    return [make(thing, dialect) for _, _, dialect, thing in ranked]


class SpeaksDialect(Adapter):
    """An adapter of something that is spelled as a published project does. ``dialect``: how."""

    dialect: Dialect

    @property
    def called_in_forms(self) -> tuple[str, ...] | None:
        """The forms that the project accepts, where it calls components through such functions alone."""
        return self.dialect.accepts if self.dialect.entry else None


class DialectClass(ClassAdapter, SpeaksDialect):
    """A function or class that builds a component with a state, as its own project does."""

    def __init__(self, function: Callable[..., Any], dialect: Dialect) -> None:
        assert dialect.made is not None
        super().__init__(dialect.made(function))
        self.made, self.source, self.dialect = self.source, function, dialect

    @property
    def notes(self) -> tuple[str, ...]:
        """In which dialect it is called, for the report."""
        return (_how_it_is_called(self.dialect, self.source, self.dialect.takes or parameter_names(self.source)),)

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        return ClassAdapter(self.made).session(contract, request)

    def plug_in(self, contract: Contract) -> PlugIn:
        """Nothing: the sheet's own class takes what the contract gives."""
        return PlugIn()


class DialectFunction(FunctionAdapter, SpeaksDialect):
    """A function that another one, made of it, calls: what it takes and returns depends on more than names."""

    def __init__(self, function: Callable[..., Any], dialect: Dialect) -> None:
        assert dialect.made is not None
        super().__init__(function)
        self.made, self.dialect = dialect.made(function), dialect

    @property
    def notes(self) -> tuple[str, ...]:
        """In which dialect it is called, for the report."""
        return (_how_it_is_called(self.dialect, self.source, parameter_names(self.source)),)

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        return FunctionAdapter(self.made).session(contract, request)

    def plug_in(self, contract: Contract) -> PlugIn:
        """Nothing: the function that is made of it takes what the contract gives."""
        return PlugIn()


class DialectAdapter(SpeaksDialect):
    """A function that is called as its own project does."""

    def __init__(self, function: Callable[..., Any], dialect: Dialect, contract: Contract) -> None:
        self.source, self.dialect, self.contract = function, dialect, contract

    @property
    def absent(self) -> tuple[str, ...]:
        """Arguments of the contract that the dialect has no place for."""
        return self.dialect.absent

    @property
    def notes(self) -> tuple[str, ...]:
        """In which dialect it is called, for the report."""
        return (_how_it_is_called(self.dialect, self.source, self.dialect.takes),)

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        return _DialectSession(self)

    def never_given(self, contract: Contract) -> tuple[str, ...]:
        """Parameters with a default that are no part of the dialect."""
        return tuple(
            p.name
            for p in parameters_of(self.source) or ()
            if p.default is not p.empty and p.name not in self.dialect.takes
        )


def _how_it_is_called(dialect: Dialect, source: Any, names: Iterable[str]) -> str:
    function = dialect.function or getattr(source, "__name__", "")
    return f"called as {dialect.project} does: {function}({', '.join(names)})"


class _DialectSession(Session):
    def __init__(self, adapter: DialectAdapter) -> None:
        self.adapter, self.dialect = adapter, adapter.dialect

    def call(self, call: Call) -> Any:
        signature = self.adapter.contract.calls[CALL]
        tracked = _TrackedArguments(call.arguments)
        rows = self.dialect.one_by_one
        if not rows:
            result = self._once(tracked)
        else:
            batch = [name for name in rows if name in call.arguments]
            many = len(call.arguments[batch[0]])
            result = _stacked(
                [self._once(tracked.replaced({n: call.arguments[n][i] for n in batch})) for i in range(many)]
            )
        left = untaken(
            [a for a in signature.arguments if a.role == "setting" or a.by_name], call.arguments, tracked.read
        )
        for a in signature.arguments:
            record = call.arguments.get(a.name)
            if isinstance(record, Settings):
                left += untaken(a.fields, record.as_dict(), tracked.read)
        if left:
            raise NotSupported(f"{self.dialect.function} takes no {', '.join(left)}")
        return result

    def _once(self, arguments: Mapping[str, Any]) -> Any:
        given = self.dialect.arguments(arguments)
        # Such functions build a module each time, which draws weights that are then replaced.
        with nullcontext() if self.adapter.contract.draws else restored():
            value = chokepoint.invoke(self.adapter.source, **given)
        return self._result(given, value)

    def _result(self, given: Mapping[str, Any], returned: Any) -> Any:
        """What the contract speaks of: read from what was returned, or from an argument that was written to."""
        if self.dialect.written is not None:
            return self.dialect.written(given, returned)
        return self.dialect.result(returned)

    def ready(self, call: Call) -> Ready:
        """The arguments are made beforehand, of detached tensors; one call a row where it takes rows one by one."""
        rows, handed = self.dialect.one_by_one, list[tuple[torch.Tensor, torch.Tensor]]()
        tracked = _TrackedArguments(call.arguments)
        batch = [name for name in rows if name in call.arguments]
        many = (
            [tracked.replaced({n: call.arguments[n][i] for n in batch}) for i in range(len(call.arguments[batch[0]]))]
            if rows
            else [tracked]
        )
        given = [map_leaves(dict(self.dialect.arguments(one)), lambda _, leaf: _a_leaf(leaf, handed)) for one in many]
        calls = [partial(self.adapter.source, **one) for one in given]

        def value(returned: Any) -> Any:
            raws = returned if rows else [returned]
            values = [self._result(one, raw) for one, raw in zip(given, raws, strict=True)]
            return _stacked(values) if rows else values[0]

        return Ready((lambda: [one() for one in calls]) if rows else calls[0], value, handed=tuple(handed))

    def after_backward(self, found: Mapping[str, Any]) -> None:
        """Weights that are copied into a module inside receive no gradient, which is how such a function is meant.

        Where the inputs receive none either, the result is cut off from the graph.
        """
        learned = {a.name for a in self.adapter.contract.arguments("parameter")}
        gradients, inputs = dict[str, Any](), list[Any]()
        for name, value in found.items():
            if name.partition(".")[0] in learned:
                gradients[name] = value
            else:
                inputs.append(value)
        cut_off = bool(inputs) and all(value is None for value in inputs)
        if gradients and all(value is None for value in gradients.values()) and not cut_off:
            raise NotSupported(f"{self.dialect.function} copies its weights into a module: no gradient reaches them")


def _a_leaf(leaf: Any, handed: list[tuple[torch.Tensor, torch.Tensor]]) -> Any:
    """A tensor without the history of how it was made of an argument; both are noted where a gradient must go back."""
    if not torch.is_tensor(leaf) or leaf.is_leaf:
        return leaf
    own = leaf.detach().requires_grad_()
    handed.append((leaf, own))
    return own


class _TrackedArguments(Mapping[str, Any]):
    """Arguments of a call that note which of them are read, fields of their records of settings included.

    (Not TrackedSettings: a dialect reads arguments as a mapping, tensors among them.)
    """

    def __init__(self, arguments: Mapping[str, Any], read: set[str] | None = None) -> None:
        self._arguments = dict(arguments)
        self.read: set[str] = set() if read is None else read

    def replaced(self, new: Mapping[str, Any]) -> _TrackedArguments:
        """The same with other values for some; reading one counts for both."""
        return _TrackedArguments({**self._arguments, **new}, self.read)

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        value = self._arguments[name]
        return TrackedSettings(value, self.read) if isinstance(value, Settings) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._arguments)

    def __len__(self) -> int:
        return len(self._arguments)


def _stacked(rows: list[Any]) -> Any:
    """Results of one sequence each, as a batch, in their own library."""
    first = rows[0]
    if torch.is_tensor(first):
        return torch.stack(rows)
    if hasattr(first, "__array_namespace__"):
        return first.__array_namespace__().stack(rows)
    import numpy

    return numpy.stack(rows)
