"""Right implementations of lm_loss that differ in how they get there; none of them may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


def loss_of_torch(logits, targets, ignore_index=-100):
    return functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=ignore_index)


def loss_of_torch_reshaped(logits, targets, ignore_index=-100):
    """reshape for view: tensors need not lie in memory in order."""
    return functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=ignore_index
    )


def loss_of_torch_with_the_classes_second(logits, targets, ignore_index=-100):
    return functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=ignore_index)


def loss_module(logits, targets, ignore_index):
    return nn.CrossEntropyLoss(ignore_index=ignore_index)(logits.flatten(0, 1), targets.flatten())


def loss_by_nll(logits, targets, ignore_index):
    chances = functional.log_softmax(logits, -1)
    return functional.nll_loss(chances.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


def loss_without_ignore_index(logits, targets):
    """A course's cross entropy: nothing is ever ignored; it is judged without such cases."""
    shifted = logits - logits.max(dim=-1, keepdim=True).values
    chosen = torch.gather(shifted, -1, targets.unsqueeze(-1)).squeeze(-1)
    return (shifted.exp().sum(-1).log() - chosen).mean()


def loss_by_logsumexp(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    ids = torch.where(counted, targets, torch.zeros_like(targets))
    surprise = torch.logsumexp(logits, dim=-1) - logits.gather(-1, ids[..., None])[..., 0]
    return (surprise * counted).sum() / counted.sum()


def loss_of_what_counts_alone(logits, targets, ignore_index=-100):
    """The ignored positions are taken out first."""
    counted = targets != ignore_index
    logits, targets = logits[counted], targets[counted]
    return -functional.log_softmax(logits, -1)[torch.arange(len(targets)), targets].mean()


def loss_by_one_hot(logits, targets, ignore_index=-100):
    counted = (targets != ignore_index).to(logits.dtype)
    one_hot = functional.one_hot(targets.masked_fill(targets == ignore_index, 0), logits.shape[-1]).to(logits.dtype)
    surprise = -(one_hot * functional.log_softmax(logits, -1)).sum(-1)
    return torch.sum(surprise * counted) / counted.sum().clamp(min=1.0)


def loss_by_einsum(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    one_hot = functional.one_hot(targets.masked_fill(~counted, 0), logits.shape[-1])
    weights = one_hot * counted[..., None] / counted.sum().to(logits.dtype)
    return -torch.einsum("btv,btv->", logits - logits.logsumexp(-1, keepdim=True), weights)


def loss_row_by_row(logits, targets, ignore_index=-100):
    """Sums of rows over one count."""
    total, count = logits.new_zeros(()), 0
    for row, ids in zip(logits, targets, strict=True):
        total = total + functional.cross_entropy(row, ids, ignore_index=ignore_index, reduction="sum")
        count += int((ids != ignore_index).sum())
    return total / max(count, 1)


def loss_weighted_by_positions(logits, targets, ignore_index=-100):
    """One loss per position first, then their mean."""
    each = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="none"
    )
    return each.sum() / (targets != ignore_index).sum()


def loss_by_shares(logits, targets, ignore_index=-100):
    """Each position's share of the mean first: a quotient of whole numbers, which is float32 whatever it multiplies."""
    each = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=ignore_index, reduction="none")
    counted = (targets != ignore_index).long()
    return (each * (counted / counted.sum())).sum()


def loss_upcast(logits, targets, ignore_index=-100):
    """In float32 whatever comes in, and float32 comes out."""
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


def loss_upcast_and_back(logits, targets, ignore_index=-100):
    return loss_upcast(logits, targets, ignore_index).to(logits.dtype)


def loss_of_float32_only(logits, targets, ignore_index=-100):
    if logits.dtype != torch.float32:
        raise TypeError(f"expected float32, got {logits.dtype}")
    return loss_by_logsumexp(logits, targets, ignore_index)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, targets, ignore_index):
        counted = targets != ignore_index
        ids = targets.masked_fill(~counted, 0).unsqueeze(-1)
        log_chances = functional.log_softmax(logits, -1)
        ctx.save_for_backward(log_chances, ids, counted)
        return -(log_chances.gather(-1, ids).squeeze(-1) * counted).sum() / counted.sum().clamp(min=1)

    @staticmethod
    def backward(ctx, gradient):
        log_chances, ids, counted = ctx.saved_tensors
        slope = log_chances.exp()
        slope = slope.scatter_add(-1, ids, torch.full_like(ids, -1.0, dtype=slope.dtype))
        return gradient * slope * counted.unsqueeze(-1) / counted.sum().clamp(min=1), None, None


def loss_with_its_own_backward(logits, targets, ignore_index=-100):
    return _Loss.apply(logits, targets, ignore_index)


def loss_of_torch_with_smoothing(logits, targets, ignore_index=-100, label_smoothing=0.0):
    return functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, label_smoothing=label_smoothing
    )


def loss_with_z_loss(logits, targets, ignore_index=-100, smoothing=0.0, z_loss_weight=0.0):
    """Everything on what counts alone; the smoothed target written out."""
    counted = targets != ignore_index
    logits, targets = logits[counted], targets[counted]
    log_z = torch.logsumexp(logits, -1)
    goal = torch.full_like(logits, smoothing / logits.shape[-1])
    goal.scatter_add_(-1, targets[:, None], torch.full_like(logits[:, :1], 1 - smoothing))
    return (log_z - (goal * logits).sum(-1)).mean() + z_loss_weight * (log_z**2).mean()


_ALL = (
    loss_of_torch_with_smoothing,
    loss_with_z_loss,
    loss_of_torch,
    loss_of_torch_reshaped,
    loss_of_torch_with_the_classes_second,
    loss_module,
    loss_by_nll,
    loss_without_ignore_index,
    loss_by_logsumexp,
    loss_of_what_counts_alone,
    loss_by_one_hot,
    loss_by_einsum,
    loss_row_by_row,
    loss_weighted_by_positions,
    loss_by_shares,
    loss_upcast,
    loss_upcast_and_back,
    loss_of_float32_only,
    loss_with_its_own_backward,
)

VARIANTS = {function.__name__.replace("_", " "): {"lm_loss": function} for function in _ALL}
