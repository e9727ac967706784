"""Optimizers: their calls and scripts, and how a class like those of torch.optim is called.

Such a class is ``AdamW(params, lr=..., betas=..., eps=..., weight_decay=...)``, a subclass of torch.optim.Optimizer or
a class with its interface, whose ``step()`` reads ``.grad``. It needs no adapter.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from harness.core.case import Call, Case
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Dialect, Signature
from harness.core.errors import plain
from harness.core.parameters import parameter_names
from harness.core.values import Earlier
from specs.naming.cs336 import adapter

Gradients = Sequence[torch.Tensor | None]
"""One gradient for every parameter; None where a parameter has none."""
Groups = Sequence[Mapping[str, Any]]
"""Parameter groups: the indices of their parameters under "params", and their settings."""
CALLS = {
    "build": Signature(
        (
            Argument("params", "list[float[...]]", "parameter"),
            Argument("groups", "list of {params: indices into params, settings of the group}", "setting", True),
            Argument("lr", "float", "setting"),
            Argument("betas", "(float, float)", "setting", optional=True, default=(0.9, 0.999)),
            Argument("eps", "float", "setting", optional=True, default=1e-8),
            Argument("weight_decay", "float", "setting"),
        ),
        "the optimizer",
    ),
    "step": Signature((Argument("grads", "list[float[...] or None]"),), "list[float[...]]", live=True),
    "set_lr": Signature((Argument("lr", "float", "setting"),), "nothing"),
    "state": Signature((), "a state of any form"),
    "load": Signature((Argument("state", "what state() returned", "setting"),), "nothing"),
}
OPTIONAL_METHODS = frozenset({"set_lr", "state", "load"})


# scripts -------------------------------------------------------------------------------------------------------------


def script(
    params: Sequence[torch.Tensor],
    steps: Sequence[Gradients],
    family: str,
    groups: Groups | None = None,
    **settings: Any,
) -> Case:
    """build(), and one step for each list of gradients."""
    build = Call("build", {"params": list(params), "groups": groups, **settings})
    return Case((build, *(Call("step", {"grads": list(grads)}) for grads in steps)), {}, family)


def building(case: Case, **changes: Any) -> Call:
    """The build() of a case, with other arguments."""
    return Call("build", {**case.calls[0].arguments, **changes})


def gradients_of(case: Case) -> list[list[Any]]:
    """The gradients of every step."""
    return [call.arguments["grads"] for call in case.calls if call.method == "step"]


def with_calls(case: Case, *calls: Call) -> Case:
    """The case with other calls."""
    return Case(calls, case.dimensions, case.family)


def stepping(grads: Gradients) -> Call:
    """One step with these gradients."""
    return Call("step", {"grads": list(grads)})


def interrupted(case: Case, after: int) -> Case:
    """After some steps the state is saved; a new optimizer of the current parameters loads it and makes the rest."""
    before, rest = case.calls[1 : 1 + after], case.calls[1 + after :]
    places = range(len(case.calls[0].arguments["params"]))
    new = building(case, params=[Earlier("step", place) for place in places])
    resumed = (Call("state", {}), new, Call("load", {"state": Earlier("state")}))
    return with_calls(case, case.calls[0], *before, *resumed, *rest)


# classes like those of torch.optim -----------------------------------------------------------------------------------

NAMES = {
    "lr": ("lr", "learning_rate", "alpha", "eta", "step_size", "stepsize"),
    "betas": ("betas", "beta"),
    "beta_1": ("beta_1", "beta1", "b1", "rho_1"),
    "beta_2": ("beta_2", "beta2", "b2", "rho_2"),
    "eps": ("eps", "epsilon"),
    "weight_decay": ("weight_decay", "wd", "decay", "lambda_", "lam", "lambd"),
}
"""Names of the settings in published code."""
BETAS, EPS = (0.9, 0.999), 1e-8
"""The values that code without such an argument is assumed to use."""


class TorchForm:
    """The contract's calls for a class like those of torch.optim. ``make``: the class, or its builder."""

    def __init__(
        self,
        make: Callable[..., Any],
        params: Sequence[torch.Tensor],
        groups: Groups | None,
        settings: Mapping[str, Any],
    ) -> None:
        self.params = [torch.nn.Parameter(param.detach().clone()) for param in params]
        names = parameter_names(make)
        given: Any = self.params
        if groups is not None:
            given = [{**group, "params": [self.params[place] for place in group["params"]]} for group in groups]
        named = _by_argument_name(names, settings)
        is_torch_optimizer = inspect.isclass(make) and issubclass(make, torch.optim.Optimizer)
        if groups is not None and not is_torch_optimizer and not hasattr(make(self.params, **named), "param_groups"):
            raise NotSupported("it has no parameter groups")
        self.optimizer = make(given, **named)

    def step(self, grads: Gradients) -> list[torch.Tensor]:
        for param, grad in zip(self.params, grads, strict=True):
            param.grad = None if grad is None else torch.empty_like(param).copy_(grad)  # laid out as backward() does
        self.optimizer.step()
        for param in self.params:
            param.grad = None
        return [param.detach() for param in self.params]

    def step_ready(self, grads: Gradients) -> Callable[[], list[torch.Tensor]]:
        """For timing: the gradients are set, and what it returns runs only the step."""
        for param, grad in zip(self.params, grads, strict=True):
            param.grad = grad
        step, params = self.optimizer.step, self.params

        def timed_step() -> list[torch.Tensor]:
            step()
            return [param.detach() for param in params]

        return timed_step

    def __deepcopy__(self, memo: Any) -> Any:
        raise NotSupported("torch copies optimizers through state_dict: a deep copy loses what subclasses add")

    def set_lr(self, lr: float) -> None:
        if hasattr(self.optimizer, "param_groups"):
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            return
        name = next((name for name in NAMES["lr"] if hasattr(self.optimizer, name)), None)
        if name is None:
            raise NotSupported("its learning rate cannot be set")
        setattr(self.optimizer, name, lr)

    def state(self) -> Any:
        if not hasattr(self.optimizer, "state_dict") or not hasattr(self.optimizer, "load_state_dict"):
            raise NotSupported("it has no state_dict() and load_state_dict()")
        return copy.deepcopy(self.optimizer.state_dict())

    def load(self, state: Any) -> None:
        self.optimizer.load_state_dict(state)


def torch_form(make: Callable[..., Any]) -> type:
    """A class with the contract's calls, for a class like those of torch.optim or a function that builds one."""
    return of_its_class(lambda: make)


def of_its_class(get: Callable[[], Callable[..., Any]]) -> type:
    """The same for a function without arguments that returns the class, such as CS336's ``get_adamw_cls``."""

    class Optimizer(TorchForm):
        def __init__(
            self,
            params: Sequence[torch.Tensor],
            groups: Groups | None,
            lr: float,
            betas: tuple[float, float] = BETAS,
            eps: float = EPS,
            weight_decay: float = 0.0,
        ) -> None:
            settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
            super().__init__(get(), params, groups, settings)

    return Optimizer


def _by_argument_name(names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings under the names of its arguments; NotSupported where it has no place for one that is no default."""
    wanted = dict(settings)
    if not any(name in names for name in NAMES["betas"]):
        one, other = (next((n for n in NAMES[key] if n in names), None) for key in ("beta_1", "beta_2"))
        if one and other:
            betas = wanted.pop("betas")
            wanted |= {"beta_1": betas[0], "beta_2": betas[1]}
    open_ended = not names or "kwargs" in names
    given = {}
    for key, value in wanted.items():
        name = next((name for name in NAMES[key] if name in names), key if open_ended else None)
        if name is not None:
            given[name] = value
        elif value != {"betas": BETAS, "eps": EPS}.get(key):
            raise NotSupported(f"it takes no {key}")
    return given


OTHERS = ("8bit", "4bit", "stable", "schedulefree", "adamwr", "mini", "paged")
"""Relatives of AdamW that compute something else, or keep another state."""


def is_adamw(kind: Any) -> int:
    """2 where a class is named AdamW among other words, and takes parameters, a rate, betas, eps and a decay."""
    name = plain(kind.__name__) if inspect.isclass(kind) else ""
    if "adamw" not in name or any(other in name for other in OTHERS) or not callable(getattr(kind, "step", None)):
        return 0
    taken = parameter_names(kind)
    has = {key: any(name in taken for name in usual) for key, usual in NAMES.items()}
    betas = has["betas"] or (has["beta_1"] and has["beta_2"])
    return 2 if betas and has["lr"] and has["eps"] and has["weight_decay"] else 0


def dialects(*names: str, getters: Sequence[str] = (), accepts: Sequence[str] = ()) -> tuple[Dialect, ...]:
    """Classes with these names, and CS336's functions without arguments (``getters``) that return a class.

    ``accepts``: the legal forms that CS336 accepts.
    """
    dialect_of = [Dialect("torch", name, (), lambda a: a, made=torch_form, lacks=("groups",)) for name in names]
    own = (adapter(name, (), lambda a: a, made=of_its_class, accepts=tuple(accepts)) for name in getters)
    of_any_name = () if not getters else (Dialect("torch", "", (), dict, made=torch_form, fits=is_adamw),)
    return (*own, *dialect_of, *of_any_name)
