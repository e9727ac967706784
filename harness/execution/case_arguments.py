"""The arguments of a case as the implementation gets them (copies, resources, results), and who wrote to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.core.case import CALL, Call, is_float
from harness.core.contract import Signature
from harness.core.implementation import Effect, EffectKind, Request
from harness.core.tree import Path, dotted, map_leaves
from harness.core.values import Earlier, Given, Resource
from harness.execution.tensor_copies import attached_copy, is_unchanged, same_strides

Passed = tuple[str, torch.Tensor, torch.Tensor]
"""(label, tensor as it was, tensor that was passed)."""


class CaseArguments:
    """Makes the arguments of each call, in order, and notices what is written to.

    ``leaves``: the differentiable arguments so far by label; ``labels``: where each stands (index of the call, name,
    ...).
    ``outputs``: what each call returned, which the executor appends.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.leaves: dict[str, torch.Tensor] = {}
        self.labels: dict[Path, str] = {}
        self.outputs: list[Any] = []
        self._given: list[tuple[str, Mapping[str, Any]]] = []
        self._passed: list[Passed] = []
        """Tensors of the latest call."""
        self._passed_earlier: list[tuple[str, str, torch.Tensor, torch.Tensor]] = []

    def of_call(self, at: int, call: Call, signature: Signature | None) -> dict[str, Any]:
        """The arguments of call number ``at``.

        Raises TypeError where an earlier call did not return what this one needs.
        """
        roles = {a.name: a.role for a in signature.arguments} if signature else {}
        self._passed = []
        given: dict[str, Any] = map_leaves(
            dict(call.arguments), lambda path, leaf: self._loaded(at, path, leaf, roles.get(str(path[0]), ""))
        )
        self._given.append((call.method, given))
        return given

    def of_harness_step(self, at: int, call: Call) -> dict[str, Any]:
        """The same for a step of the harness's own, which may write to what it is given."""
        passed = self._passed
        given: dict[str, Any] = map_leaves(
            dict(call.arguments), lambda path, leaf: self._loaded(at, path, leaf, "setting")
        )
        self._passed = passed
        return given

    def changed_by(self, call: Call, given: Mapping[str, Any], is_last: bool) -> list[Effect]:
        """What the latest call wrote to. Tensors are looked at again after later calls."""
        effects = [
            Effect(EffectKind.ARGUMENT, f"{name} was changed in place by {call.method}()", name, call.method)
            for name, value in call.arguments.items()
            if _is_flat(value) and given[name] != value
        ]
        for label, original, passed in self._passed:
            if not is_unchanged(passed, original):
                by = "" if call.method == CALL else f" by {call.method}()"
                effects.append(Effect(EffectKind.ARGUMENT, f"{label} was changed in place{by}", label, call.method))
            elif not is_last:
                self._passed_earlier.append((call.method, label, passed, original))
        return effects

    def changed_later(self) -> list[Effect]:
        """Tensors that were whole when their call returned, and were written to by a later one."""
        return [
            Effect(
                EffectKind.EARLIER_ARGUMENT, f"{label}, given to {method}(), was changed by a later call", label, method
            )
            for method, label, passed, original in self._passed_earlier
            if not is_unchanged(passed, original)
        ]

    def changed_now(self) -> list[str]:
        """Labels of the latest call's tensors that were written to."""
        return [label for label, original, passed in self._passed if not is_unchanged(passed, original)]

    def _loaded(self, at: int, path: Path, leaf: Any, role: str) -> Any:
        if isinstance(leaf, Resource):
            return leaf.load()
        if isinstance(leaf, Given):
            return next(given[leaf.argument] for method, given in reversed(self._given) if method == leaf.method)
        label = dotted(path)
        if isinstance(leaf, Earlier):
            value = self._returned(leaf)
            if type(value) is torch.Tensor:
                self._passed.append((label, value.detach().clone(), value))
            return value
        if not torch.is_tensor(leaf):
            return leaf
        passed = same_strides(leaf)
        if self.request.gradients is not None and is_float(leaf) and role != "setting":
            # What is passed is not a leaf of autograd: a write in place then shows as a changed argument, with its
            # gradient still right, rather than as autograd's refusal to write to a leaf.
            start = passed.requires_grad_()
            self.labels[(at, *path)] = name = label if label not in self.leaves else f"{label}@{at}"
            self.leaves[name] = start
            passed = attached_copy(start)
        self._passed.append((label, leaf, passed))
        return passed

    def _returned(self, earlier: Earlier) -> Any:
        """What an earlier call of this case returned, the very object."""
        made = zip(self.request.case.calls, self.outputs, strict=False)
        value = [output for call, output in made if call.method == earlier.method][-1 - earlier.back]
        if earlier.entry is None:
            return value
        if not isinstance(value, (list, tuple)) or len(value) <= earlier.entry:
            least, kind = earlier.entry + 1, type(value).__name__
            raise TypeError(f"{earlier.method}() must return at least {least} values; it returned a {kind}")
        return value[earlier.entry]


def _is_flat(value: Any) -> bool:
    """Whether it is a list or dictionary of plain values (ids, names, a vocabulary)."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (None,)
    return all(type(entry) in (int, float, str, bytes) for entry in inner)
