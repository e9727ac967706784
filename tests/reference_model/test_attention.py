"""reference_model/attention.py against torch.nn.functional.scaled_dot_product_attention."""

import pytest
import torch

from reference_model import attention


def draw(batch=2, time=7, width=12, scale=1.0, dtype=torch.float64):
    """x and the four weights, with biases that are not 0."""
    source = torch.Generator().manual_seed(5)
    shapes = [(batch, time, width), (3 * width, width), (3 * width,), (width, width), (width,)]
    return [(scale * torch.randn(shape, dtype=torch.float64, generator=source)).to(dtype) for shape in shapes]


def fused(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """The same by torch's own kernels."""
    qkv = torch.nn.functional.linear(x, qkv_weight, qkv_bias)
    heads = [part.unflatten(-1, (n_heads, -1)).transpose(1, 2) for part in qkv.chunk(3, -1)]
    mixed = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
    return torch.nn.functional.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)


@pytest.mark.parametrize("n_heads", [1, 2, 3, 12])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_equals_torch(n_heads, scale):
    """Values and every gradient are those of torch's fused attention."""
    arguments = draw(scale=scale)
    ours = [argument.clone().requires_grad_() for argument in arguments]
    theirs = [argument.clone().requires_grad_() for argument in arguments]
    out, expected = attention(*ours, n_heads), fused(*theirs, n_heads)
    cotangent = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-12 * expected.abs().max()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-10 * other.grad.abs().max()


def test_equals_torch_multihead_attention():
    """The packed weight is laid out as torch.nn.MultiheadAttention's."""
    x, qkv_weight, qkv_bias, out_weight, out_bias = draw()
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(qkv_weight)
        theirs.in_proj_bias.copy_(qkv_bias)
        theirs.out_proj.weight.copy_(out_weight)
        theirs.out_proj.bias.copy_(out_bias)
    future = torch.ones(7, 7, dtype=torch.bool).triu(1)
    expected, _ = theirs(x, x, x, attn_mask=future, need_weights=False)
    out = attention(x, qkv_weight, qkv_bias, out_weight, out_bias, 3)
    assert (out - expected).abs().max() <= 1e-11 * expected.abs().max()


@pytest.mark.parametrize("changed", [1, 3, 6])
def test_is_causal(changed):
    """What stands at t changes nothing before t, to the last bit, with scores in the hundreds too."""
    arguments = draw(scale=2.0)
    out = attention(*arguments, 3)
    arguments[0] = arguments[0].clone()
    arguments[0][:, changed] += 100
    again = attention(*arguments, 3)
    assert torch.equal(out[:, :changed], again[:, :changed])
    assert not torch.equal(out[:, changed:], again[:, changed:])


def test_biases_may_be_left_out():
    """None stands for a bias of zeros, on either side."""
    x, qkv_weight, _, out_weight, _ = draw()
    out = attention(x, qkv_weight, None, out_weight, None, 3)
    expected = fused(x, qkv_weight, None, out_weight, None, 3)
    assert (out - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("n_heads", [5, 0, 24])
def test_names_a_head_count_that_does_not_divide(n_heads):
    """The message gives both numbers."""
    with pytest.raises(ValueError, match=f"width 12 is not divisible by {n_heads} heads"):
        attention(*draw(), n_heads)


def test_leaves_its_arguments_alone_and_takes_them_transposed():
    """Non-contiguous arguments give the same numbers, and nothing is written to."""
    arguments = draw()
    strided = [argument.transpose(0, -1).contiguous().transpose(0, -1) for argument in arguments]
    copies = [argument.clone() for argument in strided]
    out = attention(*strided, 2)
    expected = attention(*arguments, 2)
    assert (out - expected).abs().max() <= 1e-13 * expected.abs().max()
    assert all(torch.equal(argument, copy) for argument, copy in zip(strided, copies, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keeps_the_dtype(dtype):
    """Lower precision stays what it is and near the float64 result for the same numbers."""
    arguments = draw(scale=0.5, dtype=dtype)
    out = attention(*arguments, 3)
    expected = attention(*[argument.double() for argument in arguments], 3)
    assert out.dtype == dtype
    assert (out.double() - expected).abs().max() <= 16 * torch.finfo(dtype).eps * expected.abs().max()
