"""Calls of models: the outermost call of a module that has parameters."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from harness.training.events import ModelCalled
from harness.training.session import Session, Watcher

MODES_MATTER = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
"""Modules of torch that compute something else in training mode."""


class Models(Watcher):
    """Global hooks around the forward pass of every module, and around the building of module trees."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._outermost: list[nn.Module] = []
        self._noted: dict[tuple[int, bool], nn.Module] = {}
        self._with_gradient = False

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        stack.callback(torch_module.register_module_forward_pre_hook(self._entered).remove)
        after = torch_module.register_module_forward_hook(self._left, with_kwargs=True, always_call=True)
        stack.callback(after.remove)
        built = torch_module.register_module_module_registration_hook(self._registered)
        stack.callback(built.remove)
        given = torch_module.register_module_parameter_registration_hook(self._given)
        stack.callback(given.remove)

    def _registered(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if not torch.compiler.is_compiling():
            self.session.tree.registered(parent, name, child)

    def _given(self, module: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        if not torch.compiler.is_compiling():
            self.session.tree.holds(module, tensor, self.session.places.here())

    def _entered(self, module: nn.Module, arguments: Any) -> None:
        if torch.compiler.is_compiling() or not self.session.is_on:
            return
        if torch.is_grad_enabled() or (self._outermost and self._with_gradient):
            self._note(module, torch.is_grad_enabled())
        if self._outermost:
            return
        if next(module.parameters(), None) is None:
            return
        if torch.is_grad_enabled():
            self.session.safe_point()
        self.session.root_of(module)
        self.session.dropout_seen = False
        self.session.model_in_use, self.session.is_in_call = module, True
        self.session.called_at = self.session.places.here()
        self._outermost.append(module)
        self._with_gradient = torch.is_grad_enabled()

    def _note(self, module: nn.Module, gradient: bool) -> None:
        """Which parameters took part in a forward pass with a gradient."""
        if (id(module), gradient) in self._noted or not module._parameters:
            return
        self._noted[id(module), gradient] = module
        called = self.session.stream.called if gradient else self.session.stream.called_without
        place = self.session.places.here()
        with self.session.quiet():
            for tensor in module.parameters(recurse=False):
                called.setdefault(self.session.parameters.of(tensor).name, place)

    def _left(self, module: nn.Module, arguments: Any, *rest: Any) -> None:
        options, output = rest if len(rest) == 2 else ({}, None)  # torch leaves the options out where forward raised
        if torch.compiler.is_compiling() or not self._outermost or self._outermost[-1] is not module:
            return
        self._outermost.pop()
        self.session.is_in_call = False
        if not self.session.is_on:
            return
        modes = [(name, part.training) for name, part in module.named_modules() if isinstance(part, MODES_MATTER)]
        on = tuple(name for name, training in modes if training and not module.training)
        off = tuple(name for name, training in modes if not training and module.training)
        session = self.session
        session.last_call = (module, arguments, options, output)
        session.emit(
            ModelCalled,
            model=type(module).__name__,
            root=session.tree.number(session.tree.root(module)),
            training=module.training,
            gradient=torch.is_grad_enabled(),
            in_training_mode=on,
            not_in_training_mode=off,
            model_has_dropout=any(isinstance(p, nn.modules.dropout._DropoutNd) and p.p > 0 for p in module.modules()),
        )


WATCHER = Models
