"""One call of an object that holds arrays: tensors become arrays, what comes back becomes tensors with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from harness.arrays.held import Held, Path, gradient_names, owner_of
from harness.arrays.libraries import Torch
from harness.core.case import is_float
from harness.core.claim import NotSupported
from harness.core.tree import leaves, map_leaves

MOST_LEADING = 3
NO_GRADIENTS = "it gives no gradients: write a method backward(grad_out) that keeps them beside its arrays"


@dataclass(frozen=True)
class Call:
    """What is called, and with what. ``learned``: the arrays to use, as tensors. ``leads``: how many leading axes it is
    mapped over, by what it is given, filled in when it is seen; None where it takes them itself."""

    held: Held
    learned: Mapping[Path, torch.Tensor]
    given: tuple[Any, ...]
    options: Mapping[str, Any]
    leads: dict[Any, int] | None


class ArrayCall:
    """Makes one call on arrays of one library."""

    def __init__(self, arrays: Torch, call: Call) -> None:
        self.arrays, self.it = arrays, call
        everything = {"given": list(call.given), "options": dict(call.options)}
        self.moving: dict[str, torch.Tensor] = {str(path): value for path, value in call.learned.items()}
        """What has a gradient, by name: the learned arrays, and what is given."""
        self.moving |= {f"{path}": leaf for path, leaf in leaves(everything) if is_float(leaf)}
        self.everything = everything
        self.wide = any(value.dtype == torch.float64 for value in self.moving.values())
        self.half = any(value.dtype in (torch.bfloat16, torch.float16) for value in self.moving.values())

    def result(self) -> Any:
        """What comes back, as tensors. Raises whatever the code raises, NotSupported for 16-bit numbers in NumPy."""
        if self.arrays.name == "torch":
            return self._run(dict(self.moving), lambda tensor: tensor)
        if self.arrays.name == "numpy" and self.half:
            raise NotSupported("NumPy code computes in float32 and float64: bfloat16 and float16 are not judged")
        with self.arrays.scope(self.wide):
            raw = self._run({name: self.arrays.take(v) for name, v in self.moving.items()}, self.arrays.take)
        value = map_leaves(raw, lambda _, leaf: self._narrowed(self.arrays.give(leaf)))
        outputs = [leaf for _, leaf in leaves(value) if is_float(leaf)]
        if not torch.is_grad_enabled() or not outputs or not any(v.requires_grad for v in self.moving.values()):
            return value
        joined = iter(_Crossing.apply(self, outputs, *self.moving.values()))  # type: ignore[no-untyped-call]
        return map_leaves(value, lambda _, leaf: next(joined) if is_float(leaf) else leaf)

    def _narrowed(self, value: Any) -> Any:
        """What NumPy's scalars widened to float64 on the way, in float32 again: that is no mistake there."""
        if self.wide or not is_float(value) or value.dtype != torch.float64:
            return value
        return value.float()

    def _run(self, moving: Mapping[str, Any], take: Callable[[torch.Tensor], Any]) -> Any:
        """Their code, on these arrays."""
        given = self._arguments(moving, take)
        with self.it.held.given({path: moving[str(path)] for path in self.it.learned}) as made:
            result = self._mapped(made, given["options"])(*given["given"])
            if self.arrays.name == "torch":
                _forget_graphs(made)
            return result

    def _arguments(self, moving: Mapping[str, Any], take: Callable[[torch.Tensor], Any]) -> dict[str, Any]:
        def swap(path: Any, leaf: Any) -> Any:
            if is_float(leaf):
                return moving[f"{path}"]
            return take(leaf) if torch.is_tensor(leaf) else leaf

        swapped: dict[str, Any] = map_leaves(self.everything, swap)
        return swapped

    def _mapped(self, made: Any, options: Mapping[str, Any]) -> Callable[..., Any]:
        """The object as it is called; mapped over leading axes where it is written for one example."""
        method = made if callable(made) else made.forward

        def alone(*given: Any) -> Any:
            return method(*given, **options)

        if self.it.leads is None or not self.it.given or not torch.is_tensor(self.it.given[0]):
            return alone
        first = self.it.given[0]
        kind = (first.dim(), first.is_floating_point())
        if kind not in self.it.leads:
            lead = self._leading(alone, first)
            if lead is None:
                return alone
            self.it.leads[kind] = lead
        return self._over(alone, self.it.leads[kind])

    def _over(self, alone: Callable[..., Any], lead: int) -> Callable[..., Any]:
        jax = self.arrays.jax  # type: ignore[attr-defined]
        for _ in range(lead):
            alone = jax.vmap(alone, in_axes=(0, *(None for _ in self.it.given[1:])))
        return alone

    def _leading(self, alone: Callable[..., Any], first: torch.Tensor) -> int | None:
        """Over how many axes it must be mapped: the fewest with which it runs at sizes that are no other size."""
        jax = self.arrays.jax  # type: ignore[attr-defined]
        axes = first.dim() - first.is_floating_point()
        taken = {size for value in self.moving.values() for size in value.shape[-2:]} - set(first.shape[:axes])
        unlike = [n for n in (2, 3, 5, 7, 11, 13, 17, 19) if n not in taken][:axes][::-1]
        like = self.arrays.take(first)
        sample = jax.ShapeDtypeStruct((*unlike, *first.shape[axes:]), like.dtype)
        rest = [self.arrays.take(g) if torch.is_tensor(g) else g for g in self.it.given[1:]]
        for lead in range(min(axes, MOST_LEADING) + 1):
            try:
                jax.eval_shape(lambda x, n=lead: self._over(alone, n)(x, *rest), sample)
            except Exception:  # another number of axes; the last one's error is that of the call
                continue
            return lead
        return None

    # gradients -------------------------------------------------------------------------------------------------------

    def slopes(self, incoming: list[torch.Tensor]) -> list[torch.Tensor | None]:
        """The gradients of ``moving``. Raises NotSupported where the code gives none."""
        with self.arrays.scope(self.wide):
            values = {name: self.arrays.take(value) for name, value in self.moving.items()}
            arrays = [self.arrays.take(gradient) for gradient in incoming]
            found = self._derived(values, arrays) if self.arrays.how else self._by_hand(values, arrays)
            given = {name: None if value is None else self.arrays.give(value) for name, value in found.items()}
        pairs = [(given.get(name), value) for name, value in self.moving.items()]
        return [None if got is None else got.to(like.dtype).reshape(like.shape) for got, like in pairs]

    def _derived(self, values: dict[str, Any], incoming: list[Any]) -> dict[str, Any]:
        def forward(moved: dict[str, Any]) -> list[Any]:
            result = self._run(moved, self.arrays.take)
            return [leaf for _, leaf in leaves(result) if is_float(self.arrays.give(_plain(leaf)))]

        found: dict[str, Any] = self.arrays.slopes(forward, values, incoming)
        return found

    def _by_hand(self, values: dict[str, Any], incoming: list[Any]) -> dict[str, Any]:
        """By the object's own ``backward``, which keeps the gradients of its arrays beside them."""
        paths = {str(path): path for path in self.it.learned}
        if len(incoming) != 1 or len(values) != len(paths) + 1:
            raise NotSupported(NO_GRADIENTS)
        given = self._arguments(values, self.arrays.take)
        with self.it.held.given({path: values[name] for name, path in paths.items()}) as made:
            if not callable(getattr(made, "backward", None)):
                raise NotSupported(NO_GRADIENTS)
            (made if callable(made) else made.forward)(*given["given"], **given["options"])
            back = made.backward(incoming[0])
            found = {name: _gradient_beside(made, path) for name, path in paths.items()}
        first = next(name for name in values if name not in paths)
        return {**found, first: back}


def _gradient_beside(made: Any, path: Path) -> Any:
    """What is kept as the gradient of an array. Raises NotSupported where nothing has such a name."""
    owner = owner_of(made, path)
    held = owner if isinstance(owner, dict) else getattr(owner, "__dict__", {})
    for name in gradient_names(str(path[-1])):
        if held.get(name) is not None:
            return held[name]
    grads = held.get("grads")
    if isinstance(grads, dict) and path[-1] in grads:
        return grads[path[-1]]
    raise NotSupported(f"nothing beside {path[-1]} is named like its gradient (d{path[-1]}, grad_{path[-1]})")


def _plain(leaf: Any) -> Any:
    """A traced array as one of its dtype, to see which it is."""
    return torch.zeros(()) if "float" in str(getattr(leaf, "dtype", "")) else leaf


def _forget_graphs(made: Any) -> None:
    """What a torch object keeps of a call keeps its numbers, not the graph: an object with one cannot be copied."""
    for name, value in list(getattr(made, "__dict__", {}).items()):
        if torch.is_tensor(value) and value.grad_fn is not None:
            setattr(made, name, value.detach())


class _Crossing(torch.autograd.Function):
    """The outputs of a call as tensors that know where their gradients come from."""

    @staticmethod
    def forward(ctx: Any, call: ArrayCall, outputs: list[torch.Tensor], *moving: torch.Tensor) -> Any:
        """The outputs as they are."""
        ctx.call = call
        ctx.shapes = [(value.shape, value.dtype) for value in outputs]
        return tuple(value.clone() for value in outputs)

    @staticmethod
    def backward(ctx: Any, *incoming: Any) -> Any:
        """The gradients of what went in."""
        whole = [
            torch.zeros(shape, dtype=dtype) if gradient is None else gradient
            for gradient, (shape, dtype) in zip(incoming, ctx.shapes, strict=True)
        ]
        return None, None, *ctx.call.slopes(whole)
