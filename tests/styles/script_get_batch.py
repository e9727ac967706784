"""A script's get_batch(split) and estimate_loss beside parts of its own: the closure reads data that the file holds."""

import torch
from torch.nn import functional as F

tokens = {"train": torch.arange(900) % 17, "val": torch.arange(100) % 17}
block_size, batch_size, eval_iters = 8, 4, 20


def softmax(x, dim=-1):
    shifted = x - x.max(dim, keepdim=True).values
    exponentials = shifted.exp()
    return exponentials / exponentials.sum(dim, keepdim=True)


def get_batch(split):
    source = tokens[split]
    starts = torch.randint(len(source) - block_size, (batch_size,))
    x = torch.stack([source[i : i + block_size] for i in starts])
    return x, torch.stack([source[i + 1 : i + block_size + 1] for i in starts])


@torch.no_grad()
def estimate_loss(model):
    model.eval()
    losses = {split: torch.stack([lm_loss(model(x), y) for x, y in [get_batch(split)]]).mean() for split in tokens}
    model.train()
    return losses


def lm_loss(logits, targets):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-100)
