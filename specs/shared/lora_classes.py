"""LoRA as published module classes spell it: a Linear that has the two matrices itself, or one that wraps a Linear.

``LoRALinear(in_features, out_features, r=8, lora_alpha=16)`` (loralib, labml.ai) and ``LinearWithLoRA(linear, rank,
alpha)`` (LLMs-from-scratch). The matrices are known by their shapes, not by their names. Some merge in ``eval()`` and
unmerge in ``train()``; others have methods for it, or none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Dialect
from harness.core.parameters import parameter_names
from specs.naming import names

RANK = names("r rank lora_rank lora_r")
ALPHA = names("lora_alpha alpha")
DROPOUT = names("lora_dropout dropout dropout_p lora_dropout_p dropout_prob")
IN, OUT = names("in_features in_dim d_in input_dim n_in"), names("out_features out_dim d_out output_dim n_out")
WRAPPED = names("linear base_layer original_layer base linear_layer layer original base_linear")
BIAS, DTYPE = ("bias", "use_bias"), ("dtype",)
MERGE = names("merge merge_weights merge_lora fuse")
UNMERGE = names("unmerge unmerge_weights unmerge_lora unfuse")
CLASSES = names("LoRALinear LoraLinear LinearWithLoRA LinearWithLora LinearLoRA LoRAWrappedLinear Linear")


def _given(kind: Callable[..., Any], values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Each value under the name that the constructor has for it; what it has no name for is left out."""
    known = parameter_names(kind)
    found = {next((name for name in spelled if name in known), None): value for spelled, value in values.items()}
    return {name: value for name, value in found.items() if name is not None}


def _takes(kind: Callable[..., Any], spelled: tuple[str, ...]) -> bool:
    return any(name in parameter_names(kind) for name in spelled)


def _base(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """A frozen linear layer with these numbers: who wraps one has frozen the model before."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    return linear.requires_grad_(False)


class ModuleLora:
    """A module class as the component; ``kind`` is the class. Raises Misfit where its matrices are not to be found."""

    kind: Callable[..., Any]

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, rank: int, alpha: float, dropout: float = 0.0
    ) -> None:
        if dropout and not _takes(self.kind, DROPOUT):
            raise NotSupported("it has no dropout")
        self.merges_in_eval = "merge_weights" in parameter_names(self.kind) and not dropout
        self.names: dict[str, tuple[str, bool]] = {}
        self.names = _matrices(self._made(torch.zeros(5, 3), torch.zeros(5), 2, alpha, dropout))
        self.module = self._made(weight, bias, rank, alpha, dropout)
        own = dict(self.module.named_parameters())
        self.a, self.b = (own[name].detach().clone() for name in (self.names["a"][0], self.names["b"][0]))
        self.a, self.b = self._turned("a", self.a).requires_grad_(), self._turned("b", self.b).requires_grad_()
        self.is_merged = False
        if not self.merges_in_eval:
            self.module.eval()

    def _made(
        self, weight: torch.Tensor, bias: torch.Tensor | None, rank: int, alpha: float, dropout: float
    ) -> nn.Module:
        settings: dict[tuple[str, ...], Any] = {RANK: rank, ALPHA: alpha, DROPOUT: dropout}
        if "merge_weights" in parameter_names(self.kind):
            settings[("merge_weights",)] = self.merges_in_eval
        if _takes(self.kind, WRAPPED):
            return self.kind(**_given(self.kind, {**settings, WRAPPED: _base(weight, bias)})).to(weight.dtype)
        if bias is None and not (_takes(self.kind, BIAS) or _takes_more(self.kind)):
            raise NotSupported("its bias is always there")
        settings |= {IN: weight.shape[1], OUT: weight.shape[0], BIAS: bias is not None}
        more = {"bias": bias is not None} if not _takes(self.kind, BIAS) and _takes_more(self.kind) else {}
        module: nn.Module = self.kind(**_given(self.kind, settings), **more).to(weight.dtype)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if name in {matrix for matrix, _ in self.names.values()}:
                    continue
                if parameter.shape == weight.shape:
                    parameter.copy_(weight)
                elif bias is not None and parameter.shape == bias.shape:
                    parameter.copy_(bias)
        return module

    def _turned(self, which: str, value: torch.Tensor) -> torch.Tensor:
        """From the contract's orientation to theirs, and back."""
        return value.T.contiguous() if self.names[which][1] else value

    def load(self, a: torch.Tensor, b: torch.Tensor) -> None:
        if self.is_merged:
            raise NotSupported("its matrices are merged")
        own = dict(self.module.named_parameters())
        with torch.no_grad():
            for which, value, mine in (("a", a, self.a), ("b", b, self.b)):
                mine.copy_(value)
                own[self.names[which][0]].copy_(self._turned(which, value))

    def forward(self, x: torch.Tensor) -> Any:
        if self.is_merged:
            return self.module(x)
        given = {self.names[n][0]: t.T if self.names[n][1] else t for n, t in (("a", self.a), ("b", self.b))}
        return torch.func.functional_call(self.module, given, (x,))

    def parameters(self) -> dict[str, torch.Tensor]:
        return {"a": self.a, "b": self.b}

    def train(self) -> None:
        self._without_merging().train()

    def eval(self) -> None:
        self._without_merging().eval()

    def _without_merging(self) -> nn.Module:
        if self.merges_in_eval:
            raise NotSupported("it merges in eval()")
        return self.module


class Merging(ModuleLora):
    """One that can merge: by its methods, or by its mode."""

    def merge(self) -> None:
        self._change(MERGE, "eval")
        self.is_merged = True

    def unmerge(self) -> None:
        self._change(UNMERGE, "train")
        self.is_merged = False

    def _change(self, spelled: tuple[str, ...], mode: str) -> None:
        method = mode if self.merges_in_eval else _method(self.kind, spelled)
        if not method:
            raise NotSupported("it merges in eval() only")
        getattr(self.module, method)()


def _method(kind: Any, spelled: tuple[str, ...]) -> str:
    return next((name for name in spelled if callable(getattr(kind, name, None))), "")


def _takes_more(kind: Callable[..., Any]) -> bool:
    signature = inspect.signature(kind)
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())


def _matrices(probe: nn.Module) -> dict[str, tuple[str, bool]]:
    """The names of a and b in a layer of 3 to 5 features and rank 2, and whether each is kept transposed."""
    shapes = {"a": (2, 3), "b": (5, 2)}
    found: dict[str, tuple[str, bool]] = {}
    for name, parameter in probe.named_parameters():
        for which, shape in shapes.items():
            if tuple(parameter.shape) in (shape, shape[::-1]):
                found[which] = (name, tuple(parameter.shape) != shape)
    if len(found) < 2:
        raise Misfit("it needs two matrices, [rank, in] and [out, rank]")
    return found


def module_lora(kind: Callable[..., Any]) -> type:
    """The component that this class is. It can merge where it has methods for it, or does it in eval()."""
    can_merge = "merge_weights" in parameter_names(kind) or (_method(kind, MERGE) and _method(kind, UNMERGE))
    base = Merging if can_merge else ModuleLora
    return type("Lora", (base,), {"kind": staticmethod(kind)})


LORA_CLASSES = tuple(
    Dialect("a module class", name, taken, lambda a: a, made=module_lora, lacks=("weight",))
    for name in CLASSES
    for taken in (
        *((i, o, r) for i, o in zip(IN, OUT, strict=True) for r in RANK),
        *((wrapped, r) for wrapped in WRAPPED for r in RANK),
    )
)
"""How a module class with low-rank matrices is known: by its name, and by what its constructor takes."""
