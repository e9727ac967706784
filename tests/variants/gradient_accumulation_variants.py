"""Right ways to accumulate gradients; none of them may fail a claim."""

import torch
from torch.nn import functional


def accumulate_sums(model, micro_batches):
    """The summed loss of each micro-batch, divided by the number of targets in all of them."""
    total = sum(int((y != -100).sum()) for _, y in micro_batches)
    loss = 0.0
    for x, y in micro_batches:
        part = functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum") / max(total, 1)
        part.backward()
        loss += part.item()
    return loss


def accumulate_one_big_batch(model, micro_batches):
    """Padded to the longest and concatenated: causal, so that padding behind changes nothing. No loss comes back."""
    longest = max(x.shape[1] for x, _ in micro_batches)
    pad = lambda t, value: functional.pad(t, (0, longest - t.shape[1]), value=value)  # noqa: E731
    x = torch.cat([pad(x, 0) for x, _ in micro_batches])
    y = torch.cat([pad(y, -100) for _, y in micro_batches])
    _, loss = model(x, y)
    loss.backward()


def accumulate_and_divide_afterwards(model, micro_batches):
    """Gradients of sums, divided at the end, as Hugging Face's and torchtune's mended loops do; the loss in a
    dictionary."""
    total, nll = 0, 0.0
    for x, y in micro_batches:
        count = int((y != -100).sum())
        if not count:
            continue
        loss = model(x, y)[1] * count
        loss.backward()
        total, nll = total + count, nll + loss.detach()
    for p in model.parameters():
        if p.grad is not None:
            p.grad /= total
    return {"loss": nll / total}


def accumulate_in_float32(model, micro_batches):
    """The loss in float32 whatever the model computes in, and autograd.grad in place of .grad; (loss, norm) comes
    back."""
    total = sum(int((y != -100).sum()) for _, y in micro_batches)
    params = list(model.parameters())
    sums, loss = [torch.zeros_like(p) for p in params], 0.0
    for x, y in micro_batches:
        part = functional.cross_entropy(model(x).float().flatten(0, 1), y.flatten(), reduction="sum") / total
        for held, g in zip(sums, torch.autograd.grad(part, params), strict=True):
            held += g
        loss += float(part)
    for p, g in zip(params, sums, strict=True):
        p.grad = g
    return loss, torch.linalg.vector_norm(torch.stack([g.norm() for g in sums]))


def accumulate_and_step(model, micro_batches):
    """With an optimiser that has a rate of 1; gradients are cleared afterwards."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    loss = accumulate_sums(model, micro_batches)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return torch.tensor([loss])


_ALL = (
    accumulate_sums,
    accumulate_one_big_batch,
    accumulate_and_divide_afterwards,
    accumulate_in_float32,
    accumulate_and_step,
)
VARIANTS = {f.__name__.replace("_", " "): {"gradient_accumulation": f} for f in _ALL}
