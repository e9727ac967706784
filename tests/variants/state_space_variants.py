"""Right diagonal recurrences that differ in how they get there; none of them may fail a claim."""

import torch
from torch.nn import functional


def kernel_of(x, a, b, c):
    powers = a[..., None] ** torch.arange(x.shape[1], dtype=a.dtype)
    return torch.einsum("dn,dn,dnt->dt", b, c, powers)


def state_space_by_convolution(x, a, b, c):
    """A grouped convolution, its kernel turned round."""
    time = x.shape[1]
    weight = kernel_of(x, a, b, c).flip(-1).unsqueeze(1)
    return functional.conv1d(functional.pad(x.mT, (time - 1, 0)), weight, groups=x.shape[2]).mT


def state_space_by_matrix(x, a, b, c):
    """A lower triangle of kernel values for each channel."""
    time, kernel = x.shape[1], kernel_of(x, a, b, c)
    gap = torch.arange(time)[:, None] - torch.arange(time)
    matrix = kernel[:, gap.clamp(min=0)].masked_fill(gap < 0, 0.0)
    return torch.einsum("dts,bsd->btd", matrix, x)


def state_space_by_scan(x, a, b, c):
    """Steps joined two by two (Hillis and Steele)."""
    state, decay, gap = torch.einsum("btd,dn->btdn", x, b), a, 1
    while gap < x.shape[1]:
        state = torch.cat([state[:, :gap], state[:, gap:] + decay * state[:, :-gap]], 1)
        decay, gap = decay * decay, 2 * gap
    return torch.einsum("btdn,dn->btd", state, c)


def state_space_step_by_step(x, a, b, c):
    """The state as a row, c first, written into place."""
    h, y = x.new_zeros(x.shape[0], *a.shape), []
    for t in range(x.shape[1]):
        h = torch.addcmul(b * x[:, t, :, None], a, h)
        y.append(torch.matmul(h.unsqueeze(-2), c.unsqueeze(-1))[..., 0, 0])
    return torch.stack(y, dim=1)


def state_space_in_float32(x, a, b, c):
    return state_space_step_by_step(x.float(), a.float(), b.float(), c.float()).to(x.dtype)


_ALL = (
    state_space_by_convolution,
    state_space_by_matrix,
    state_space_by_scan,
    state_space_step_by_step,
    state_space_in_float32,
)

VARIANTS = {function.__name__.replace("_", " "): {"state_space": function} for function in _ALL}
