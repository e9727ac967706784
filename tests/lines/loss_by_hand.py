"""The loss as it is written out by hand."""

import torch


def lm_loss(logits, targets):
    logits = logits.float() if logits.dtype == torch.float16 else logits
    targets = targets.long()
    logp = torch.log_softmax(logits, dim=-1)
    picked = logp.gather(-1, targets[..., None])
    total = -picked.sum()
    return total / targets.numel()
