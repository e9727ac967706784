"""Ten published models in miniature, each beside the class of transformers that it must equal, and mistakes to plant.

``sizes``: of a small one, by the names of its own configuration. ``twin``: the same model of transformers, with the
weights of ours. ``MISTAKES``: edits of the file's text, one at a time, each with known mistakes that may be named.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

STYLES = Path(__file__).parents[1] / "styles"
FOLDER = STYLES / "published"
VOCABULARY = 23


def module_of(name: str, folder: Path = FOLDER) -> Any:
    """A file of this folder, imported under a name of its own."""
    key = f"_{folder.name}_{name}"
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, folder / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[key] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[key])
    return sys.modules[key]


@dataclass(frozen=True)
class Published:
    """One miniature. ``hf``: configuration and model class of transformers, and what its configuration is given.

    ``config``: "" where the model takes its sizes itself, "{}" where it takes them as a dictionary. ``renames``: from
    the names of our parameters to its own, one pattern after the other.
    """

    model: str
    config: str
    sizes: dict[str, Any]
    hf: tuple[str, str, dict[str, Any]]
    renames: tuple[tuple[str, str], ...] = ()
    transposed: str = "nothing"
    neighbours: str = "nothing"
    """Parameters whose rows are pairs of neighbours here and halves of a head there."""
    fused: str = ""
    """The name of a matrix that holds queries, keys and values where transformers has three."""
    swaps_mlp: bool = False
    folder: Path = FOLDER

    @property
    def head_size(self) -> int:
        """All have four heads, and a width of 16."""
        return int(self.sizes.get("head_dim", 4))

    def ours(self, name: str, seed: int = 0) -> nn.Module:
        """A small one with random weights, also where they start at ones or zeros."""
        torch.manual_seed(seed)
        module = module_of(name, self.folder)
        made = getattr(module, self.model)
        if not self.config:
            model: nn.Module = made(**self.sizes)
        else:
            model = made(self.sizes if self.config == "{}" else getattr(module, self.config)(**self.sizes))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.dim() > 1 else 0.5) + 0.1)
        return model.eval()

    def twin(self, ours: nn.Module) -> nn.Module:
        """The class of transformers with these weights. Raises KeyError where a parameter has no place there."""
        import transformers

        config_class, model_class, given = self.hf
        config = getattr(transformers, config_class)(**given, attn_implementation="eager")
        model: nn.Module = getattr(transformers, model_class)(config).eval()
        if self.swaps_mlp:  # one dense expert has no counterpart there: everything else is compared
            for layer, own in zip(model.model.layers, ours.layers, strict=True):
                layer.mlp = _WithScores(own.mlp)
        theirs = dict(model.named_parameters())
        with torch.no_grad():
            for name, parameter in self.separate(ours):
                for pattern, text in self.renames:
                    name = re.sub(pattern, text, name)
                value = parameter.T if re.search(self.transposed, name) else parameter
                if re.search(self.neighbours, name):
                    value = value.unflatten(0, (-1, self.head_size // 2, 2)).transpose(1, 2).reshape(value.shape)
                assert theirs[name].shape == value.shape, name
                theirs.pop(name).copy_(value)
            for parameter in theirs.values():  # a bias that ours lacks
                assert parameter.dim() == 1, "a weight was left out"
                parameter.zero_()
        return model

    def separate(self, ours: nn.Module) -> list[tuple[str, torch.Tensor]]:
        """Its parameters; queries, keys and values apart where one matrix [(4 + 2 G) K, D] holds them."""
        apart: list[tuple[str, torch.Tensor]] = []
        for name, parameter in ours.named_parameters():
            if self.fused and re.search(self.fused, name):
                queries = 4 * self.head_size
                rows = parameter.split((queries, *[(parameter.shape[0] - queries) // 2] * 2))
                apart += [(re.sub(self.fused, f"{part}_proj", name), rows[i]) for i, part in enumerate("qkv")]
            else:
                apart.append((name, parameter))
        return apart


class _WithScores(nn.Module):
    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.dense = mlp

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.dense(x), None


def _hugging(kv: int = 2, hidden: int = 24, layers: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": kv,
        **more,
    }


MODEL = ((r"^(?!lm_head)", "model."),)
THETA = {"rope_type": "default", "rope_theta": 10000.0}
rope = partial(dict, THETA)
SMALL: Callable[..., dict[str, Any]] = _hugging

PUBLISHED: dict[str, Published] = {
    "gpt2": Published(
        "GPT2",
        "GPT2Config",
        {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4},
        (
            "GPT2Config",
            "GPT2LMHeadModel",
            {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4},
        ),
        ((r"^", "transformer."),),
        r"c_(attn|fc|proj)\.weight",
    ),
    "gptj": Published(
        "GPTJ",
        "GPTJConfig",
        {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4},
        (
            "GPTJConfig",
            "GPTJForCausalLM",
            {
                "vocab_size": VOCABULARY,
                "n_positions": 16,
                "n_embd": 16,
                "n_layer": 2,
                "n_head": 4,
                "rotary_dim": 4,
                "tie_word_embeddings": False,
            },
        ),
        ((r"^(?!lm_head)", "transformer."),),
    ),
    "llama2": Published(
        "Llama2",
        "ModelArgs",
        {"dim": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "hidden_dim": 24, "vocab_size": VOCABULARY},
        ("LlamaConfig", "LlamaForCausalLM", SMALL(kv=4, rms_norm_eps=1e-5, rope_parameters=rope())),
        (
            ("tok_embeddings", "embed_tokens"),
            (r"attention\.w([qkvo])", r"self_attn.\1_proj"),
            (r"feed_forward\.w1", "mlp.gate_proj"),
            (r"feed_forward\.w2", "mlp.down_proj"),
            (r"feed_forward\.w3", "mlp.up_proj"),
            ("attention_norm", "input_layernorm"),
            ("ffn_norm", "post_attention_layernorm"),
            (r"^output\.", "lm_head."),
            *MODEL,
        ),
        neighbours=r"self_attn\.[qk]_proj",
    ),
    "llama3": Published(
        "Llama3",
        "Llama3Config",
        SMALL(),
        (
            "LlamaConfig",
            "LlamaForCausalLM",
            SMALL(
                rms_norm_eps=1e-5,
                rope_parameters={
                    "rope_type": "llama3",
                    "rope_theta": 500000.0,
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
            ),
        ),
        MODEL,
    ),
    "qwen3": Published(
        "Qwen3",
        "Qwen3Config",
        SMALL(head_dim=6),
        (
            "Qwen3Config",
            "Qwen3ForCausalLM",
            SMALL(head_dim=6, tie_word_embeddings=True, rope_parameters=rope(rope_theta=1e6)),
        ),
        MODEL,
    ),
    "gemma2": Published(
        "Gemma2",
        "Gemma2Config",
        SMALL(head_dim=6, sliding_window=3),
        (
            "Gemma2Config",
            "Gemma2ForCausalLM",
            SMALL(
                head_dim=6, sliding_window=3, query_pre_attn_scalar=6, rope_parameters=rope(), tie_word_embeddings=True
            ),
        ),
        MODEL,
    ),
    "gemma3": Published(
        "Gemma3",
        "Gemma3Config",
        SMALL(layers=7, head_dim=6, sliding_window=3),
        (
            "Gemma3TextConfig",
            "Gemma3ForCausalLM",
            SMALL(
                layers=7,
                head_dim=6,
                sliding_window=3,
                query_pre_attn_scalar=6,
                tie_word_embeddings=True,
                rope_parameters={"full_attention": rope(rope_theta=1e6), "sliding_attention": rope()},
            ),
        ),
        MODEL,
    ),
    "gpt_oss": Published(
        "GptOss",
        "GptOssConfig",
        SMALL(head_dim=6, sliding_window=3),
        (
            "GptOssConfig",
            "GptOssForCausalLM",
            SMALL(
                head_dim=6,
                sliding_window=3,
                num_local_experts=1,
                num_experts_per_tok=1,
                rope_parameters=rope(rope_theta=150000.0),
            ),
        ),
        ((r"mlp\.", "mlp.dense."), *MODEL),
        swaps_mlp=True,
    ),
    "nanochat": Published(
        "NanoChat",
        "GPTConfig",
        {"sequence_len": 16, "vocab_size": VOCABULARY, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 16},
        (
            "NanoChatConfig",
            "NanoChatForCausalLM",
            SMALL(hidden=64, final_logit_softcapping=15.0, rope_parameters=rope()),
        ),
        (
            (r"attn\.c_([qkv])", r"self_attn.\1_proj"),
            (r"attn\.c_proj", "self_attn.o_proj"),
            (r"mlp\.c_fc", "mlp.fc1"),
            (r"mlp\.c_proj", "mlp.fc2"),
            (r"^h\.", "layers."),
            ("wte", "embed_tokens"),
            *MODEL,
        ),
    ),
    "olmo2": Published(
        "Olmo2",
        "Olmo2Config",
        SMALL(),
        (
            "Olmo2Config",
            "Olmo2ForCausalLM",
            SMALL(rms_norm_eps=1e-6, rope_parameters=rope(rope_theta=500000.0), tie_word_embeddings=False),
        ),
        MODEL,
    ),
}

SHARED_KEYS = "k = k.repeat_interleave(self.heads // self.groups, dim=1)"
SHARED_VALUES = "v = v.repeat_interleave(self.heads // self.groups, dim=1)"
LAYERS = "for layer in self.layers:"

MISTAKES: dict[str, list[tuple[str, str, set[str]]]] = {
    "gpt2": [
        ("q.shape[-1] ** -0.5", "x.shape[-1] ** -0.5", {"attention.scaled_by_width"}),
        (".triu(1)", ".triu(2)", {"attention.one_future_position"}),
        ("self.ln_f(x) @", "x @", {"gpt2.final_norm_forgotten"}),
    ],
    "gptj": [
        (".triu(1)", ".triu(2)", {"attention.one_future_position"}),
        ("return x + self.attn(normed)", "return self.attn(normed)", {"block.first_residual_forgotten"}),
        ("self.lm_head(self.ln_f(x))", "self.lm_head(x)", {"gpt2.final_norm_forgotten"}),
    ],
    "llama2": [
        ("F.silu(self.w1(x))", "torch.sigmoid(self.w1(x))", {"swiglu.sigmoid_for_silu"}),
        ("return h + self", "return x + self", {"llama_block.second_residual_from_x"}),
        ("self.output(self.norm(h))", "self.output(h)", {"llama.final_norm_forgotten"}),
    ],
    "llama3": [
        (SHARED_VALUES, "v = v.repeat(1, self.heads // self.groups, 1, 1)", {"grouped_query_attention.values_tiled"}),
        ("return x + self.mlp", "return self.mlp", {"llama_block.second_residual_forgotten"}),
        (
            "x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)",
            "x / (x.pow(2).mean(-1, keepdim=True).sqrt() + self.eps)",
            {"rms_norm.eps_outside_the_root"},
        ),
    ],
    "qwen3": [
        ("self.k_norm(self.k_proj(x)", "(self.k_proj(x)", {"grouped_query_attention.only_queries_normed"}),
        ("is_causal=True", "is_causal=False", {"grouped_query_attention.no_mask"}),
        (LAYERS, "for layer in self.layers[:-1]:", {"llama.last_block_skipped"}),
    ],
    "gemma2": [
        ("self.post_feedforward_layernorm(self.mlp(", "(self.mlp(", {"llama_block.second_post_norm_forgotten"}),
        ("return cap * torch", "return torch", {"llama.final_softcap_not_scaled_back"}),
        (" * self.config.hidden_size**0.5", "", {"llama.embedding_scale_missing"}),
    ],
    "gemma3": [
        ("self.config.hidden_size**0.5", "self.config.hidden_size", {"llama.embedding_scaled_by_width"}),
        ("hidden = distance < 0", "hidden = distance < -1", {"grouped_query_attention.one_future_position"}),
        ("x = x + self.post_attention", "x = self.post_attention", {"llama_block.first_residual_forgotten"}),
    ],
    "gpt_oss": [
        (
            "torch.cat((scores, sinks), dim=-1).softmax(-1)[..., :-1]",
            "scores.softmax(-1)",
            {"grouped_query_attention.sinks_forgotten"},
        ),
        ("hidden = distance < 0", "hidden = distance < -1", {"grouped_query_attention.one_future_position"}),
        ("self.lm_head(self.norm(x))", "self.lm_head(x)", {"llama.final_norm_forgotten"}),
    ],
    "nanochat": [
        ("x + self.mlp(norm(x))", "x + self.mlp(x)", {"llama_block.second_norm_forgotten"}),
        ("self.lm_head(norm(x))", "self.lm_head(x)", {"llama.final_norm_forgotten"}),
        ("for block in self.h:", "for block in self.h[1:]:", {"llama.first_block_skipped"}),
    ],
    "olmo2": [
        (LAYERS, "for layer in reversed(self.layers):", {"llama.blocks_in_reverse"}),
        ("is_causal=True", "is_causal=False", {"grouped_query_attention.no_mask"}),
        ("self.lm_head(self.norm(x))", "self.lm_head(x)", {"llama.final_norm_forgotten"}),
    ],
}
"""An edit of the text, and the known mistakes of which one must be named."""
