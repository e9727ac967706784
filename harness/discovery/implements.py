"""``@implements``: a factory says which component it builds. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from harness.core.declaration import LAYOUTS, Declaration
from harness.core.errors import UsageError

Factory = TypeVar("Factory", bound=Callable[..., Any])
DECLARED: list[Declaration] = []
"""Every declaration of this process, in the order the decorators ran."""


def implements(
    component: str,
    *,
    variant: str | None = None,
    layout: str | None = None,
    names: Mapping[str, str | Sequence[str]] | None = None,
    output: str | int | Callable[[Any], Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> Callable[[Factory], Factory]:
    """Decorator: this factory builds the component.

    ``build(config)`` receives the sizes of a case by name (``config.width``, ``config.heads``, ...) and its settings
    (``config.eps``, ...), and returns a ``torch.nn.Module`` of that size, whose parameters are then found by name and
    shape, or a plain function with the contract's arguments. Where the contract has a ``build`` of its own (a
    tokenizer, an optimiser) the decorated class or function is called with the arguments of that ``build``.

    ``variant``: the legal other form that this is. ``layout``: "in_out" where square weights are kept [in, out] and
    nothing else tells. ``names``: which parameter of the module is which, where the names do not tell:
    ``{"qkv_weight": "packed.weight"}``; several for one that is kept in parts, in order.
    ``output``: where the tensor is in what the module returns: an attribute, an index, or a function of it.
    ``call(module, *inputs)``: how the module is called, where ``module(*inputs)`` is not enough (a mask, a flag).

    Raises UsageError where one of these is not what it must be, or where what is decorated cannot be called.
    """
    _check(component, variant, layout, names, output, call)

    def declare(factory: Factory) -> Factory:
        if not callable(factory):
            raise UsageError(f'@implements("{component}") stands above something that cannot be called: {factory!r}')
        declaration = Declaration(component, factory, variant, layout, dict(names or {}), output, call)
        DECLARED[:] = [d for d in DECLARED if d.place != declaration.place]
        DECLARED.append(declaration)
        return factory

    return declare


def _check(component: object, variant: object, layout: object, names: object, output: object, call: object) -> None:
    """Raises UsageError where an argument of the decorator is not what it must be."""
    if not isinstance(component, str):
        example = '@implements("...") above the factory'
        raise UsageError(f"@implements needs the name of a component: {example}, not {component!r}")
    wrong = None
    if layout is not None and layout not in LAYOUTS:
        wrong = f'layout is "in_out" or "out_in", not {layout!r}'
    elif variant is not None and not isinstance(variant, str):
        wrong = f"variant is the name of a legal variant, not {variant!r}"
    elif names is not None and not isinstance(names, Mapping):
        wrong = f"names is a dictionary from the contract's names to yours, not {names!r}"
    elif output is not None and not (isinstance(output, (str, int)) or callable(output)):
        wrong = f"output is an attribute, an index or a function, not {output!r}"
    elif call is not None and not callable(call):
        wrong = f"call is a function of the module and its inputs, not {call!r}"
    if wrong is not None:
        raise UsageError(f'@implements("{component}"): {wrong}')


def declared_in(module: str, namespace: Mapping[str, Any]) -> list[Declaration]:
    """What a module, or a part of that package, declared, and what it imported by name from elsewhere."""
    held = {id(value) for value in namespace.values()}
    inside = f"{module}."
    return [d for d in DECLARED if d.module == module or d.module.startswith(inside) or id(d.factory) in held]


def forget(module: str) -> None:
    """Drop what a module declared, before its file is run once more."""
    DECLARED[:] = [d for d in DECLARED if d.module != module]
