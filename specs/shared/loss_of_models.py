"""The loss inside a model's forward pass: ``logits, loss = model(idx, targets)``, on logits that a case gives.

The model is built at a small size; what its head returns is exchanged for the logits of the case, so that its own lines
compute the loss of these. A model that takes ``labels`` may shift them itself, as those of transformers do: it is given
one position more then. A model that changes what its head returns (a cap on the logits) is left out.
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
from specs.naming.llama import OWN_HEADS
from specs.shared.sizes_of_models import sizes_for

LABELS = ("labels", "label")
"""Names of targets that a model may shift itself."""
KEPT = ("last_loss", "loss")
"""Attributes in which a model keeps its loss."""
TARGETS = ("targets", "target", "tgt", "y", *LABELS)


def _targets_of(kind: Any) -> str:
    """What its forward calls the targets; "" where it takes none."""
    return next((name for name in TARGETS if name in parameter_names(kind.forward)), "")


def has_a_loss(kind: Any) -> bool:
    """Whether a module class takes targets and calls a head that it names as usual."""
    code = getattr(getattr(kind, "forward", None), "__code__", None)
    return code is not None and bool(_targets_of(kind)) and bool({*OWN_HEADS} & {*code.co_names})


def loss_of_a_model(build: Callable[..., Any]) -> Callable[..., Tensor]:
    """``lm_loss`` with what the forward of such a class computes."""

    def lm_loss(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
        if bool((targets == ignore_index).any()):
            raise NotSupported("its forward has no argument for the target that is ignored")
        config = Settings(
            vocab_size=logits.shape[-1], context=logits.shape[1] + 2, width=12, heads=2, layers=1, norm_eps=1e-5
        )
        module: nn.Module = build(sizes_for(build, config), seed=0, dtype=logits.dtype).module.eval()
        name = _targets_of(type(module))
        _check_its_head(module, logits)
        if name in LABELS and _shifts(module, logits, name):
            logits, targets = torch.cat([logits, logits[:, -1:]], 1), torch.cat([targets[:, :1], targets], 1)
        return _loss_in(_called(module, logits, **{name: targets}), module)

    return lm_loss


def _called(module: nn.Module, logits: Tensor, **targets: Tensor) -> Any:
    """What its forward returns where its head gives these logits. Raises Misfit where it has no head of its own."""
    heads = (getattr(module, name, None) for name in OWN_HEADS if name in type(module).forward.__code__.co_names)
    head = next((head for head in heads if isinstance(head, nn.Module)), None)
    if head is None:
        raise Misfit("it needs a module of its own for the head")

    def exchanged(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        return logits[:, -1:].reshape(out.shape) if out.numel() < logits.numel() else logits

    with head.register_forward_hook(exchanged):
        return module(torch.zeros(logits.shape[:2], dtype=torch.long), **targets)


def _check_its_head(module: nn.Module, logits: Tensor) -> None:
    """Raises Misfit where what it returns without targets are not the logits that its head gives, however large."""
    logits = torch.linspace(-40, 40, logits.numel(), dtype=logits.dtype).reshape(logits.shape)
    with torch.no_grad():
        returned = _called(module, logits)
    found = next((v for v in _values(returned) if torch.is_tensor(v) and v.shape[-1:] == logits.shape[-1:]), None)
    if found is not None and not torch.equal(found.reshape(-1)[-logits.shape[-1] :], logits[-1, -1]):
        raise Misfit("it needs the logits of its head as they are: it changes them before the loss")


def _shifts(module: nn.Module, logits: Tensor, name: str) -> bool:
    """Whether it shifts its labels itself: then the logits of the last position take no part in the loss."""
    one = torch.linspace(-1, 1, 2 * 3 * logits.shape[-1], dtype=logits.dtype).reshape(2, 3, -1)
    other = one.clone()
    other[:, -1] = other[:, -1].flip(-1) * 3
    labels = torch.zeros(2, 3, dtype=torch.long)
    with torch.no_grad():
        found = [_loss_in(_called(module, values, **{name: labels}), module) for values in (one, other)]
    return torch.equal(found[0], found[1])


def _values(returned: Any) -> Iterable[Any]:
    """What a forward returned, one by one."""
    if isinstance(returned, Mapping):
        return [*returned.values()]
    return returned if isinstance(returned, tuple) else (returned, *getattr(returned, "__dict__", {}).values())


def _loss_in(returned: Any, module: nn.Module) -> Tensor:
    """The one number that a forward returns, or that the model keeps. Raises Misfit where there is none."""
    kept = (vars(module).get(name) for name in KEPT)
    values = (getattr(returned, "loss", None), *_values(returned), *kept)
    found = next((value for value in values if torch.is_tensor(value) and value.dim() == 0), None)
    if found is None:
        raise Misfit("it needs to return the loss, one number")
    return found


WHOLE = WholeModel(("gpt2", "llama"), loss_of_a_model, fits=has_a_loss)
