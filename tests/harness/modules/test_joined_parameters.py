"""Tensors that the contract keeps apart and a module in one: queries, keys and values; gate and up."""

from __future__ import annotations

import pytest
from support_plugging import compared, plugged

GROUPED = """
    class GroupedQueryAttention(nn.Module):
        def __init__(self, d_model, n_heads, n_kv_heads, bias=False):
            super().__init__()
            self.h, self.g, self.k = n_heads, n_kv_heads, d_model // n_heads
            {layers}
            self.o_proj = nn.Linear(d_model, d_model, bias=bias)

        def forward(self, x):
            B, T, C = x.shape
            {split}
            q, k, v = (t.view(B, T, -1, self.k).transpose(1, 2) for t in (q, k, v))
            k, v = (t.repeat_interleave(self.h // self.g, 1) for t in (k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.o_proj(y.transpose(1, 2).reshape(B, T, C))
"""
ALL = "self.Wqkv = nn.Linear(d_model, (n_heads + 2 * n_kv_heads) * self.k, bias=bias)"
SPLIT = "q, k, v = self.Wqkv(x).split([C, self.g * self.k, self.g * self.k], -1)"
TWO = """self.q_proj = nn.Linear(d_model, d_model, bias=bias)
            self.kv_proj = nn.Linear(d_model, 2 * self.g * self.k, bias=bias)"""
HALF = "q, (k, v) = self.q_proj(x), self.kv_proj(x).chunk(2, -1)"


@pytest.mark.parametrize(
    ("layers", "split", "wrong"),
    [(ALL, SPLIT, "q, v, k = "), (TWO, HALF, "q, (v, k) = ")],
)
def test_queries_keys_and_values_in_one(layers, split, wrong, tmp_path):
    """The contract's tensors stand one above the other; another order is a mistake and stays one."""
    text = GROUPED.format(layers=layers, split=split)
    implementation = plugged(tmp_path, text)
    assert compared(implementation, "grouped_query_attention").right
    rows = {row.name: row for row in implementation.adapters["grouped_query_attention"].rows()}
    assert any(" + " in name for name in rows)
    left = split.partition(" = ")[0] + " = "
    assert compared(plugged(tmp_path, text.replace(left, wrong, 1)), "grouped_query_attention").differ


def test_a_transposed_one_is_seen_by_its_shape(tmp_path):
    layers = "self.Wqkv = nn.Parameter(torch.empty(d_model, (n_heads + 2 * n_kv_heads) * self.k))"
    split = SPLIT.replace("self.Wqkv(x)", "(x @ self.Wqkv)")
    text = GROUPED.format(layers=layers, split=split).replace("Wqkv", "qkv_weight")
    assert compared(plugged(tmp_path, text), "grouped_query_attention").right


def test_gate_and_up_in_one(tmp_path):
    text = """
        class FeedForward(nn.Module):
            def __init__(self, dim, hidden_dim):
                super().__init__()
                self.gate_up_proj = nn.Linear(dim, 2 * hidden_dim, bias=False)
                self.down_proj = nn.Linear(hidden_dim, dim, bias=False)

            def forward(self, x):
                gate, up = self.gate_up_proj(x).chunk(2, -1)
                return self.down_proj(F.silu(gate) * up)
    """
    assert compared(plugged(tmp_path, text), "swiglu").right
    assert compared(plugged(tmp_path, text.replace("F.silu(gate) * up", "F.silu(gate * up)")), "swiglu").differ
