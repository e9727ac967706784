"""The loss inside a model's forward pass: ``logits, loss = model(idx, targets)``, on logits that a case gives.

The model is built at a small size; what its head returns is exchanged for the logits of the case, so that its own lines
compute the loss of these. Models that shift ``labels`` themselves compute another loss and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import WholeModel
from harness.core.parameters import parameter_names
from harness.core.values import Settings
from specs.naming.parameters import TIED_HEADS

TARGETS = ("targets", "target", "tgt", "y")


def _targets_of(kind: Any) -> str:
    """What its forward calls the targets; "" where it takes none."""
    return next((name for name in TARGETS if name in parameter_names(kind.forward)), "")


def has_a_loss(kind: Any) -> bool:
    """Whether a module class takes targets and calls a head that it names as usual."""
    code = getattr(getattr(kind, "forward", None), "__code__", None)
    return code is not None and bool(_targets_of(kind)) and bool({*TIED_HEADS} & {*code.co_names})


def loss_of_a_model(build: Callable[..., Any]) -> Callable[..., Tensor]:
    """``lm_loss`` with what the forward of such a class computes."""

    def lm_loss(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
        if bool((targets == ignore_index).any()):
            raise NotSupported("its forward has no argument for the target that is ignored")
        sizes = {"vocab_size": logits.shape[-1], "context": logits.shape[1] + 1}
        model = build(Settings(**sizes, width=12, heads=2, layers=1, norm_eps=1e-5), seed=0, dtype=logits.dtype)
        module: nn.Module = model.module.eval()
        heads = (getattr(module, name, None) for name in TIED_HEADS if name in type(module).forward.__code__.co_names)
        head = next((head for head in heads if isinstance(head, nn.Module)), None)
        if head is None:
            raise Misfit("it needs a module of its own for the head")
        ids = torch.zeros_like(targets)
        with head.register_forward_hook(lambda *_: logits):
            returned = module(ids, **{_targets_of(type(module)): targets})
        return _loss_in(returned)

    return lm_loss


def _loss_in(returned: Any) -> Tensor:
    """The one number that a forward returns. Raises Misfit where there is none."""
    loss = getattr(returned, "loss", None)
    values: Iterable[Any] = (loss,)
    if loss is None:
        values = returned if isinstance(returned, tuple) else (returned,)
    if loss is None and isinstance(returned, Mapping):
        values = returned.values()
    found = next((value for value in values if torch.is_tensor(value) and value.dim() == 0), None)
    if found is None:
        raise Misfit("it needs to return the loss, one number")
    return found


WHOLE = WholeModel("gpt2", loss_of_a_model, fits=has_a_loss)
