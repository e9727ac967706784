"""Right ways to divide parameters into groups, as published code does it; none of them may fail a claim."""

import torch
from torch import nn


def two_generators(model, weight_decay):
    """Filters over one dictionary, as in nanoGPT; generators in place of lists."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return [
        {"params": (p for p in trained.values() if p.dim() > 1), "weight_decay": weight_decay},
        {"params": (p for p in trained.values() if p.dim() < 2), "weight_decay": 0.0},
    ]


def an_optimiser(model, weight_decay):
    """What configure_optimizers returns."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": vectors, "weight_decay": 0.0}, {"params": matrices}]
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=weight_decay)


def by_words_in_names(model, weight_decay):
    """As transformers' training scripts do."""
    spared = ("bias", "LayerNorm.weight")
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in named if not any(word in n for word in spared)], "weight_decay": weight_decay},
        {"params": [p for n, p in named if any(word in n for word in spared)], "weight_decay": 0.0},
    ]


def by_kinds_of_modules(model, weight_decay):
    """A walk over modules, tied weights met twice and taken once; one group for each parameter."""
    groups, seen = [], set()
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if id(p) in seen or not p.requires_grad:
                continue
            seen.add(id(p))
            decays = name == "weight" and isinstance(module, (nn.Linear, nn.Embedding))
            groups.append({"params": p, "weight_decay": weight_decay if decays else 0.0})
    return tuple(groups)


def with_names_and_rates(model, weight_decay):
    """Named parameters, as torch takes them since 2.6, and a learning rate beside."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [(n, p) for n, p in named if p.squeeze().dim() > 1], "weight_decay": weight_decay, "lr": 1e-3},
        {"params": [(n, p) for n, p in named if p.squeeze().dim() <= 1], "weight_decay": 0, "lr": 1e-3},
    ]


_ALL = (two_generators, an_optimiser, by_words_in_names, by_kinds_of_modules, with_names_and_rates)
VARIANTS = {f.__name__.replace("_", " "): {"parameter_groups": f} for f in _ALL}
