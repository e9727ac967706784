"""Every usual name of a size becomes a value; what a class was not built with is not judged."""

from __future__ import annotations

import re

import pytest
from support_plugging import KNOWN, compared, plugged

from harness.core.implementation import Request
from harness.execution.executor import Executor
from harness.modules.build_sizes import sizes_for
from harness.modules.construction import construct
from harness.modules.size_names import Sizes
from harness.strategies.sampling import draw
from specs.naming.sizes import SIZES

GROUPED = """
    class GroupedQueryAttention(nn.Module):
        def __init__(self, {arguments}):
            super().__init__()
            {before}
            self.heads, self.groups, size = {heads}, {groups}, {width} // {heads}
            self.q_proj = nn.Linear({width}, {width}, bias=False)
            self.k_proj = nn.Linear({width}, self.groups * size, bias=False)
            self.v_proj = nn.Linear({width}, self.groups * size, bias=False)
            self.o_proj = nn.Linear({width}, {width}, bias=False)

        def forward(self, x):
            B, T, C = x.shape
            q = self.q_proj(x).view(B, T, self.heads, -1).transpose(1, 2)
            k = self.k_proj(x).view(B, T, self.groups, -1).transpose(1, 2)
            v = self.v_proj(x).view(B, T, self.groups, -1).transpose(1, 2)
            k, v = (t.{shared} for t in (k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.o_proj(y.transpose(1, 2).reshape(B, T, C))
"""
RIGHT = "repeat_interleave(self.heads // self.groups, 1)"
TILED = "repeat(1, self.heads // self.groups, 1, 1)"
PLAIN = {"width": "d_model", "heads": "num_heads"}
CONSTRUCTORS = {
    "num_kv_groups": {**PLAIN, "arguments": "d_model, num_heads, num_kv_groups", "groups": "num_kv_groups"},
    "with defaults": {
        "arguments": "dims: int = 64, query_heads: int = 8, kv_heads: int = 2",
        "width": "dims",
        "heads": "query_heads",
        "groups": "kv_heads",
    },
    "queries per group": {**PLAIN, "arguments": "d_model, num_heads, group_size", "groups": "num_heads // group_size"},
    "a record": {"arguments": "args", "width": "args.dim", "heads": "args.n_heads", "groups": "args.n_kv_heads"},
    "a dictionary": {
        "arguments": "cfg",
        "width": 'cfg["emb_dim"]',
        "heads": 'cfg["n_heads"]',
        "groups": 'cfg["n_kv_head"]',
    },
    "only by position": {**PLAIN, "arguments": "d_model, num_heads, n_kv_heads, /", "groups": "n_kv_heads"},
    "none means all": {
        **PLAIN,
        "arguments": "d_model, num_heads, num_key_value_heads=None",
        "before": "num_key_value_heads = num_key_value_heads or num_heads",
        "groups": "num_key_value_heads",
    },
}


def grouped(constructor: str, shared: str = RIGHT) -> str:
    return GROUPED.format(**{"before": "pass", **CONSTRUCTORS[constructor]}, shared=shared)


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
def test_groups_of_every_usual_name_are_built(constructor, tmp_path):
    """Every case is taken; keys tiled where they must be repeated one by one are seen."""
    found = compared(plugged(tmp_path, grouped(constructor)), "grouped_query_attention")
    others = {"window", "head_size", "eps", "rope_base"}  # settings that it does not have, in half of the cases
    assert found.agree >= 6 and not found.differ
    assert all(set(re.findall(r"\w+", reason.partition("takes no")[2])) <= others for reason in found.reasons)
    assert compared(plugged(tmp_path, grouped(constructor, TILED)), "grouped_query_attention").differ


def test_an_ordinary_attention_is_no_grouped_one(tmp_path):
    """Its class names are the same; what its constructor takes tells them apart."""
    text = grouped("num_kv_groups").replace("class GroupedQuery", "class ")
    assert "attention" not in plugged(tmp_path, text).adapters
    plain = text.replace(", num_kv_groups):", "):").replace("num_kv_groups", "num_heads")
    assert set(plugged(tmp_path, plain).adapters) == {"attention"}


WINDOW = """
    class SlidingWindowAttention(nn.Module):
        def __init__(self, d_model, num_heads, {window}):
            super().__init__()
            self.h, self.window = num_heads, {kept}
            self.qkv, self.proj = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)

        def forward(self, x):
            B, T, C = x.shape
            q, k, v = (t.view(B, T, self.h, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
            back = torch.arange(T)[:, None] - torch.arange(T)
            seen = (back >= 0) & (back < self.window)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            return self.proj(y.transpose(1, 2).reshape(B, T, C))
"""


@pytest.mark.parametrize("window", ["sliding_window", "window_size=128", "attention_window: int = 4"])
def test_a_window_of_every_usual_name_is_built(window, tmp_path):
    name = window.partition("=")[0].partition(":")[0]
    implementation = plugged(tmp_path, WINDOW.format(window=window, kept=name))
    assert compared(implementation, "sliding_window_attention") == (12, 0, 0, ())
    wider = plugged(tmp_path, WINDOW.format(window=window, kept=f"{name} + 1"))
    assert compared(wider, "sliding_window_attention").differ > 3


def test_a_window_that_is_no_argument_is_not_judged(tmp_path):
    """It was not built with the window of the case: that is said, and no case is judged as if it were."""
    implementation = plugged(tmp_path, WINDOW.format(window="dropout=0.0", kept="3"))
    assert compared(implementation, "sliding_window_attention") == (0, 0, 12, ("its factory takes no window",))


def test_an_attention_without_a_window_in_its_case_sees_everything(tmp_path):
    """A default window of 4 is no part of attention."""
    text = WINDOW.format(window="sliding_window=4", kept="sliding_window").replace("class SlidingWindow", "class ")
    assert compared(plugged(tmp_path, text), "attention") == (12, 0, 0, ())
    optional = WINDOW.format(window="sliding_window=None", kept="sliding_window or 10**9")
    assert compared(plugged(tmp_path, optional.replace("class SlidingWindow", "class ")), "attention").right


def test_one_head_alone_is_judged_with_one_head(tmp_path):
    """A class without a number of heads has one: cases of more are not judged, rather than failed."""
    text = """
        class SelfAttention(nn.Module):
            def __init__(self, d_in, d_out, context_length, dropout, qkv_bias=False):
                super().__init__()
                self.W_query, self.W_key, self.W_value = (nn.Linear(d_in, d_out, bias=qkv_bias) for _ in range(3))
                self.out_proj = nn.Linear(d_out, d_out)

            def forward(self, x):
                q, k, v = self.W_query(x), self.W_key(x), self.W_value(x)
                return self.out_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True))
    """
    outcome = compared(plugged(tmp_path, text), "attention", count=20)
    assert outcome.agree and not outcome.differ and outcome.refused, outcome
    assert outcome.reasons == ("its factory takes no n_heads",)


def test_an_axis_is_no_width(tmp_path):
    """``dim=-1`` is where the mean is taken; ``size`` is the width."""
    text = """
        class RMSNorm(nn.Module):
            def __init__(self, size: int, dim: int = -1, eps: float = 1e-5):
                super().__init__()
                self.weight, self.eps, self.dim = nn.Parameter(torch.ones(size)), eps, dim

            def forward(self, x):
                return self.weight * x * torch.rsqrt(x.pow(2).mean(self.dim, keepdim=True) + self.eps)
    """
    assert compared(plugged(tmp_path, text), "rms_norm").right


@pytest.mark.parametrize(
    "hidden",
    [
        "int(8 * d_model / 3)",
        "4 * d_model",
        "multiple_of * ((int(8 * d_model / 3) + multiple_of - 1) // multiple_of)",
    ],
)
def test_a_hidden_size_that_the_class_works_out(hidden, tmp_path):
    """It is judged where the case has that size; ``multiple_of`` reaches the others."""
    text = f"""
        class FeedForward(nn.Module):
            def __init__(self, d_model, multiple_of=256, bias=True):
                super().__init__()
                hidden = {hidden}
                self.w1, self.w3 = (nn.Linear(d_model, hidden, bias=bias) for _ in range(2))
                self.w2 = nn.Linear(hidden, d_model, bias=bias)

            def forward(self, x):
                return self.w2(F.silu(self.w1(x)) * self.w3(x))
    """
    outcome = compared(plugged(tmp_path, text), "swiglu", count=24)
    assert outcome.agree and not outcome.differ, outcome
    assert compared(plugged(tmp_path, text.replace("F.silu", "torch.sigmoid")), "swiglu", count=24).differ


def test_a_size_that_the_class_rounds_is_not_judged(tmp_path):
    """The hidden size is asked for, and rounded: cases of other sizes are not failed."""
    text = """
        class FeedForward(nn.Module):
            def __init__(self, dim, hidden_dim):
                super().__init__()
                hidden_dim = 4 * -(-hidden_dim // 4)
                self.w1, self.w3 = (nn.Linear(dim, hidden_dim, bias=False) for _ in range(2))
                self.w2 = nn.Linear(hidden_dim, dim, bias=False)

            def forward(self, x):
                return self.w2(F.silu(self.w1(x)) * self.w3(x))
    """
    outcome = compared(plugged(tmp_path, text), "swiglu", count=24)
    assert outcome.agree and not outcome.differ and outcome.refused
    assert "built at other sizes" in outcome.reasons[0]


def test_what_sizes_follow_from_others():
    """And which settings of the case each was read from."""
    values, sources = sizes_for(
        {"width": 12, "n_heads": 6, "n_kv_heads": 2, "hidden": 20, "window": None, "context": 9}
    )
    assert {n: values[n] for n in ("heads", "kv_heads", "group_size", "head_size", "window", "multiple_of")} == {
        "heads": 6,
        "kv_heads": 2,
        "group_size": 3,
        "head_size": 2,
        "window": 9,
        "multiple_of": 20,
    }
    assert "n_kv_heads" in sources["kv_heads"] and "n_heads" in sources["group_size"]
    rounded = 20 * -(-int(values["hidden_factor"] * int(8 * 12 / 3)) // 20)
    assert rounded == 20


def test_values_of_a_rotation_are_those_of_the_contract():
    """A default base that is not the contract's is replaced."""

    class Kept:
        def __init__(self, head_dim: int, rope_theta: float = 500000.0, dims: int = -1):
            self.given = (head_dim, rope_theta, dims)

    values, _ = sizes_for({"width": 12, "heads": 3})
    assert construct(Kept, Sizes(values, SIZES), {}).given == (4, 10000.0, -1)


def test_a_matrix_in_another_layout_is_no_copy(tmp_path):
    """``fc_2`` of a gated half is named like the down projection of a plain one; it is no second copy of that."""
    text = """
        class MLP(nn.Module):
            def __init__(self, n_embd, intermediate_size):
                super().__init__()
                self.fc_1, self.fc_2 = (nn.Linear(n_embd, intermediate_size, bias=False) for _ in range(2))
                self.proj = nn.Linear(intermediate_size, n_embd, bias=False)

            def forward(self, x):
                return self.proj(F.silu(self.fc_1(x)) * self.fc_2(x))
    """
    implementation = plugged(tmp_path, text)
    assert set(implementation.adapters) == {"swiglu"} and compared(implementation, "swiglu").right


def test_biases_are_off_where_only_that_fits(tmp_path):
    """One switch for all layers, where the component has biases in some of them alone."""
    text = """
        class GroupedQueryAttention(nn.Module):
            def __init__(self, d_model, n_heads, n_kv_heads, bias=False):
                super().__init__()
                self.h, self.g, size = n_heads, n_kv_heads, d_model // n_heads
                self.q_proj, self.o_proj = (nn.Linear(d_model, d_model, bias=bias) for _ in range(2))
                self.k_proj, self.v_proj = (nn.Linear(d_model, self.g * size, bias=bias) for _ in range(2))
                self.more = nn.Linear(3, 3) if bias else None

            def forward(self, x):
                B, T, C = x.shape
                q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
                q, k, v = (t.view(B, T, -1, C // self.h).transpose(1, 2) for t in (q, k, v))
                k, v = (t.repeat_interleave(self.h // self.g, 1) for t in (k, v))
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.o_proj(y.transpose(1, 2).reshape(B, T, C))
    """
    assert compared(plugged(tmp_path, text), "grouped_query_attention").right


def test_a_forward_in_inference_mode_has_gradients_all_the_same(tmp_path):
    """A model that is written for inference alone is decorated; what it computes is judged with its gradients."""
    text = """
        class RMSNorm(nn.Module):
            def __init__(self, dim, eps=1e-5):
                super().__init__()
                self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

            @torch.inference_mode()
            def forward(self, x):
                return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
    """
    implementation = plugged(tmp_path, text)
    case = draw(KNOWN["rms_norm"].cases(), 5, 1)[0]
    answer = Executor("theirs", implementation.adapters, KNOWN).run(Request("rms_norm", case, gradients=1))
    assert answer.crash is None and set(answer.gradients) == {"x", "weight"}
