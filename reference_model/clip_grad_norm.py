"""Gradients of bounded length."""

from collections.abc import Iterable

import torch
from torch import Tensor


def clip_grad_norm(grads: Iterable[Tensor | None], max_norm: float) -> tuple[list[Tensor | None], Tensor]:
    """All gradients times min(1, max_norm / (norm + 1e-6)), and the norm before.  -> (clipped gradients, norm [])

    The norm is one for all: the root of the sum of the squares of every number in every tensor, as if they were one
    long vector, whose direction is kept.  None stands for a parameter without a gradient: it counts for nothing and
    stays None. grads may be a generator: it is walked once.  Nothing is changed in place.  max_norm = inf measures
    only; no gradients at all have norm 0; a nan or inf among them shows in the norm.
    Source: Pascanu et al. 2013, section 3.2, algorithm 1; the 1e-6: torch.nn.utils.clip_grad_norm_.
    """
    grads = list(grads)
    present = [grad for grad in grads if grad is not None]
    squares = [grad.pow(2).sum() for grad in present]
    total = torch.stack(squares).sum() if squares else torch.zeros(())
    norm = torch.sqrt(total)
    scale = max_norm / (norm + 1e-6)
    share = scale.clamp(max=1.0)
    clipped = [None if grad is None else grad * share for grad in grads]
    return clipped, norm
