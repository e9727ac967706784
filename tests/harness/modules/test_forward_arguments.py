"""A forward that takes masks, tables of a rotation or positions is given them; mistakes in it stay mistakes."""

from __future__ import annotations

import pytest
from support_plugging import KNOWN, compared, plugged

from harness.core.implementation import Request
from harness.execution.executor import Executor
from harness.strategies.sampling import draw

PROJECTIONS = """
    class Attention(nn.Module):
        def __init__(self, dim, n_heads, n_kv_heads):
            super().__init__()
            self.heads, self.groups, self.size = n_heads, n_kv_heads, dim // n_heads
            self.wq, self.wo = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
            self.wk, self.wv = (nn.Linear(dim, n_kv_heads * self.size, bias=False) for _ in range(2))

        def split(self, x):
            q, k, v = (layer(x).view(*x.shape[:2], -1, self.size) for layer in (self.wq, self.wk, self.wv))
            return q, *(t.repeat_interleave(self.heads // self.groups, 2) for t in (k, v))

        def joined(self, q, k, v, mask=None, causal=False):
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
            return self.wo(y.transpose(1, 2).flatten(2))
"""
COMPLEX = """
    def precompute_freqs_cis(dim: int, end: int, theta: float = 10000.0):
        freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: dim // 2].double() / dim))
        angles = torch.outer(torch.arange(end).double(){shift}, freqs)
        return torch.polar(torch.ones_like(angles), angles)
"""
NEIGHBOURS = """
    def turned(x, table):
        assert table.shape == (x.shape[1], x.shape[-1] // 2)
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * table[None, :, None]).flatten(-2)
"""
META = """
        def forward(self, x, start_pos, freqs_cis, mask):
            q, k, v = self.split(x)
            return self.joined(turned(q, freqs_cis), turned(k, freqs_cis), v, mask)
"""
HALVES = """
    def turned(x, cos, sin):
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat((-second, first), -1) * sin
"""
COS_SIN = """
        def forward(self, x, mask, cos, sin):
            q, k, v = self.split(x)
            cos, sin = cos[: x.shape[1], None], sin[: x.shape[1], None]
            return self.joined(turned(q, cos, sin), turned(k, cos, sin), v, None if mask is None else ~mask)
"""
OWN_PARAMETERS = """
    def compute_rope_params(head_dim, theta_base=10_000, context_length=4096):
        steps = theta_base ** (-torch.arange(0, head_dim, 2).double() / head_dim)
        angles = torch.arange(context_length)[:, None] * steps
        angles = torch.cat((angles, angles), 1)
        return angles.cos(), angles.sin()
"""
EMBEDDINGS = """
        def forward(self, hidden_states, position_embeddings, attention_mask=None, past_key_values=None, **kwargs):
            q, k, v = self.split(hidden_states)
            cos, sin = (t.unsqueeze(2) for t in position_embeddings)
            return self.joined(turned(q, cos, sin), turned(k, cos, sin), v, attention_mask), None
"""
ROTARY_CLASS = """
    class RotaryEmbedding(nn.Module):
        def __init__(self, dim, base=10000):
            super().__init__()
            self.register_buffer("inv_freq", base ** (-torch.arange(0, dim, 2).double() / dim))

        def forward(self, x, position_ids):
            angles = position_ids[:, :, None] * self.inv_freq
            angles = torch.cat((angles, angles), -1)
            return angles.cos().to(x.dtype), angles.sin().to(x.dtype)
"""
HALF_TABLES = """
    def turned(x, cos, sin):
        first, second = x.chunk(2, -1)
        return torch.cat((first * cos + second * -sin, first * sin + second * cos), -1)
"""
CHAT = """
        def forward(self, x, cos_sin, kv_cache):
            q, k, v = self.split(x)
            cos, sin = (t.reshape(1, -1, 1, self.size // 2) for t in cos_sin)
            return self.joined(turned(q, cos, sin), turned(k, cos, sin), v, causal=True)
"""
GIVEN = {
    "complex numbers": ("rotary", NEIGHBOURS, META, COMPLEX.format(shift="")),
    "complex numbers of the formula": ("rotary", NEIGHBOURS, META, ""),
    "cosines and sines": ("rotary_halves", HALVES, COS_SIN, OWN_PARAMETERS),
    "cosines and sines of the formula": ("rotary_halves", HALVES, COS_SIN, ""),
    "a pair of a class": ("rotary_halves", HALVES, EMBEDDINGS, ROTARY_CLASS),
    "a pair of the formula": ("rotary_halves", HALVES, EMBEDDINGS, ""),
    "half as many": ("rotary_halves", HALF_TABLES, CHAT, ""),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_tables_are_computed_by_their_own_code_or_by_the_formula(kind, tmp_path):
    """Standalone classes of a Llama, with nothing written."""
    form, helpers, forward, own = GIVEN[kind]
    implementation = plugged(tmp_path, own + helpers + PROJECTIONS + forward)
    assert compared(implementation, "grouped_query_attention", form, count=20).right
    assert compared(implementation, "grouped_query_attention", count=20).differ
    words = " ".join(implementation.adapters["grouped_query_attention"].notes)
    assert "its forward is given" in words and ("the tables of its" in words) == bool(own)


def test_a_mistake_in_their_own_tables_is_not_replaced(tmp_path):
    """Angles in steps of another size are theirs, though the formula would be right."""
    wrong = COMPLEX.format(shift=" * 1.1")
    implementation = plugged(tmp_path, wrong + NEIGHBOURS + PROJECTIONS + META)
    assert compared(implementation, "grouped_query_attention", "rotary", count=20).differ


def test_a_mistake_in_the_rotation_is_not_mapped_away(tmp_path):
    """No layout of the tables makes a rotation of the wrong pairs right."""
    for kind, right, wrong in (
        ("cosines and sines of the formula", "torch.cat((-second, first), -1)", "torch.cat((second, -first), -1)"),
        ("half as many", "first * sin + second * cos", "first * sin - second * cos"),
        ("a pair of the formula", "turned(k, cos, sin), v, attention_mask", "k, v, attention_mask"),
    ):
        form, helpers, forward, own = GIVEN[kind]
        text = own + helpers + PROJECTIONS + forward
        assert right in text
        implementation = plugged(tmp_path, text.replace(right, wrong))
        assert compared(implementation, "grouped_query_attention", form, count=20).differ, kind


MASKED = """
    class MultiHeadAttention(nn.Module):
        def __init__(self, d_model, num_heads):
            super().__init__()
            self.h = num_heads
            self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model) for _ in range(4))

        def forward(self, {arguments}):
            B, T, C = {x}.shape
            q = self.W_q({x}).view(B, T, self.h, -1).transpose(1, 2)
            k, v = (t.view(B, T, self.h, -1).transpose(1, 2) for t in (self.W_k({key}), self.W_v({value})))
            scores = q @ k.mT / math.sqrt(q.shape[-1])
            {masking}
            y = scores.softmax(-1) @ v
            return self.W_o(y.transpose(1, 2).reshape(B, T, C)){returned}
"""
SELF = {"x": "x", "key": "x", "value": "x", "returned": ""}
FUTURE = "torch.full_like(scores, float('-inf')).triu(1)"
WITH_MASKS = {
    "true is seen": ("x, mask=None", "scores if mask is None else scores.masked_fill(mask == 0, -1e9)"),
    "true is hidden": ("x, mask", "scores.masked_fill(mask.bool(), float('-inf'))"),
    "added": ("x, attn_mask=None", "scores if attn_mask is None else scores + attn_mask"),
    "subtracted": ("x, mask", "scores - 1e30 * (1 - mask)"),
    "query, key, value": (
        "query, key, value, mask=None",
        "scores if mask is None else scores.masked_fill(mask == 0, -1e9)",
    ),
    "told": ("x, is_causal=False", f"scores + {FUTURE} if is_causal else scores"),
    "not needed": ("x, attention_mask=None, use_cache=False", f"scores + {FUTURE}"),
}


def masked(arguments: str, masking: str) -> str:
    names = SELF
    if arguments.startswith("query"):
        names = {"x": "query", "key": "key", "value": "value", "returned": ", scores"}
    return MASKED.format(**names, arguments=arguments, masking=f"scores = {masking}")


@pytest.mark.parametrize("kind", WITH_MASKS)
def test_a_mask_is_given_in_the_form_that_hides_the_future(kind, tmp_path):
    implementation = plugged(tmp_path, masked(*WITH_MASKS[kind]))
    assert compared(implementation, "attention") == (12, 0, 0, ())


def test_a_mask_of_their_own_that_hides_too_little_is_not_helped(tmp_path):
    """It takes a mask too; that is not given, for it hides by itself, and hides the wrong positions."""
    own = "scores + torch.full_like(scores, float('-inf')).triu(2) + (0 if mask is None else mask)"
    implementation = plugged(tmp_path, masked("x, mask=None", own))
    assert compared(implementation, "attention").differ


def test_what_nobody_can_give_is_said_and_not_judged(tmp_path):
    implementation = plugged(tmp_path, masked("x, flavour", "scores * flavour"))
    outcome = compared(implementation, "attention")
    assert outcome == (0, 0, 12, ("its forward needs flavour",))
    offer = Executor("theirs", implementation.adapters, KNOWN).offers("attention")
    assert offer is not None and "module(x, flavour=...)" in "".join(offer.plug_in)


def test_a_whole_model_hides_the_future_by_itself(tmp_path):
    """A model that is called with its ids and forgets the mask is wrong, though it could be given one."""
    text = """
    class GPT(nn.Module):
        def __init__(self, vocab_size, n_embd, n_head, n_layer, block_size):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
            act = lambda x: F.gelu(x, approximate="tanh")
            layer = nn.TransformerEncoderLayer(n_embd, n_head, 4 * n_embd, 0.0, act, batch_first=True, norm_first=True)
            self.layers = nn.TransformerEncoder(layer, n_layer).layers
            self.ln_f = nn.LayerNorm(n_embd)

        def forward(self, ids, mask=None):
            x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
            hidden = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
            for layer in self.layers:
                x = layer(x, src_mask={mask})
            return self.ln_f(x) @ self.wte.weight.T
    """
    assert compared(plugged(tmp_path, text.replace("{mask}", "hidden if mask is None else ~mask")), "gpt2").right
    assert compared(plugged(tmp_path, text.replace("{mask}", "None if mask is None else ~mask")), "gpt2").differ


CACHED = """
        def forward(self, x, start_pos, freqs_cis, mask):
            q, k, v = self.split(x)
            q, k = turned(q, freqs_cis), turned(k, freqs_cis)
            if not hasattr(self, "cache"):
                self.cache = torch.zeros(2, 8, 64, *k.shape[2:], dtype=k.dtype)
            self.cache[:, : len(x), start_pos : start_pos + x.shape[1]] = torch.stack((k, v))
            k, v = self.cache[:, : len(x), : start_pos + x.shape[1]]
            return self.joined(q, k, v, mask)
"""


def test_a_cache_that_the_module_keeps_has_no_graph_of_an_earlier_call(tmp_path):
    """It is written in place in every call; gradients of the second call, and after inference mode, are right."""
    implementation = plugged(tmp_path, COMPLEX.format(shift="") + NEIGHBOURS + PROJECTIONS + CACHED)
    executor = Executor("theirs", implementation.adapters, KNOWN)
    drawn = draw(KNOWN["grouped_query_attention"].cases(), 5, 12)
    usual = [c for c in drawn if c.arguments.get("eps", 1e-5) == 1e-5]
    case = next(c for c in usual if c.dimensions["width"] % (2 * c.dimensions["heads"]) == 0)
    for context in ("plain", "inference", "plain"):
        gradients = 1 if context == "plain" else None
        answer = executor.run(Request("grouped_query_attention", case, context=context, gradients=gradients))
        assert answer.crash is None, answer.crash


SPEECH = """
import torch
from torch import nn

class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.float()).type(x.dtype)

class Block(nn.Module):
    def __init__(self, n_state, n_head):
        super().__init__()
        self.attn = nn.MultiheadAttention(n_state, n_head, batch_first=True)
        self.attn_ln, self.mlp_ln = LayerNorm(n_state), LayerNorm(n_state)
        self.mlp = nn.Sequential(nn.Linear(n_state, 4 * n_state), nn.GELU("tanh"), nn.Linear(4 * n_state, n_state))

    def forward(self, x, mask=None):
        h = self.attn_ln(x)
        x = x + self.attn(h, h, h, attn_mask=None if mask is None else mask.to(x.dtype), need_weights=False)[0]
        return x + self.mlp(self.mlp_ln(x))
"""


def test_a_mask_is_tried_in_float32_too(tmp_path):
    """Code that casts to float32 inside runs in that alone, so that no mask could be told in float64."""
    adapter = plugged(tmp_path, SPEECH).adapters["block"]
    adapter.probe()
    assert any("mask (0 where a position is seen, minus infinity elsewhere)" in note for note in adapter.notes)
