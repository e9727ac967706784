"""Published ways to write a GPT-2, with no adapter: found, mapped, judged; a mistake in them is named, never mapped
away.

Each file in ``tests/styles`` is written in the style of a published project. ``MISTAKES`` are edits of its text, one at
a time, each with the known mistakes that may be named for it.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pytest
from support_lanes import FULL, sample

from harness.core.record import Status
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).with_name("styles")
CASES = 12
RIGHT_CASES = CASES if FULL else 6
"""Cases of a right file, of which every claim of every part is judged."""

HALF = {"statistics_in_float32"}
"""Statistics of half-precision inputs, kept in half precision."""
WITH_HALF = {"accurate_in_half_precision"}
"""Broken by the same lines, but only in some cases: few cases may hold none."""
RIGHT: dict[str, dict[str, set[str]]] = {
    # style -> component -> claims that it breaks as published, for a reason given in the style's file or here
    "nano": {},
    "mini": {"gpt2": {"parameter_count"}},  # its head is a tensor of its own: a legal variant, to be declared
    "book": {"layer_norm": HALF, "gpt2": {"parameter_count"}},
    "lens": {"layer_norm": HALF, "gpt2": {"parameter_count"}},
    "lecture": {"gpt2": {"parameter_count"}},
    "encoder": {},
    "lit": {},
    # Indexing wraps negative ids around, where the contract wants an error.
    "pico": {"gpt2": {"invalid_calls_are_refused"}},
    "cs336": {},
}
FUNCTIONS = {
    "pico": ("gelu", "linear", "softmax", "layer_norm", "mlp", "attention", "block", "gpt2"),
    "cs336": (
        "tokenizer",
        "token_embedding",
        "linear",
        "softmax",
        "rms_norm",
        "swiglu",
        "scaled_dot_product_attention",
        "attention",
    ),
}
"""What the files that hold functions offer; the others offer all of ``PARTS``."""
PARTS = ("gelu", "token_embedding", "learned_positions", "layer_norm", "mlp", "attention", "block", "gpt2")

MISTAKES: dict[str, list[tuple[str, str, set[str]]]] = {
    "nano": [
        ("self.bias, 1e-5)", "self.bias, 1e-3)", {"layer_norm.eps_fixed_at_1e_3"}),
        ('approximate="tanh"', 'approximate="none"', {"gelu.variant=erf"}),
        ("q, k, v = self.c_attn(x)", "q, v, k = self.c_attn(x)", {"attention.keys_and_values_exchanged"}),
        ("scale = 1.0 / math.sqrt(k.size(-1))", "scale = 1.0 / math.sqrt(C)", {"attention.scaled_by_width"}),
        ("self.c_proj(y))", "y @ self.c_proj.weight + self.c_proj.bias)", {"attention.out_weight_transposed"}),
        ("x = self.transformer.ln_f(x)", "pass", {"gpt2.final_norm_forgotten"}),
        (".tril()", ".tril(1)", {"attention.one_future_position"}),
        (
            "y.transpose(1, 2).contiguous().view(B, T, C)",
            "y.contiguous().view(B, T, C)",
            {"attention.merged_without_transpose"},
        ),
    ],
    "mini": [
        ("torch.pow(x, 3.0)", "torch.pow(x, 2.0)", {"gelu.square_for_cube"}),
        ("self.bias[:, :, :T, :T] == 0", "self.bias[:, :, :T, :T] == 1", {"attention.mask_inverted"}),
        ("nn.LayerNorm(config.n_embd)", "nn.LayerNorm(config.n_embd, eps=1e-6)", {"layer_norm.eps_fixed_at_1e_6"}),
        ("x = x + self.attn(self.ln_1(x))", "x = self.ln_1(x + self.attn(x))", {"block.first_half_post_norm"}),
        ("x = x + self.mlpf(self.ln_2(x))", "x = self.mlpf(self.ln_2(x))", {"block.second_residual_forgotten"}),
        (
            "self.transformer.wte(idx) + self.transformer.wpe(pos)",
            "self.transformer.wte(idx)",
            {"gpt2.positions_forgotten"},
        ),
    ],
    "book": [
        ("unbiased=False", "unbiased=True", {"layer_norm.unbiased_variance"}),
        ("torch.sqrt(var + self.eps)", "(torch.sqrt(var) + self.eps)", {"layer_norm.eps_outside_the_root"}),
        ("values = self.W_value(x)", "values = self.W_key(x)", {"attention.keys_for_values"}),
        ("attn_scores / keys.shape[-1] ** 0.5", "attn_scores", {"attention.unscaled"}),
        ("x = self.norm2(x)\n        x = self.ff(x)", "x = self.ff(x)", {"block.second_norm_forgotten"}),
        ("x = self.final_norm(x)", "", {"gpt2.final_norm_forgotten"}),
    ],
    "lens": [
        ("diagonal=1", "diagonal=0", {"attention.mask_includes_the_diagonal"}),
        ("math.sqrt(self.cfg.d_head)", "self.cfg.d_head", {"attention.scaled_by_head_size_without_root"}),
        (
            '"bpd,ndh->bpnh", normalized_resid_pre, self.W_V',
            '"bpd,ndh->bpnh", normalized_resid_pre, self.W_K',
            {"attention.key_weight_for_values"},
        ),
        (
            "attn_pattern = self.apply_causal_mask(attn_scores).softmax(-1)",
            "attn_pattern = self.apply_causal_mask(attn_scores).softmax(-2)",
            {"attention.softmax_over_queries"},
        ),
        ("self.ln_final(residual)", "residual", {"gpt2.final_norm_forgotten"}),
        # Its gelu is a function of its own, and stays right; a feed-forward part with ReLU is a legal variant.
        ("post = gelu_new(pre)", "post = torch.relu(pre)", {"mlp.variant=relu"}),
    ],
    "lecture": [
        ("k.shape[-1] ** -0.5", "n_embd ** -0.5", {"attention.scaled_by_width"}),
        (
            "torch.cat([h(x) for h in self.heads], dim=-1)",
            "torch.stack([h(x) for h in self.heads], -1).flatten(-2)",
            {"attention.heads_strided_when_merged"},
        ),
        ('nn.GELU(approximate="tanh")', "nn.ReLU()", {"gelu.relu"}),
        (
            "x = x + self.sa(self.ln1(x))",
            "x = self.ln1(x)\n        x = x + self.sa(x)",
            {"block.first_residual_normalised"},
        ),
        ("wei = F.softmax(wei, dim=-1)", "wei = F.softmax(wei, dim=1)", {"attention.softmax_over_queries"}),
    ],
    "encoder": [
        ("norm_first=True", "norm_first=False", {"block.variant=post_norm"}),
        ('approximate="tanh"', 'approximate="none"', {"gelu.variant=erf"}),
        ("self.embed(tokens) + self.pos_embed[:, :time]", "self.embed(tokens)", {"gpt2.positions_forgotten"}),
        ("x, mask=mask", "x", {"attention.no_mask"}),
        ("activation=gelu", "activation='relu'", {"mlp.variant=relu"}),
        (
            "self.head(self.layers(x, mask=mask))",
            "self.head(self.layers(x, mask=mask)).log_softmax(-1)",
            {"gpt2.log_probabilities_returned"},
        ),
    ],
    "lit": [
        ("x = self.attn(self.norm_1(x), mask) + x", "x = self.attn(x, mask) + x", {"block.first_norm_forgotten"}),
        (".tril()", ".tril(-1)", {"attention.mask_includes_the_diagonal"}),
        ("q, k, v = qkv.split(C, dim=-1)", "k, q, v = qkv.split(C, dim=-1)", {"attention.keys_times_queries"}),
        ("math.sqrt(self.config.head_size)", "math.sqrt(self.config.n_head)", {"attention.scaled_by_heads"}),
        ("return self.mlp(self.norm_2(x)) + x", "return self.mlp(self.norm_1(x)) + x", {"block.first_norm_twice"}),
        ('approximate="tanh"', 'approximate="none"', {"gelu.variant=erf"}),
    ],
    "pico": [
        ("np.sqrt(2 / np.pi)", "np.sqrt(2 * np.pi)", {"gelu.root_of_two_pi"}),
        ("np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)", {"layer_norm.eps_outside_the_root"}),
        ("/ np.sqrt(q.shape[-1])", "/ q.shape[-1]", {"attention.scaled_by_head_size_without_root"}),
        (
            "x = np.hstack(out_heads)",
            "x = np.stack(out_heads, -1).reshape(x.shape[0], -1)",
            {"attention.heads_strided_when_merged"},
        ),
        (
            "x = x + ffn(layer_norm(x, **ln_2), **mlp)",
            "x = ffn(layer_norm(x, **ln_2), **mlp)",
            {"block.second_residual_forgotten"},
        ),
        ("x = layer_norm(x, **ln_f)", "pass", {"gpt2.final_norm_forgotten"}),
    ],
    "cs336": [
        ("+ self.eps)", ") + self.eps", {"rms_norm.eps_outside_the_root"}),
        ("e / e.sum(dim, keepdim=True)", "e / e.mean(dim, keepdim=True)", {"softmax.mean_for_the_sum"}),
        ("math.sqrt(Q.shape[-1])", "Q.shape[-1]", {"scaled_dot_product_attention.scaled_by_head_size_without_root"}),
        ("gate * torch.sigmoid(gate)", "torch.sigmoid(gate)", {"swiglu.sigmoid_for_silu"}),
        ("masked_fill(~mask", "masked_fill(mask", {"scaled_dot_product_attention.mask_inverted"}),
        (
            "heads(q_proj_weight), heads(k_proj_weight)",
            "heads(k_proj_weight), heads(q_proj_weight)",
            {"attention.keys_times_queries"},
        ),
        ("for word in PATTERN.findall(text):", "for word in [text]:", {"tokenizer.not_pre_tokenized"}),
        ("mixed @ o_proj_weight.T", "mixed @ o_proj_weight", {"attention.out_weight_transposed"}),
    ],
}


# Hugging Face's GPT-2 as installed, its text edited in memory: nothing of it is kept here.
GPT2_OF_TRANSFORMERS: list[tuple[str, str, set[str]]] = [
    ("self.scaling = self.head_dim**-0.5", "self.scaling = self.embed_dim**-0.5", {"attention.scaled_by_width"}),
    (
        "query_states, key_states, value_states = self.c_attn(hidden_states)",
        "query_states, value_states, key_states = self.c_attn(hidden_states)",
        {"attention.keys_and_values_exchanged"},
    ),
    ("hidden_states = self.ln_f(hidden_states)", "pass", {"gpt2.final_norm_forgotten"}),
    (
        "        hidden_states = attn_output + residual",
        "        hidden_states = attn_output",
        {"block.first_residual_forgotten"},
    ),
    ("ACT2FN[config.activation_function]", 'ACT2FN["gelu"]', {"gelu.variant=erf"}),
    (
        "self.ln_1 = nn.LayerNorm(hidden_size, eps=config.layer_norm_epsilon)",
        "self.ln_1 = nn.LayerNorm(hidden_size, eps=1e-3)",
        {"layer_norm.eps_fixed_at_1e_3"},
    ),
]


@cache
def reference(cases: int) -> Inspection:
    """Shared by all: decks, exact answers and tolerances."""
    return inspect_implementation(str(STYLES / "nano.py"), cases=cases)


def inspection(impl: str, cases: int = CASES) -> Inspection:
    """Shares the work of the reference, except where a file's own legal forms ask for another one."""
    judged, shared = inspect_implementation(impl, cases=cases), reference(cases)
    same_forms = dict(judged.variants) == dict(shared.variants)
    return Inspection(
        judged.catalogue,
        judged.implementation,
        judged.seed,
        cases,
        judged.variants,
        judged.where,
        judged.notes,
        like=shared if same_forms else None,
    )


def broken(judged: Inspection, component: str) -> set[str]:
    contract = judged.catalogue.contracts[component]
    verdicts = [judged.bench.judge(contract, c, shrink=False)[0] for c in judged.catalogue.claims_of(component)]
    assert verdicts and not any(v.status == Status.TO_DO for v in verdicts), f"{component} is to do"
    return {v.claim for v in verdicts if v.failing}


@pytest.mark.parametrize("style", RIGHT)
def test_a_published_style_is_found_and_judged_with_nothing_written(style: str) -> None:
    """Every part is there, and what fails is what the style is known for."""
    judged = inspection(str(STYLES / f"{style}.py"), RIGHT_CASES)
    found = {name: broken(judged, name) for name in FUNCTIONS.get(style, PARTS)}
    found = {name: claims - WITH_HALF if claims >= HALF else claims for name, claims in found.items()}
    assert {name: claims for name, claims in found.items() if claims} == RIGHT[style]


PLANTED = [(s, *m) for s, ms in MISTAKES.items() for m in ms]
CHOSEN = sample(PLANTED, lambda planted: planted[2], lambda planted: planted[0], 2)
"""Two mistakes in each style, all of them with PLUMBLINE_FULL=1."""


@pytest.mark.parametrize(
    ("style", "right", "wrong", "names"), CHOSEN, ids=[f"{m[0]}-{PLANTED.index(m)}" for m in CHOSEN]
)
def test_a_mistake_is_named_and_not_mapped_away(
    style: str, right: str, wrong: str, names: set[str], tmp_path: Path
) -> None:
    """One edit of a right file; the diagnosis of the first part that is wrong."""
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    assert text.count(right) >= 1, f"{style}.py has no {right!r}"
    path = tmp_path / f"{style}.py"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    judged = inspection(str(path))
    found = next((f for name in FUNCTIONS.get(style, PARTS) if (f := judged.finding_of(name)) is not None), None)
    assert found is not None, "nothing was named"
    assert set(found.names) == names


@pytest.mark.parametrize(
    ("right", "wrong", "names"), sample(GPT2_OF_TRANSFORMERS, lambda planted: planted[1], lambda planted: "", 2)
)
def test_a_mistake_in_a_real_library_is_named(right: str, wrong: str, names: set[str], tmp_path: Path) -> None:
    """The library's own text with one line edited, no adapter."""
    source = Path(importlib.util.find_spec("transformers.models.gpt2.modeling_gpt2").origin).read_text(encoding="utf-8")  # type: ignore[union-attr,arg-type]
    text = source.replace("from ...", "from transformers.").replace("from .conf", "from transformers.models.gpt2.conf")
    text = text.replace("from transformers. import", "from transformers import")
    assert right in text
    path = tmp_path / "edited_gpt2.py"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    judged = inspection(str(path))
    found = next((f for name in PARTS if (f := judged.finding_of(name)) is not None), None)
    assert found is not None, "nothing was named"
    assert set(found.names) == names


def test_a_real_library_is_judged_with_nothing_written() -> None:
    """Its model class, named on the command line; every part is there, and every claim holds."""
    judged = inspection("transformers:GPT2LMHeadModel", RIGHT_CASES)
    assert {name: claims for name in PARTS if (claims := broken(judged, name))} == {}
