"""reference_model/quantization.py against bitsandbytes and the closed-form bounds."""

import pytest
import torch

from reference_model import quantize_int8

SHARED = {
    "tensor": {},
    "rows": {"axis": -1},
    "columns": {"axis": 0},
    "blocks of 7": {"block": 7},
    "blocks of 64": {"block": 64},
    "one block": {"block": 1000},
}
FAMILIES = {
    "normal": lambda x: x,
    "offset": lambda x: x + 100,
    "negative": lambda x: -x.abs() - 0.1,
    "tiny": lambda x: x * 1e-20,
    "huge": lambda x: x * 1e20,
    "outlier": lambda x: torch.where(x == x.max(), 1e4, x),
    "integers": lambda x: (3 * x).round(),
}


def draw(family="normal", shape=(6, 21), dtype=torch.float64):
    """Numbers of a family; the shape is no multiple of any block above."""
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(15))
    return FAMILIES[family](x).to(dtype)


def group(x, axis=None, block=None):
    """What shares a scale with each element, as rows: [groups, members], filled with zeros."""
    if block is not None:
        missing = -x.numel() % block
        return torch.cat([x.reshape(-1), x.new_zeros(missing)]).reshape(-1, block)
    return x.reshape(1, -1) if axis is None else x.movedim(axis, -1).reshape(-1, x.shape[axis])


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_error_is_within_the_bound(shared, family, dtype):
    """Every element comes back within absmax/254 or (max - min)/510 of its own group."""
    x = draw(family, dtype=dtype)
    device = quantize_int8()
    for symmetric in (True, False):
        q, scale, zero = device.quantize(x, **SHARED[shared], symmetric=symmetric)
        back = device.dequantize(q, scale, zero, block=SHARED[shared].get("block"))
        assert q.dtype == torch.int8
        assert q.shape == back.shape == x.shape
        assert back.dtype == scale.dtype == dtype
        rows = group(x, **SHARED[shared])
        if symmetric:
            bound = rows.abs().amax(1) / 254
            assert q.min() >= -127
            assert zero.abs().max() == 0
        else:
            bound = (rows.amax(1).clamp(min=0) - rows.amin(1).clamp(max=0)) / 510
            assert -128 <= zero.min() <= zero.max() <= 127
        error = group((back - x).abs(), **SHARED[shared]).amax(1)
        rounding = 300 * torch.finfo(dtype).eps
        assert (error <= bound * (1 + rounding)).all()


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, ()), ({"axis": 0}, (1, 21)), ({"axis": 1}, (6, 1)), ({"block": 7}, (18, 1)), ({"block": 100}, (2, 1))],
)
def test_shape_of_the_scales(options, shape):
    """One scale per tensor, slice or block; the last block may be shorter."""
    for symmetric in (True, False):
        _, scale, zero = quantize_int8().quantize(draw(), symmetric=symmetric, **options)
        assert scale.shape == zero.shape == shape


def test_zero_is_exact():
    """0.0 comes back as 0.0, in both modes, whatever else is there."""
    x = draw("offset")
    x[2, 3] = 0.0
    for options in SHARED.values():
        for symmetric in (True, False):
            q, scale, zero = quantize_int8().quantize(x, **options, symmetric=symmetric)
            assert quantize_int8().dequantize(q, scale, zero, block=options.get("block"))[2, 3] == 0


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("symmetric", [True, False])
def test_nothing_but_zeros_gives_zeros(shared, symmetric):
    """No division by a scale of zero, neither for a whole tensor nor for one row in it."""
    for x in (torch.zeros(6, 21), draw(dtype=torch.float32).index_fill(0, torch.tensor([1, 4]), 0.0)):
        q, scale, zero = quantize_int8().quantize(x, **SHARED[shared], symmetric=symmetric)
        back = quantize_int8().dequantize(q, scale, zero, block=SHARED[shared].get("block"))
        assert (back[x == 0] == 0).all()
        assert (scale > 0).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_equals_torch_quantization(symmetric):
    """torch's own quantized codes for the same scale and zero point are the same codes."""
    x = draw(dtype=torch.float32)
    q, scale, zero = quantize_int8().quantize(x, symmetric=symmetric)
    expected = torch.fake_quantize_per_tensor_affine(x, scale.item(), int(zero), -127 if symmetric else -128, 127)
    assert torch.allclose(quantize_int8().dequantize(q, scale, zero), expected, rtol=1e-6, atol=1e-6)


def test_rows_equal_bitsandbytes():
    """The codes of LLM.int8() are ours, one code apart at most, and mostly not at all."""
    functional = pytest.importorskip("bitsandbytes.functional")
    x = draw(shape=(40, 96)).to(torch.float16)
    q, scale, _ = quantize_int8().quantize(x, axis=-1)
    theirs, absmax, _ = functional.int8_vectorwise_quant(x)
    distance = (q.int() - theirs.int()).abs()
    assert torch.allclose(scale[:, 0] * 127, absmax, rtol=1e-6)
    assert distance.max() <= 1
    assert (distance > 0).float().mean() <= 0.01


def test_affine_codes_by_hand():
    """0..255 in steps of one lies on -128..127."""
    x = torch.arange(256, dtype=torch.float64)
    q, scale, zero = quantize_int8().quantize(x, symmetric=False)
    assert q.tolist() == list(range(-128, 128))
    assert (scale.item(), zero.item()) == (1.0, -128)
    q, scale, zero = quantize_int8().quantize(-x, symmetric=False)
    assert q.tolist() == list(range(127, -129, -1))
    assert (scale.item(), zero.item()) == (1.0, 127)


def test_ties_round_to_even_and_extremes_do_not_wrap():
    """127 scales to itself, halves go to the even code, -127 is the lowest."""
    x = torch.tensor([127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -1.5])
    assert quantize_int8().quantize(x)[0].tolist() == [127, -127, 0, 2, 2, 0, -2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_float32(dtype):
    """A small half-precision row does not lose its scale to underflow."""
    x = (draw(shape=(4, 32)) * 1e-5).to(dtype)
    for symmetric in (True, False):
        q, scale, zero = quantize_int8().quantize(x, axis=-1, symmetric=symmetric)
        exact = quantize_int8().quantize(x.float(), axis=-1, symmetric=symmetric)
        assert scale.dtype == torch.float32
        assert all(torch.equal(mine, other) for mine, other in zip((q, scale, zero), exact, strict=True))


def test_an_outlier_stays_in_its_block():
    """The other blocks keep their codes."""
    x = draw().reshape(-1)
    spoilt = x.clone()
    spoilt[10] = 1e6
    before, after = (quantize_int8().quantize(value, block=7)[0] for value in (x, spoilt))
    assert torch.equal(before[:7], after[:7])
    assert torch.equal(before[14:], after[14:])


def test_non_contiguous_and_scalar_inputs():
    """A transposed, a strided and a zero-dimensional tensor are ordinary inputs, and stay unchanged."""
    x = draw()
    for strided in (x.T, x[::2, ::3], x[0, :1].expand(5), x[0, 0]):
        copy = strided.clone()
        for options in ({}, {"block": 4}):
            q, scale, zero = quantize_int8().quantize(strided, **options)
            expected = quantize_int8().quantize(copy.contiguous(), **options)
            assert all(torch.equal(mine, other) for mine, other in zip((q, scale, zero), expected, strict=True))
            assert quantize_int8().dequantize(q, scale, zero, **options).shape == strided.shape
        assert torch.equal(strided, copy)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_names_the_place_of_a_number_that_is_not_finite(bad):
    """One nan may not become some code."""
    x = draw()
    x[2, 5] = bad
    with pytest.raises(ValueError, match=rf"x\[2, 5\] is {bad}"):
        quantize_int8().quantize(x, axis=0)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (torch.ones(3), {"axis": 0, "block": 2}, ValueError, "not both"),
        (torch.ones(3), {"block": 0}, ValueError, "block must be at least 1, not 0"),
        (torch.ones(0, 3), {}, ValueError, r"x \[0, 3\] is empty"),
        (torch.ones(3, dtype=torch.int64), {}, TypeError, "x must be floating"),
        (torch.ones(3), {"axis": 1}, IndexError, "axis|[Dd]imension"),
        (torch.tensor([3e38, -3e38]), {"symmetric": False}, ValueError, "wider than torch.float32"),
    ],
)
def test_refuses_what_it_cannot_quantize(x, options, error, message):
    """By name."""
    with pytest.raises(error, match=message):
        quantize_int8().quantize(x, **options)
