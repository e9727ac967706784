"""reference_model/parameter_groups.py on torch's own modules."""

import pytest
import torch
from torch import nn

from reference_model import parameter_groups


def names_of(model, group):
    names = {id(p): name for name, p in model.named_parameters()}
    return [names[id(p)] for p in group["params"]]


def test_matrices_decay_and_vectors_do_not():
    """A layer of torch's: its two norms and all biases are spared."""
    model = nn.TransformerEncoderLayer(8, 2, 16)
    decayed, plain = parameter_groups(model, 0.1)
    assert names_of(model, decayed) == [
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
    ]
    assert {"norm1.weight", "norm2.bias", "linear1.bias"} <= set(names_of(model, plain))
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))


def test_tied_once_and_frozen_never():
    """An optimiser of torch's takes the groups, which it does not where a parameter stands in two."""
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5), nn.Linear(5, 2))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    groups = parameter_groups(model, 0.1)
    torch.optim.AdamW(groups)
    assert [names_of(model, group) for group in groups] == [["0.weight"], ["1.bias", "2.bias"]]


def test_refuses_a_negative_decay():
    with pytest.raises(ValueError, match=r"-0\.1"):
        parameter_groups(nn.Linear(2, 2), -0.1)
