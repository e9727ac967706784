"""The files among the styles are what their table says: proven against torch and transformers, not by the machine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support_published import STYLES, VOCABULARY, module_of
from support_style_twins import TWINS
from torch.nn import functional as F


@pytest.mark.parametrize("name", TWINS)
def test_a_whole_model_is_the_published_one(name: str) -> None:
    """The logits of every position, as the class of transformers gives them with the same weights."""
    twin = TWINS[name]
    ours = twin.ours(name)
    ids = torch.randint(VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = twin.twin(ours)(ids).logits
        got: Any = ours(ids, 0) if name == "llama_meta" else ours(ids)
    got = got["logits"] if isinstance(got, dict) else got[0] if isinstance(got, tuple) else got
    if got.shape[1] == 1:  # the last position alone, where no targets are given
        expected = expected[:, -1:]
    scale = expected.abs().max().item()
    assert scale > 0.1
    assert torch.allclose(got, expected, rtol=1e-4, atol=2e-5 * scale), (got - expected).abs().max()


def rotated(x: torch.Tensor, halves: bool) -> torch.Tensor:
    """The definition, pair by pair, by complex numbers.  x [B, H, T, K]"""
    size = x.shape[-1]
    angles = torch.arange(x.shape[2])[:, None] / 10000.0 ** (torch.arange(0, size, 2) / size)
    turn = torch.complex(angles.cos(), angles.sin())
    pairs = torch.complex(*x.chunk(2, -1)) if halves else torch.complex(x[..., ::2], x[..., 1::2])
    turned = pairs * turn
    if halves:
        return torch.cat((turned.real, turned.imag), -1)
    return torch.stack((turned.real, turned.imag), -1).flatten(-2)


def by_the_file(name: str, x: torch.Tensor) -> torch.Tensor:
    """x [B, H, T, K] as the file rotates it."""
    module, (time, size) = module_of(name, STYLES), x.shape[2:]
    if name == "rope_complex":
        turns = module.precompute_freqs_cis(size, time)
        return module.apply_rotary_emb(x.transpose(1, 2), x.transpose(1, 2), turns)[0].transpose(1, 2)
    if name == "rope_cached_class":
        return module.RotaryPositionalEmbeddings(size)(x)
    if name == "rope_positions":
        return module.rope(x, torch.arange(time))
    if name == "rope_position_ids":
        cos, sin = module.RotaryEmbedding(size)(x, seq_len=time)
        return module.apply_rotary_pos_emb(x, x, cos, sin, torch.arange(time)[None].expand(len(x), -1))[1]
    if name == "rope_tune":
        return module.RotaryPositionalEmbeddings(size)(x.transpose(1, 2)).transpose(1, 2)
    return module.RotaryEmbedding(size).rotate_queries_or_keys(x)


@pytest.mark.parametrize(
    ("name", "halves"),
    [
        ("rope_complex", False),
        ("rope_cached_class", True),
        ("rope_positions", False),
        ("rope_position_ids", True),
        ("rope_tune", False),
        ("rope_einops", False),
    ],
)
def test_a_rotation_is_that_of_complex_numbers(name: str, halves: bool) -> None:
    """Six ways to write it, one definition."""
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(by_the_file(name, x), rotated(x, halves), atol=1e-5)


def attended(x: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int) -> torch.Tensor:
    """Causal attention of torch's own, groups and all, from weights [out, in]; heads side by side."""
    size = q.shape[0] // heads
    query, key, value = ((x @ w.T).unflatten(-1, (-1, size)).transpose(1, 2) for w in (q, k, v))
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("name", ["grouped_plain", "grouped_einsum", "multi_query", "heads_summed", "per_head_tensors"])
def test_attention_is_that_of_torch(name: str) -> None:
    """Groups, one key head, heads as a list, and tensors with a head axis."""
    torch.manual_seed(0)
    module, x = module_of(name, STYLES), torch.randn(2, 6, 8)
    if name == "grouped_plain":
        layer = module.GroupedQueryAttention(8, 8, 16, 0.0, 4, 2)
        q, k, v, out = layer.W_query.weight, layer.W_key.weight, layer.W_value.weight, layer.out_proj
    elif name == "grouped_einsum":
        layer = module.GQA(8, 4, 2)
        q, k, v, out = layer.query.weight, layer.key.weight, layer.value.weight, layer.out
    elif name == "multi_query":
        layer = module.MultiQueryAttention(8, 4)
        q, (k, v), out = layer.q_proj.weight, layer.kv_proj.weight.chunk(2), layer.out_proj
    elif name == "heads_summed":
        layer = module.MultiHeadAttention(8, 4, 16)
        q, k, v = (torch.cat([getattr(h, f"W_{n}").weight for h in layer.heads]) for n in "QKV")
        columns = torch.cat([h.W_O.weight for h in layer.heads], 1)
        out = lambda y: y @ columns.T  # noqa: E731
    else:
        layer = module.Attention(8, 4, 2)
        q, k, v = (w.transpose(1, 2).flatten(0, 1) for w in (layer.W_Q, layer.W_K, layer.W_V))
        out = lambda y: y @ layer.W_O.flatten(0, 1) + layer.b_O  # noqa: E731
    assert torch.allclose(layer(x), out(attended(x, q, k, v, 4)), atol=1e-5)
