"""Which parameters are decayed."""

from typing import Any

from torch import nn


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters of a model in two groups for an optimiser: matrices with weight decay, all others with none.

    Matrices are what multiplies: weights of projections, and embeddings. Gains and biases, with one axis, are not
    decayed. A tied parameter stands in one place, once; a frozen one (requires_grad False) in none.
    Raises ValueError for a negative decay.
    Source: Radford et al. 2018, section 4.1 ("all non bias or gain weights"); karpathy/nanoGPT model.py
    `configure_optimizers`.
    """
    if weight_decay < 0:
        raise ValueError(f"weight_decay must not be negative, but is {weight_decay}")
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for _, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_matrix = parameter.dim() >= 2
        group = matrices if is_matrix else vectors
        group.append(parameter)
    decayed = {"params": matrices, "weight_decay": weight_decay}
    plain = {"params": vectors, "weight_decay": 0.0}
    return [decayed, plain]
