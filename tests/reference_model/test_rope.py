"""reference_model/rope.py against the rotary embeddings of transformers, and against complex numbers."""

import pytest
import torch

from reference_model import rope


def draw(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).to(dtype)


@pytest.mark.parametrize("base", [10000.0, 100.0])
def test_equals_complex_multiplication(base):
    """A pair is a complex number, and a turn a multiplication by exp(i angle)."""
    x, positions = draw(2, 3, 5, 8), torch.tensor([0, 1, 7, 100, 3999])
    angles = positions.double()[:, None] * base ** -(torch.arange(4).double() / 4)
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (4, 2))) * torch.exp(1j * angles)).flatten(-2)
    assert (rope(x, positions, base) - expected).abs().max() <= 1e-12


def test_equals_gptj():
    """GPT-J of transformers turns neighbours, as the paper does, and has its heads behind the time axis."""
    gptj = pytest.importorskip("transformers.models.gptj.modeling_gptj")
    x, table = draw(2, 3, 5, 8, dtype=torch.float32), gptj.create_sinusoidal_positions(40, 8)
    positions = torch.tensor([[0, 1, 2, 3, 4], [30, 31, 32, 33, 34]])
    sin, cos = table[positions].chunk(2, -1)
    expected = gptj.apply_rotary_pos_emb(x.transpose(1, 2), sin, cos).transpose(1, 2)
    assert (rope(x, positions) - expected).abs().max() <= 1e-5


def test_equals_llama_with_the_features_in_another_order():
    """Llama of transformers turns feature i with feature i + K/2: the same after the features were put side by side."""
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    x, positions = draw(2, 3, 5, 8, dtype=torch.float32), torch.arange(3, 8)
    angles = positions.float()[:, None] * 10000.0 ** -(torch.arange(4).float() / 4)
    cos, sin = (torch.cat((t, t), -1)[None] for t in (angles.cos(), angles.sin()))
    theirs, _ = llama.apply_rotary_pos_emb(x, x, cos, sin)
    side_by_side = x.unflatten(-1, (2, 4)).transpose(-1, -2).flatten(-2)
    ours = rope(side_by_side, positions).unflatten(-1, (4, 2)).transpose(-1, -2).flatten(-2)
    assert (ours - theirs).abs().max() <= 1e-5


def test_turns_add_up_and_go_back():
    """A turn by p and one by q is a turn by p + q; by -p it is undone; by 0 nothing happens."""
    x, p, q = draw(1, 2, 4, 6), torch.tensor([0, 3, 50, 7]), torch.tensor([9, 1, 2, 600])
    assert (rope(rope(x, p), q) - rope(x, p + q)).abs().max() <= 1e-12
    assert (rope(rope(x, p), -p) - x).abs().max() <= 1e-13
    assert torch.equal(rope(x, 0 * p), x)


def test_the_rest_is_left_alone():
    """Of eight features four are turned, at the frequencies of a head of four."""
    x, positions = draw(1, 2, 3, 8), torch.arange(2, 5)
    out = rope(x, positions, rotated=4)
    assert torch.equal(out[..., 4:], x[..., 4:]) and torch.equal(out[..., :4], rope(x[..., :4], positions))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    """At position 3999 too the result is the exact one for the same numbers, up to float32 angles and one rounding."""
    x, positions = draw(1, 2, 3, 8).to(dtype), torch.tensor([257, 2049, 3999])
    out, exact = rope(x, positions), rope(x.double(), positions)
    assert out.dtype == dtype
    assert (out.double() - exact).abs().max() <= torch.finfo(dtype).eps * exact.abs().max() + 2e-3


def test_refuses_what_has_no_partner():
    """Odd sizes, more features than there are, and positions that do not meet the time axis raise."""
    with pytest.raises(ValueError, match="pairs"):
        rope(draw(1, 1, 2, 5), torch.arange(2))
    with pytest.raises(ValueError, match="pairs"):
        rope(draw(1, 1, 2, 4), torch.arange(2), rotated=6)
    with pytest.raises(ValueError, match="positions"):
        rope(draw(1, 1, 2, 4), torch.arange(3))
