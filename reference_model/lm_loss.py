"""The loss of a language model."""

import torch
from torch import Tensor


def lm_loss(
    logits: Tensor, targets: Tensor, ignore_index: int = -100, label_smoothing: float = 0.0, z_loss: float = 0.0
) -> Tensor:
    """The mean over the positions that count of log(sum_v exp(logits_v)) - logits_target.  -> scalar

    logits [B, T, V]; targets int64 [B, T]: the id that comes next at each position (the shift by one has been made
    where the batch was cut out of the text).  A target equal to ignore_index counts neither in the sum nor in the
    number of positions; where all are ignored the loss is 0 (torch.nn.functional.cross_entropy gives nan).
    label_smoothing s: (1 - s) of the target's -log p and s of the mean -log p of all V ids.  z_loss z: plus z times the
    square of log(sum_v exp(logits_v)).  Both at the positions that count alone.
    Computed from logits - max(logits), so that logits of 1e4 neither overflow nor lose the answer.
    Raises RuntimeError (from torch) when another target is not in 0..V-1.
    Source: Radford et al. 2018, section 3.1, equation 1; openai/gpt-2 has no loss: torch.nn.functional.cross_entropy;
    Szegedy et al. 2016, section 7 (label smoothing); Chowdhery et al. 2022, section 5 (z-loss).
    """
    counted = targets != ignore_index  # [B, T]
    ids = targets.masked_fill(~counted, 0)
    highest = logits.amax(-1, keepdim=True).detach()
    shifted = logits - highest
    exponential = torch.exp(shifted)
    log_total = torch.log(exponential.sum(-1))  # [B, T]
    chosen = shifted.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    surprise = log_total - chosen
    if label_smoothing:
        evenly = log_total - shifted.mean(-1)  # the mean of -log p over all ids
        surprise = (1.0 - label_smoothing) * surprise + label_smoothing * evenly
    if z_loss:
        normaliser = log_total + highest.squeeze(-1)  # log-sum-exp of the logits
        surprise = surprise + z_loss * normaliser**2
    kept = surprise.masked_fill(~counted, 0.0)
    count = counted.sum()
    return kept.sum() / count.clamp(min=1)
