"""Right implementations of clipping by the global norm that differ in how they get there; none of them may fail a
claim."""

import math

import torch


def clip_by_torch(grads, max_norm):
    """torch's own, on parameters made for it."""
    made = [torch.nn.Parameter(torch.zeros(()) if g is None else torch.zeros_like(g)) for g in grads]
    for parameter, grad in zip(made, grads, strict=True):
        parameter.grad = None if grad is None else grad.clone()
    norm = torch.nn.utils.clip_grad_norm_(made, max_norm)
    return [parameter.grad for parameter in made], norm


def clip_only_where_longer(grads, max_norm):
    """Pascanu et al. as it stands: nothing added to the norm, and nothing done below the limit."""
    norm = torch.sqrt(sum((g**2).sum() for g in grads if g is not None) + torch.zeros(()))
    if norm <= max_norm:
        return list(grads), norm
    return [None if g is None else g * (max_norm / norm) for g in grads], norm


def clip_one_long_vector(grads, max_norm):
    flat = [g.reshape(-1) for g in grads if g is not None]
    norm = torch.cat(flat).norm() if flat else torch.tensor(0.0)
    share = min(1.0, max_norm / (float(norm) + 1e-6))
    return [g if g is None else share * g for g in grads], norm


def clip_norm_of_norms(grads, max_norm):
    norms = [torch.linalg.vector_norm(g) for g in grads if g is not None]
    norm = torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())
    share = torch.minimum(torch.ones_like(norm), max_norm / (norm + 1e-6))
    return tuple(None if g is None else g * share for g in grads), norm


def clip_with_python_numbers(grads, max_norm):
    """The square of each norm as a Python number, as many course repositories add them up."""
    total = 0.0
    for g in grads:
        if g is not None:
            total += g.norm(2).item() ** 2
    total = math.sqrt(total)
    share = max_norm / (total + 1e-6) if total > max_norm else 1.0
    return [None if g is None else g.clone().mul_(share) for g in grads], torch.tensor(total)


def clip_as_optax(grads, max_norm):
    """(g / norm) max_norm, where the norm is not below the limit; a smaller number added."""
    norm = torch.stack([g.square().sum() for g in grads if g is not None] or [torch.zeros(())]).sum().sqrt()
    clip = lambda g: torch.where(norm < max_norm, g, g / (norm + 1e-8) * max_norm)  # noqa: E731
    return [None if g is None else clip(g) for g in grads], norm


def clip_foreach(grads, max_norm):
    present = [g for g in grads if g is not None]
    if not present:
        return list(grads), torch.tensor(0.0)
    norm = torch.stack(torch._foreach_norm(present)).norm()
    share = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    scaled = iter(torch._foreach_mul(present, share))
    return [None if g is None else next(scaled) for g in grads], norm


def clip_refusing_what_is_not_finite(grads, max_norm):
    clipped, norm = clip_norm_of_norms(grads, max_norm)
    if not torch.isfinite(norm):
        raise RuntimeError("the total norm is not finite")
    return clipped, norm


def clip_of_float32(grads, max_norm):
    """The norm in float32 whatever comes in."""
    norm = torch.sqrt(sum(((g.float() ** 2).sum() for g in grads if g is not None), torch.zeros(())))
    share = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    return [None if g is None else (g.float() * share) for g in grads], norm


_ALL = (
    clip_by_torch,
    clip_only_where_longer,
    clip_one_long_vector,
    clip_norm_of_norms,
    clip_with_python_numbers,
    clip_as_optax,
    clip_foreach,
    clip_refusing_what_is_not_finite,
    clip_of_float32,
)

VARIANTS = {function.__name__.replace("_", " "): {"clip_grad_norm": function} for function in _ALL}
