"""reference_model/lora.py against PEFT."""

import copy
import math

import pytest
import torch

from reference_model import lora, rslora

KINDS = {"lora": lora, "rslora": rslora}


def draw(kind="lora", rank=4, alpha=6.0, dropout=0.0, with_bias=True):
    """An adapter whose a and b are not at their start, and an input."""
    source = torch.Generator().manual_seed(14)
    weight = torch.randn(7, 5, dtype=torch.float64, generator=source)
    bias = torch.randn(7, dtype=torch.float64, generator=source) if with_bias else None
    layer = KINDS[kind](weight, bias, rank, alpha, dropout)
    layer.load(
        torch.randn(rank, 5, dtype=torch.float64, generator=source),
        torch.randn(7, rank, dtype=torch.float64, generator=source),
    )
    return layer, torch.randn(2, 3, 5, dtype=torch.float64, generator=source)


def their_layer(layer, kind):
    """PEFT's layer with the same numbers."""
    peft = pytest.importorskip("peft")
    base = torch.nn.Sequential()
    base.add_module("proj", torch.nn.Linear(5, 7, bias=layer.bias is not None, dtype=torch.float64))
    with torch.no_grad():
        base.proj.weight.copy_(layer.weight)
        if layer.bias is not None:
            base.proj.bias.copy_(layer.bias)
    config = peft.LoraConfig(
        r=layer.rank, lora_alpha=layer.alpha, target_modules=["proj"], use_rslora=kind == "rslora", lora_dropout=0.0
    )
    theirs = peft.get_peft_model(base, config, autocast_adapter_dtype=False).base_model.model.proj
    theirs = theirs.double()
    with torch.no_grad():
        theirs.lora_A["default"].weight.copy_(layer.a)
        theirs.lora_B["default"].weight.copy_(layer.b)
    return theirs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [1, 2, 9])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_peft(kind, rank, with_bias):
    """The same output, the same gradients, the same merged weight."""
    layer, x = draw(kind, rank, with_bias=with_bias)
    theirs = their_layer(layer, kind)
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = layer.forward(ours_x), theirs(theirs_x)
    (out**2).sum().backward()
    (expected**2).sum().backward()
    assert torch.allclose(out, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(ours_x.grad, theirs_x.grad, rtol=1e-11, atol=1e-11)
    assert torch.allclose(layer.a.grad, theirs.lora_A["default"].weight.grad, rtol=1e-11, atol=1e-11)
    assert torch.allclose(layer.b.grad, theirs.lora_B["default"].weight.grad, rtol=1e-11, atol=1e-11)
    theirs.merge()
    layer.merge()
    assert torch.allclose(layer.effective_weight(), theirs.weight, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "scale"), [("lora", 6.0 / 16), ("rslora", 6.0 / 4)])
def test_scale(kind, scale):
    """alpha / R, or alpha / sqrt(R), at alpha 6 and rank 16."""
    layer, _ = draw(kind, rank=16)
    assert layer.scale() == scale


@pytest.mark.parametrize("kind", KINDS)
def test_changes_nothing_at_the_start(kind):
    """b is zero, a is uniform within 1/sqrt(in), and the base shows through exactly."""
    weight, bias = torch.randn(8, 64), torch.randn(8)
    layer = KINDS[kind](weight, bias, 50, 3.0)
    x = torch.randn(4, 64)
    assert torch.allclose(layer.forward(x), torch.nn.functional.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
    assert layer.b.abs().max() == 0
    assert 0.9 / math.sqrt(64) < layer.a.abs().max() <= 1 / math.sqrt(64)
    assert not torch.equal(layer.a, KINDS[kind](weight, bias, 50, 3.0).a)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_equals_unmerged_and_unmerge_restores(kind):
    """Merging changes where the update lives, not what comes out, and can be taken back; twice is once."""
    layer, x = draw(kind)
    weight = layer.weight.clone()
    out = layer.forward(x)
    effective = layer.effective_weight()
    layer.merge()
    layer.merge()
    assert torch.allclose(layer.forward(x), out, rtol=1e-12, atol=1e-12)
    assert torch.equal(layer.effective_weight(), effective)
    layer.unmerge()
    layer.unmerge()
    assert torch.allclose(layer.weight, weight, rtol=0, atol=1e-14)
    assert torch.allclose(layer.forward(x), out, rtol=1e-12, atol=1e-12)


def test_unmerge_takes_off_what_merge_added():
    """Even when a was changed in between."""
    layer, _ = draw()
    weight = layer.weight.clone()
    layer.merge()
    with torch.no_grad():
        layer.a.mul_(5)
    layer.unmerge()
    assert torch.allclose(layer.weight, weight, rtol=0, atol=1e-14)


def test_base_is_a_frozen_copy():
    """Gradients reach a and b and never the weight or bias given, and those are not shared."""
    weight, bias = torch.randn(7, 5, requires_grad=True), torch.randn(7, requires_grad=True)
    layer = lora(weight, bias, 2, 3.0)
    layer.forward(torch.randn(4, 5)).sum().backward()
    assert weight.grad is None
    assert bias.grad is None
    assert not layer.weight.requires_grad
    before = layer.weight.clone()
    with torch.no_grad():
        weight.zero_()
    assert torch.equal(layer.weight, before)


def test_parameters_are_the_live_tensors():
    """An update in place is seen by the next forward, and load keeps the same tensors."""
    layer, x = draw()
    parameters = layer.parameters()
    assert list(parameters) == ["a", "b"]
    assert all(value.requires_grad and value.is_leaf for value in parameters.values())
    with torch.no_grad():
        parameters["b"].zero_()
    assert torch.equal(layer.forward(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
    layer.load(torch.ones(4, 5), torch.ones(7, 4))
    assert parameters["b"].detach().eq(1).all()


def test_dropout_only_in_training_and_only_before_the_adapter():
    """In eval nothing is dropped; in training the base still sees all of x."""
    layer, x = draw(dropout=0.5)
    calm = layer.forward(x)
    assert torch.equal(calm, layer.forward(x))
    layer.train()
    torch.manual_seed(0)
    noisy = layer.forward(x)
    torch.manual_seed(0)
    dropped = torch.nn.functional.dropout(x, 0.5, True)
    update = layer.scale() * (dropped @ layer.a.T @ layer.b.T)
    expected = torch.nn.functional.linear(x, layer.weight, layer.bias) + update
    assert torch.allclose(noisy, expected, rtol=1e-12, atol=1e-12)
    layer.eval()
    assert torch.equal(calm, layer.forward(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keeps_the_dtype(dtype):
    """Everything is made in the weight's dtype."""
    layer = lora(torch.ones(7, 5, dtype=dtype), torch.ones(7, dtype=dtype), 2, 3.0)
    assert layer.a.dtype == layer.b.dtype == layer.forward(torch.ones(4, 5, dtype=dtype)).dtype == dtype
    layer.merge()
    assert layer.effective_weight().dtype == dtype


def test_refuses_what_it_cannot_be():
    """Ranks, dropouts and shapes are named."""
    weight = torch.ones(7, 5)
    with pytest.raises(ValueError, match="rank must be at least 1, not 0"):
        lora(weight, None, 0, 1.0)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), not 1.0"):
        lora(weight, None, 1, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"weight must be \[out, in\], not \[7\]"):
        lora(weight[:, 0], None, 1, 1.0)
    layer = lora(weight, None, 2, 1.0)
    with pytest.raises(ValueError, match=r"a must be \[2, 5\], not \[5, 2\]"):
        layer.load(torch.ones(5, 2), torch.ones(7, 2))
    with pytest.raises(ValueError, match=r"b must be \[7, 2\], not \[2, 7\]"):
        layer.load(torch.ones(2, 5), torch.ones(2, 7))
    layer.merge()
    with pytest.raises(RuntimeError, match="unmerge"):
        layer.load(torch.ones(2, 5), torch.ones(7, 2))


def test_survives_deepcopy():
    """A copy has its own a and b."""
    layer, x = draw()
    other = copy.deepcopy(layer)
    with torch.no_grad():
        layer.a.zero_()
    assert not torch.equal(layer.forward(x), other.forward(x))
