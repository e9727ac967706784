"""One step on more than fits into memory at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_model.lm_loss import lm_loss


def gradient_accumulation(
    model: nn.Module, micro_batches: Sequence[tuple[Tensor, Tensor]], ignore_index: int = -100
) -> tuple[Tensor, dict[str, Tensor | None]]:
    """The loss over all micro-batches and its gradients, as of one big batch.  -> (loss [], {name: gradient})

    micro_batches: pairs of ids [B, T] and targets [B, T], of any sizes; a target equal to ignore_index counts nowhere.
    The loss is the mean over every target of all of them that counts, so a micro-batch weighs as much as it has such
    targets: the mean of the micro-batches' own means is another number.  model(ids) gives logits [B, T, V]; its
    gradients are cleared first and are left in .grad.  Where no target counts loss and gradients are 0.
    Raises ValueError where there is no micro-batch.
    Source: the sum of equation 1 in Radford et al. 2018, section 3.1, taken in parts.
    """
    if not micro_batches:
        raise ValueError("there are no micro-batches")
    model.zero_grad()
    counts = [int((targets != ignore_index).sum()) for _, targets in micro_batches]
    total = sum(counts)
    losses = []
    for (ids, targets), count in zip(micro_batches, counts, strict=True):
        mean = lm_loss(model(ids), targets, ignore_index)
        weight = count / max(1, total)
        share = mean * weight
        share.backward()
        losses.append(share.detach())
    loss = torch.stack(losses).sum()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return loss, gradients
