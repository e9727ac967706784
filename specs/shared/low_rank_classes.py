"""LoRA layers as people write them: a module class around a linear layer, or one that is a linear layer itself.

``LinearWithLoRA(linear, rank, alpha)``, ``LoRALinear(in_features, out_features, r, lora_alpha)``, subclasses of
nn.Linear that merge in ``eval()`` as loralib's do. The matrices are found by shape, whichever way round they are kept.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Dialect
from harness.core.errors import plain
from harness.core.parameters import parameter_names, parameters_of

RANKS = ("rank", "r", "lora_rank", "lora_r", "lora_dim")
ALPHAS = ("alpha", "lora_alpha")
DROPOUTS = ("dropout", "lora_dropout", "dropout_p", "p")
WEIGHTS = ("original_weights", "original_weight", "original", "weights", "weight", "W", "w")
"""What the forward of a parametrization takes."""
ROWS, COLUMNS = ("features_in", "in_features", "rows"), ("features_out", "out_features", "columns")
"""Its sizes, given as the weight has them: ``features_in, features_out = layer.weight.shape``."""
INPUTS = ("in_features", "in_dim", "d_in", "input_dim", "n_in", "in_size", "in_feat")
OUTPUTS = ("out_features", "out_dim", "d_out", "output_dim", "n_out", "out_size", "out_feat")
BASES = (
    *("linear", "base", "base_layer", "original", "original_layer", "linear_layer", "layer", "module", "orig_module"),
    *("base_linear", "original_linear", "orig", "orig_linear", "wrapped", "pretrained"),
)
MERGES = ("merge", "merge_weights", "merge_lora", "merge_lora_weights", "fuse", "fuse_lora")
UNMERGES = ("unmerge", "unmerge_weights", "unmerge_lora", "unmerge_lora_weights", "unfuse", "unfuse_lora")
OTHERS = ("dora", "vera", "adalora", "conv", "embedding", "merged", "quant", "4bit", "8bit")
"""Names of relatives that compute something else."""
FREEZERS = ("mark_only_lora_as_trainable", "freeze_all_but_lora", "freeze_base", "freeze_base_weights")
"""Functions of a project that freeze all of a model but the matrices of its adapters."""
SIZES = {"inputs": 5, "outputs": 7, "rank": 3}
"""All different, so that a matrix tells by its shape what it is."""


def _name(names: Iterable[str], usual: Sequence[str]) -> str:
    """The first usual name among these; "" where there is none."""
    return next((name for name in usual if name in names), "")


def is_low_rank(kind: Any) -> int:
    """How surely a class is a LoRA layer, by its arguments; not one of rank-stabilised LoRA."""
    return 0 if inspect.isclass(kind) and "rslora" in plain(kind.__name__) else takes_a_rank(kind)


def is_rank_stabilised(kind: Any) -> int:
    """How surely a class is a layer of rank-stabilised LoRA, by its name and arguments."""
    return takes_a_rank(kind) if inspect.isclass(kind) and "rslora" in plain(kind.__name__) else 0


def takes_a_rank(kind: Any) -> int:
    """2 or 3 where a class takes a rank and an alpha, and a linear layer, a weight or the sizes of its own layer."""
    if not inspect.isclass(kind) or not issubclass(kind, nn.Module) or any(o in plain(kind.__name__) for o in OTHERS):
        return 0
    names = parameter_names(kind)
    sizes = bool(_name(names, INPUTS) and _name(names, OUTPUTS)) and _has_a_linear(kind)
    around = bool(_name(names, BASES)) or is_parametrization(kind)
    scales = _name(names, ALPHAS) or "lora" in plain(kind.__name__)
    if not _name(names, RANKS) or not scales or not (sizes or around):
        return 0
    known = {*RANKS, *ALPHAS, *DROPOUTS, *INPUTS, *OUTPUTS, *BASES, *ROWS, *COLUMNS, "bias"}
    needed = [p.name for p in parameters_of(kind) or () if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return 0 if set(needed) - known else 3 if issubclass(kind, nn.Linear) else 2


def is_parametrization(kind: Any) -> bool:
    """Whether a class computes a weight from a weight, as torch.nn.utils.parametrize registers it."""
    names, takes = parameter_names(kind), parameter_names(kind.forward)[1:2]
    return bool(_name(names, ROWS) and _name(names, COLUMNS)) and bool({*takes} & {*WEIGHTS})


def _has_a_linear(kind: type) -> bool:
    """Whether a class is a linear layer or makes one. (The low-rank update alone may have a class of its own.)"""
    code = getattr(kind.__init__, "__code__", None)  # type: ignore[misc]
    return issubclass(kind, nn.Linear) or (code is not None and bool({"Linear", "weight", "linear"} & {*code.co_names}))


@dataclass(frozen=True)
class Places:
    """Where a class keeps its tensors: the name of each parameter, and whether it is kept the other way round."""

    names: Mapping[str, str]
    turned: frozenset[str]


@cache
def places_of(kind: Callable[..., Any]) -> Places:
    """Raises Misfit where the weight and the two matrices are not all there, or something else is trained."""
    layer = constructed(kind, torch.zeros(SIZES["outputs"], SIZES["inputs"]), None, SIZES["rank"], 2.0, 0.0)
    shapes = {
        "weight": (SIZES["outputs"], SIZES["inputs"]),
        "a": (SIZES["rank"], SIZES["inputs"]),
        "b": (SIZES["outputs"], SIZES["rank"]),
    }
    names, turned = dict[str, str](), set[str]()
    for path, tensor in layer.named_parameters():
        part = next((p for p, shape in shapes.items() if tuple(tensor.shape) in (shape, shape[::-1])), None)
        if part is None and tensor.dim() == 1 and path.endswith("bias"):
            names["bias"] = path
        elif part is None or part in names:
            raise Misfit(f"it has {path} {list(tensor.shape)} beside a weight and two matrices")
        else:
            names[part] = path
            turned |= {part} if tuple(tensor.shape) != shapes[part] else set()
    if lacking := [part for part in shapes if part not in names]:
        raise Misfit(f"it needs a parameter that is its {' or '.join(lacking)}")
    return Places(names, frozenset(turned))


def constructed(
    kind: Callable[..., Any], weight: Tensor, bias: Tensor | None, rank: int, alpha: float, dropout: float
) -> nn.Module:
    """A layer of this class. A linear layer that it is given is frozen, as in a model whose weights are."""
    names = parameter_names(kind)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters_of(kind) or ())
    given: dict[str, Any] = {_name(names, RANKS): rank}
    given |= {_name(names, ALPHAS): alpha} if _name(names, ALPHAS) else {}
    if name := _name(names, DROPOUTS):
        given[name] = dropout
    elif dropout:
        raise NotSupported("it takes no dropout")
    outputs, inputs = weight.shape
    if is_parametrization(kind):
        given |= {_name(names, ROWS): outputs, _name(names, COLUMNS): inputs}
        base = nn.Linear(inputs, outputs, bias=bias is not None, dtype=weight.dtype).requires_grad_(False)
        parametrize.register_parametrization(base, "weight", kind(**given).to(weight.dtype))
        return base
    if _name(names, INPUTS) and _name(names, OUTPUTS):
        given |= {_name(names, INPUTS): inputs, _name(names, OUTPUTS): outputs}
        given |= {"bias": bias is not None} if "bias" in names or takes_any else {}
    else:
        base = nn.Linear(inputs, outputs, bias=bias is not None, dtype=weight.dtype)
        given[_name(names, BASES)] = base.requires_grad_(False)
    layer: nn.Module = kind(**given)
    _freeze(kind, layer)
    return layer.to(weight.dtype)


def _freeze(kind: Callable[..., Any], layer: nn.Module) -> None:
    """Call the function that a project has for it: a bias is then as frozen as its users have it."""
    for home in (kind.__module__, kind.__module__.partition(".")[0]):
        held = vars(sys.modules[home]) if home in sys.modules else {}
        function = next((held[name] for name in FREEZERS if inspect.isfunction(held.get(name))), None)
        if function is not None:
            function(layer)
            return


class LowRankLayer:
    """The contract's layer around one of their class ``kind``. ``merges_by_mode``: it merges in eval()."""

    kind: Any
    merges_by_mode: bool

    def __init__(self, weight: Tensor, bias: Tensor | None, rank: int, alpha: float, dropout: float = 0.0) -> None:
        self.places = places_of(self.kind)
        if not _name(parameter_names(self.kind), ALPHAS):
            raise Misfit("it needs an argument for alpha")
        self.layer = constructed(self.kind, weight, bias, rank, alpha, dropout)
        self.own = dict(self.layer.named_parameters())
        self.learned = {part: self._as_contract(part) for part in ("a", "b")}
        its_bias = self._bias()
        with torch.no_grad():
            self._own("weight").copy_(self._as_own("weight", weight))
            if its_bias is not None:
                its_bias.copy_(torch.zeros(weight.shape[0]) if bias is None else bias)
        if its_bias is None and bias is not None:
            raise NotSupported("it has no bias")
        if not self.merges_by_mode or dropout:
            self.layer.eval()

    def _own(self, part: str) -> Tensor:
        return self.own[self.places.names[part]]

    def _bias(self) -> Tensor | None:
        return next((tensor for name, tensor in self.own.items() if name.endswith("bias")), None)

    def _as_own(self, part: str, value: Tensor) -> Tensor:
        return value.T if part in self.places.turned else value

    def _as_contract(self, part: str) -> Tensor:
        """Its own tensor; where that is kept the other way round, one that its forward is given in place of it."""
        own = self._own(part)
        if part not in self.places.turned:
            return own
        return own.detach().T.clone().requires_grad_(own.requires_grad)

    def load(self, a: Tensor, b: Tensor) -> None:
        merged = self.merges_by_mode and not self.layer.training
        if merged:
            self.layer.train()
        with torch.no_grad():
            for part, value in (("a", a), ("b", b)):
                self._own(part).copy_(self._as_own(part, value))
                self.learned[part].copy_(value)
        if merged:
            self.layer.eval()

    def forward(self, x: Tensor) -> Any:
        turned = [part for part in self.learned if part in self.places.turned]
        given = {self.places.names[part]: self._as_own(part, self.learned[part]) for part in turned}
        return torch.func.functional_call(self.layer, given, (x,)) if given else self.layer(x)

    def parameters(self) -> dict[str, Tensor]:
        every = {**self.learned, "weight": self._own("weight"), "bias": self._bias()}
        return {part: tensor for part, tensor in every.items() if tensor is not None and tensor.requires_grad}

    def train(self) -> None:
        self.layer.train()

    def eval(self) -> None:
        self.layer.eval()


def low_rank_layer(kind: Any) -> type:
    """The contract's layer for such a class; it merges and unmerges where that does."""
    by_mode = kind.train is not nn.Module.train or kind.eval is not nn.Module.eval
    merge, unmerge = (next((n for n in usual if callable(getattr(kind, n, None))), "") for usual in (MERGES, UNMERGES))
    if by_mode and not merge:
        merge, unmerge = "eval", "train"
    members: dict[str, Any] = {"kind": kind, "merges_by_mode": by_mode}
    if merge and unmerge:
        members |= {"merge": _calling(merge), "unmerge": _calling(unmerge)}
    return type("Layer", (LowRankLayer,), members)


def _calling(method: str) -> Callable[[LowRankLayer], None]:
    def calls_it(self: LowRankLayer) -> None:
        getattr(self.layer, method)()

    return calls_it


LORA = "many projects"
LAYERS = (Dialect(LORA, "", (), dict, made=low_rank_layer, fits=is_low_rank),)
RANK_STABILISED = (Dialect(LORA, "", (), dict, made=low_rank_layer, fits=is_rank_stabilised),)
