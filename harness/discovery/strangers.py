"""A function that bears a component's name and means something else, though it can be called as the contract says."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import Parameter
from types import ModuleType
from typing import Any

import torch

from harness.core.case import CALL
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract
from harness.core.errors import near
from harness.core.parameters import parameters_of
from harness.discovery.slips import MISSPELT, is_slip
from harness.execution.arguments import OPEN_ENDED, bound
from harness.execution.functions import FunctionAdapter
from harness.execution.misfits import PlugIn
from harness.execution.time_limit import TimedOut
from harness.modules.probing import trial_call
from harness.modules.telling_cases import telling_cases

OTHER_ARRAYS = ("numpy", "jax", "mlx", "cupy")
"""Code that imports one of these may not take torch's tensors: trial calls say nothing about it."""
CASES = 3


class Stranger(FunctionAdapter):
    """A function that is not called: ``needs`` says what it takes, and what a trial call came to."""

    def __init__(self, function: Callable[..., Any], needs: str) -> None:
        super().__init__(function)
        self.needs = needs

    def plug_in(self, contract: Contract) -> PlugIn:
        """What it would need, and the lines that give it that."""
        return PlugIn(self.needs, super().plug_in(contract).lines)


def function_adapter(function: Callable[..., Any], contract: Contract, seconds: float) -> FunctionAdapter:
    """How a function of this name is called; a Stranger where its arguments have other names, and all trial calls show
    another kind of argument or result: an error of a type, an attribute, a key or an index, or no tensor where one is
    due.
    """
    strange = _strange_names(function, contract)
    if not strange or _may_take_other_arrays(function):
        return FunctionAdapter(function)
    signature, whys = contract.calls[CALL], list[str]()
    for case in telling_cases(contract):
        if len(whys) == CASES:
            break
        try:
            result = trial_call("calling", function, seconds, bound(function, signature, case.arguments))
        except NotSupported:
            continue  # a setting that it does not take
        except (TypeError, AttributeError, KeyError, IndexError) as error:
            meant = not isinstance(error, KeyError) and _is_named_after(strange, contract)
            if meant or _is_misspelt(error, contract):
                return FunctionAdapter(function)
            whys.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        except (Exception, TimedOut):
            return FunctionAdapter(function)
        else:
            if torch.is_tensor(result) or not signature.returns_tensor:
                return FunctionAdapter(function)
            whys.append(f"a {type(result).__name__} came back")
    if not whys:
        return FunctionAdapter(function)
    given = ", ".join(a.name for a in signature.arguments)
    return Stranger(function, f"it needs {' and '.join(strange)}; called with {given} in this order: {whys[0]}")


def _strange_names(function: Callable[..., Any], contract: Contract) -> list[str]:
    """Required arguments with names that the contract does not have, the first one aside: x has many names."""
    known = {a.name for a in contract.calls[CALL].arguments}
    required = [
        p.name for p in parameters_of(function) or () if p.default is Parameter.empty and p.kind not in OPEN_ENDED
    ]
    return [name for name in required[1:] if name not in known]


def _is_named_after(strange: list[str], contract: Contract) -> bool:
    """Whether one of these shares a word with an argument of the contract or a published name of it.

    Then the component is meant, and what the function raises is its own mistake.
    """
    arguments = contract.calls[CALL].arguments
    known = {word for a in arguments for name in (a.name, *a.aliases, *_sliced(a)) for word in _words(name)}
    return any(not known.isdisjoint(_words(name)) for name in strange)


def _sliced(a: Argument) -> tuple[str, ...]:
    return tuple(name for names in a.slices.values() for name in names)


def _words(name: str) -> set[str]:
    """The words of a name: ``c_fc.weight`` has three. The n of a number says nothing."""
    return set(filter(None, re.split(r"[._\d]+", name.lower()))) - {"n"}


def _is_misspelt(error: Exception, contract: Contract) -> bool:
    """Whether an attribute or an entry is missing that is nearly one there is."""
    if not isinstance(error, KeyError):
        return is_slip(error)
    fields = [field.name for a in contract.calls[CALL].arguments for field in a.fields]
    return bool(error.args) and bool(near(str(error.args[0]), fields, MISSPELT))


def _may_take_other_arrays(function: Callable[..., Any]) -> bool:
    modules = [v for v in getattr(function, "__globals__", {}).values() if isinstance(v, ModuleType)]
    return any(module.__name__.partition(".")[0] in OTHER_ARRAYS for module in modules)
