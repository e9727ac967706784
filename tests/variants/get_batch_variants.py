"""Batches drawn in every way in use: other generators, views, loops, with and without putting back."""

import random

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view


def batch_as_nano(tokens, batch, time, generator=None):
    ix = torch.randint(len(tokens) - time, (batch,), generator=generator)
    x = torch.stack([tokens[i : i + time].to(torch.int64) for i in ix])
    y = torch.stack([tokens[i + 1 : i + 1 + time].to(torch.int64) for i in ix])
    return x, y


def batch_of_global_draws(tokens, batch, time):
    """From torch's global generator; takes none."""
    starts = torch.randint(0, len(tokens) - time, (batch,)).tolist()
    rows = torch.stack([tokens[s : s + time + 1] for s in starts]).long()
    return rows[:, :-1], rows[:, 1:]


def batch_by_numpy(tokens, batch, time):
    """As on a memmap: NumPy's global generator, and int64 at the end."""
    data = tokens.numpy()
    starts = np.random.randint(0, len(data) - time, size=batch)
    x = np.stack([data[s : s + time] for s in starts]).astype(np.int64)
    y = np.stack([data[s + 1 : s + 1 + time] for s in starts]).astype(np.int64)
    return torch.from_numpy(x), torch.from_numpy(y)


def batch_by_python(tokens, batch, time):
    last = len(tokens) - time - 1
    starts = [random.randint(0, last) for _ in range(batch)]
    x = [[int(tokens[s + t]) for t in range(time)] for s in starts]
    y = [[int(tokens[s + t + 1]) for t in range(time)] for s in starts]
    return torch.tensor(x), torch.tensor(y)


def batch_without_putting_back(tokens, batch, time, generator=None):
    """All rows of a batch begin at different places."""
    if len(tokens) <= time:
        raise ValueError("too little data")
    starts = torch.randperm(len(tokens) - time, generator=generator)[:batch]
    windows = tokens.unfold(0, time + 1, 1)[starts].to(torch.long)
    return windows[:, :time], windows[:, 1:]


def batch_by_fractions(tokens, batch, time, generator=None):
    """The fraction of the way, rounded down, in float64."""
    legal = tokens.shape[0] - time
    assert legal > 0
    starts = (torch.rand(batch, generator=generator, dtype=torch.float64) * legal).floor().long()
    index = torch.add(starts.unsqueeze(1), torch.arange(time + 1))
    rows = torch.take(tokens, index).long()
    return rows.narrow(1, 0, time), rows.narrow(1, 1, time)


def batch_by_weights(tokens, batch, time, generator=None):
    """A sampler over all starts, each of weight one; a list comes back."""
    starts = torch.multinomial(torch.ones(len(tokens) - time), batch, replacement=True, generator=generator)
    view = torch.as_strided(tokens.contiguous(), (len(tokens) - time, time + 1), (1, 1))
    return [view[starts, :-1].long(), view[starts, 1:].long()]


def batch_through_numpy_seeded_by_torch(tokens, batch, time, generator=None):
    """A NumPy generator whose seed torch draws."""
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    windows = sliding_window_view(tokens.numpy(), time + 1)
    rows = torch.from_numpy(windows[rng.integers(len(windows), size=batch)].astype(np.int64))
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


_ALL = (
    batch_as_nano,
    batch_of_global_draws,
    batch_by_numpy,
    batch_by_python,
    batch_without_putting_back,
    batch_by_fractions,
    batch_by_weights,
    batch_through_numpy_seeded_by_torch,
)

VARIANTS = {function.__name__.replace("_", " "): {"get_batch": function} for function in _ALL}
