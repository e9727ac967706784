"""Which library's arrays a function takes, by its annotations, by what its code refers to, or as declared."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

FRAMEWORKS = ("torch", "jax", "mlx", "cupy", "numpy")
"""Strongest first: code that refers to several is the first one's (numpy alone is used for constants everywhere)."""
TOP = {
    **{"torch": "torch", "mlx": "mlx", "cupy": "cupy", "cupyx": "cupy", "numpy": "numpy"},
    **dict.fromkeys(("jax", "jaxlib", "flax", "equinox"), "jax"),
}
"""Top-level module -> the library whose arrays it handles."""
SHORT = {"np": "numpy", "jnp": "jax", "mx": "mlx", "cp": "cupy"}
"""How annotations that are kept as text usually name them."""
PLAIN = frozenset(
    ("pi", "e", "inf", "nan", "euler_gamma", "sqrt", "log", "float16", "float32", "float64", "int32", "int64")
)
"""What code on tensors takes from numpy for plain numbers (``np.sqrt(2 / np.pi)``): no sign of numpy's arrays."""


def framework_of(
    source: Callable[..., Any], siblings: Iterable[Callable[..., Any]] = (), *, imports: bool = True
) -> str:
    """The library whose arrays a function or class takes: one of ``FRAMEWORKS``; torch where nothing tells.

    Its annotations decide, then what its code and the functions it calls refer to. Where that is nothing, or numpy
    alone, the other components beside it (``siblings``) decide together, then what its module imports.
    """
    for thing in (source, _inner(source)):
        made_by = _home(type(thing))
        if made_by is not None:  # a jitted function, numpy.vectorize(...)
            return made_by
    annotated = _strongest(_annotated(source))
    if annotated is not None:
        return annotated
    own = _strongest(referred(source))
    if own not in (None, "numpy"):
        return str(own)
    beside = _strongest(name for other in (source, *siblings) for name in referred(other))
    if beside is not None:
        return beside
    return (_strongest(_imported(source)) if imports else None) or "torch"


def referred(source: Callable[..., Any]) -> set[str]:
    """The libraries that the code of a function or class refers to, in functions of theirs that it calls too."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting: list[Any] = [source]
    while waiting:
        thing = _inner(waiting.pop())
        if id(thing) in seen or len(seen) > 500:
            continue
        seen.add(id(thing))
        made_by = _home(type(thing))
        if made_by is not None:
            found.add(made_by)
        elif inspect.isclass(thing):
            found.update(filter(None, (_home(base) for base in thing.__mro__)))
            waiting += [
                _function(v)
                for base in thing.__mro__
                if _is_theirs(base)
                for v in vars(base).values()
                if callable(_function(v))
            ]
        elif isinstance(thing, types.FunctionType):
            found.update(_annotated(thing))
            for value, attributes in _named_in(thing):
                home = _home(value)
                if home == "numpy" and inspect.ismodule(value) and attributes <= PLAIN:
                    continue
                if home is not None:
                    found.add(home)
                elif (inspect.isclass(value) or callable(value)) and _is_theirs(value):
                    waiting.append(value)
    return found


def _named_in(function: types.FunctionType) -> Iterator[tuple[Any, set[str]]]:
    """The global things that a function's code names, each with the names that may be attributes of it; and what it
    closes over."""
    inside = function.__globals__
    for code in _codes(function.__code__):
        names = set(code.co_names)
        for name in names & set(inside):
            value = inside[name]
            with warnings.catch_warnings():  # numpy warns of names that it will define
                warnings.simplefilter("ignore")
                attributes = {n for n in names if n != name and hasattr(value, n)} if inspect.ismodule(value) else set()
            yield value, attributes
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents, set()
        except ValueError:  # not filled yet
            continue


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _annotated(source: Callable[..., Any]) -> set[str]:
    """The libraries named in a function's annotations (of a class: in those of its methods)."""
    source = _inner(source)
    if inspect.isclass(source):
        methods = [_function(v) for v in vars(source).values()]
        return {name for method in methods if isinstance(method, types.FunctionType) for name in _annotated(method)}
    inside: Mapping[str, Any] = getattr(source, "__globals__", {})
    notes = getattr(source, "__annotations__", {})
    return {name for note in notes.values() for name in _in_annotation(note, inside)}


def _in_annotation(note: Any, inside: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(note, str):
        for word in "".join(c if c.isalnum() or c in "_." else " " for c in note).split():
            head = word.partition(".")[0]
            home = _home(inside.get(head)) if head in inside else TOP.get(SHORT.get(head, head))
            if home is not None:
                yield home
        return
    for part in (typing.get_origin(note), getattr(note, "array_type", None), note):
        home = _home(part)
        if home is not None:
            yield home
    for inner in typing.get_args(note):
        yield from _in_annotation(inner, inside)


def _imported(source: Callable[..., Any]) -> set[str]:
    """The libraries that the module imports where a function is defined."""
    source = _inner(source)
    module = sys.modules.get(getattr(source, "__module__", None) or "")
    inside = getattr(source, "__globals__", None) or vars(module or types.ModuleType(""))
    return {home for value in list(inside.values()) if (home := _home(value)) is not None}


def _home(thing: Any) -> str | None:
    """The library a module, class or function belongs to, or None where it is no array library's."""
    if thing is None:
        return None
    if inspect.ismodule(thing):
        name = thing.__name__
    else:
        named = thing if inspect.isclass(thing) or hasattr(thing, "__name__") else type(thing)
        name = getattr(named, "__module__", None) or type(thing).__module__
        if name in ("", "builtins"):  # a method of a module kept in C: torch.tanh
            owner = getattr(thing, "__self__", None)
            name = owner.__name__ if inspect.ismodule(owner) else ""
    return TOP.get(str(name).partition(".")[0])


def _is_theirs(thing: Any) -> bool:
    """Whether it may be code of the person: no array library's, not the standard library's."""
    top = (getattr(thing, "__module__", None) or "builtins").partition(".")[0]
    return top not in sys.stdlib_module_names and top not in TOP


def _inner(thing: Any) -> Any:
    """The function within a partial, a bound method or a decorator that says what it wraps."""
    while True:
        if isinstance(thing, functools.partial):
            thing = thing.func
        elif inspect.ismethod(thing):
            thing = thing.__func__
        elif (
            callable(thing)
            and hasattr(thing, "__wrapped__")
            and not inspect.isclass(thing)
            and _home(type(thing)) is None
        ):
            thing = thing.__wrapped__
        else:
            return thing


def _function(member: Any) -> Any:
    """The function behind a class's member."""
    if isinstance(member, (staticmethod, classmethod)):
        return member.__func__
    return member.fget if isinstance(member, property) else member


def _strongest(names: Iterable[str]) -> str | None:
    found = set(names)
    return next((name for name in FRAMEWORKS if name in found), None)
