"""The learned tensors of Llama and its relatives, and how published modules name them.

From the parameter names of meta-llama/llama, transformers (Llama, Mistral, Qwen2, Qwen3, Gemma 2 and 3, OLMo 2,
GPT-OSS), litgpt, llama2.c, LLMs-from-scratch, CS336, nanochat, torchtune and gpt-fast. See specs/naming/parameters.py
for how the names are read.
"""

from __future__ import annotations

from dataclasses import replace

from harness.core.contract import Argument
from specs.naming import names
from specs.naming.parameters import (
    ATTENTION_OWNERS,
    BIASES,
    FINAL_NORM,
    GAINS,
    KEY,
    MLP_OWNERS,
    NORM_1,
    NORM_2,
    OUT,
    QUERY,
    TIED_HEADS,
    TOKENS,
    VALUE,
    WEIGHTS,
    named,
    placed,
)

GATE = names("w1 gate_proj w_gate gate fc_1 fc1 W1 gate_linear linear_gate wi_0 w_1 Wg linear_1 linear1 c_fc1 lin1")
GATED_UP = names("w3 up_proj w_up up fc_2 fc2 W3 up_linear linear_up wi_1 w_3 value_proj linear_2 linear2 c_fc2 lin2")
UNGATED_UP = names("c_fc up_proj fc_in fc1 fc_1 linear1 linear_1 lin1")
GATED_DOWN = names(
    "w2 down_proj w_down down proj c_proj W2 down_linear linear_down wo w_2 out_proj fc3 fc_3 linear_3 linear3 lin3 "
    "fc2 fc_2 linear2 linear_2 lin2"
)
Q_NORM = names("q_norm query_norm q_layernorm norm_q q_ln ln_q query_layernorm q_rmsnorm qnorm")
K_NORM = names("k_norm key_norm k_layernorm norm_k k_ln ln_k key_layernorm k_rmsnorm knorm")
OWN_HEADS = (*TIED_HEADS, *names("linear linear_out fc fc_out final_proj final_linear vocab_proj to_vocab classifier"))
SINKS = names("sinks sink attn_sinks attention_sinks sink_logits s_aux")
BEFORE_ATTENTION = names(
    "attention_norm input_layernorm att_norm rms_1 rms1 rmsnorm1 rmsnorm_1 rms_norm_1 rms_norm1 pre_attention_norm "
    "pre_attention_layernorm attention_layernorm self_attn_norm self_attn_layer_norm sa_norm"
)
BEFORE_MLP = names(
    "ffn_norm pre_feedforward_layernorm pre_ffn_norm rms_2 rms2 rmsnorm2 rmsnorm_2 rms_norm_2 rms_norm2 "
    "ffn_layernorm feedforward_norm feed_forward_norm pre_mlp_layernorm post_attention_layernorm pre_feedforward_norm"
)
AFTER_ATTENTION = names(
    "post_attention_layernorm post_attention_norm post_attn_norm post_self_attn_layernorm attn_post_norm post_sa_norm"
)
AFTER_MLP = names("post_feedforward_layernorm post_feedforward_norm post_ffn_norm post_mlp_norm post_mlp_layernorm")


def _optional(name: str, kind: str, *aliases: str, structural: bool = False, default: float | None = None) -> Argument:
    aliases = (*aliases, name)
    by_name = structural or default is None  # gains are read by code that knows nothing else
    return Argument(name, kind, "parameter", True, aliases, default=default, by_name=by_name, structural=structural)


def _required(name: str, kind: str, *aliases: str) -> Argument:
    return Argument(name, kind, "parameter", aliases=(*aliases, name))


GROUPED_PROJECTIONS = (
    _required("query_weight", "float[heads*head_size, width]", *named(QUERY, WEIGHTS), "W_Q"),
    _required("key_weight", "float[kv_heads*head_size, width]", *named(KEY, WEIGHTS), "W_K"),
    _required("value_weight", "float[kv_heads*head_size, width]", *named(VALUE, WEIGHTS), "W_V"),
    _required("out_weight", "float[width, heads*head_size]", *named(OUT, WEIGHTS), "W_O"),
)
GROUPED_OPTIONS = (
    _optional("query_bias", "float[heads*head_size]", *named(QUERY, BIASES), "b_Q"),
    _optional("key_bias", "float[kv_heads*head_size]", *named(KEY, BIASES), "b_K"),
    _optional("value_bias", "float[kv_heads*head_size]", *named(VALUE, BIASES), "b_V"),
    _optional("out_bias", "float[width]", *named(OUT, BIASES), "b_O"),
    _optional("q_norm_weight", "float[head_size]", *named(Q_NORM, GAINS), structural=True),
    _optional("k_norm_weight", "float[head_size]", *named(K_NORM, GAINS), structural=True),
    _optional("sinks", "float[heads]", *SINKS, *named(SINKS, WEIGHTS), structural=True),
)
"""The learned tensors of grouped-query attention: those that are always there, and those that may be."""

FEED_FORWARD = (
    _optional("gate_weight", "float[hidden, width]", *named(GATE, WEIGHTS), structural=True),
    _required("up_weight", "float[hidden, width]", *named((*GATED_UP, *UNGATED_UP), WEIGHTS)),
    _required("down_weight", "float[width, hidden]", *named(GATED_DOWN, WEIGHTS)),
)

LLAMA_BLOCK = (
    _optional("norm_1_weight", "float[width]", *named((*NORM_1, *BEFORE_ATTENTION), GAINS), default=1.0),
    *(
        replace(placed(a, ATTENTION_OWNERS), aliases=(*placed(a, ATTENTION_OWNERS).aliases, *a.aliases))
        for a in (*GROUPED_PROJECTIONS, *GROUPED_OPTIONS)
    ),
    _optional("norm_2_weight", "float[width]", *named((*NORM_2, *BEFORE_MLP), GAINS), default=1.0),
    *(replace(placed(a, MLP_OWNERS), aliases=(*placed(a, MLP_OWNERS).aliases, *a.aliases)) for a in FEED_FORWARD),
    _optional("post_norm_1_weight", "float[width]", *named(AFTER_ATTENTION, GAINS), structural=True),
    _optional("post_norm_2_weight", "float[width]", *named(AFTER_MLP, GAINS), structural=True),
)
"""What the weights of one block hold."""

LLAMA = (
    _required("token_embedding", "float[vocab_size, width]", *named(TOKENS, WEIGHTS), "wte", "W_E"),
    Argument("blocks", "list[layers]", "parameter", fields=LLAMA_BLOCK),
    _optional("final_norm_weight", "float[width]", *named(FINAL_NORM, GAINS), default=1.0),
    _optional("head_weight", "float[vocab_size, width]", *named(OWN_HEADS, WEIGHTS), "W_U", structural=True),
)
"""What the weights of a whole model hold."""

LLAMA_CONFIG = (
    Argument("vocab_size", "int", role="setting"),
    Argument("context", "int >= time", role="setting"),
    *(Argument(name, "int", role="setting") for name in ("width", "heads")),
    Argument("kv_heads", "int", role="setting", optional=True),
    Argument("head_size", "int", role="setting", optional=True),
    *(Argument(name, "int", role="setting") for name in ("hidden", "layers")),
    Argument("norm_eps", "float", role="setting", optional=True, default=1e-5),
    Argument("rope_base", "float", role="setting", optional=True, default=10000.0),
    Argument("window", "int", role="setting", optional=True),
)
"""The fields of a configuration; leaving kv_heads out means as many as heads, head_size the width over the heads."""

LLAMA_MODELS = names(
    "llama llamaforcausallm llamamodel llama2 llama3 llama2model llama3model mistral mistralforcausallm qwen qwen2 "
    "qwen3 qwenmodel qwen3model qwenforcausallm gemma gemmamodel gemmaforcausallm gemma2forcausallm olmo olmo2 "
    "forcausallm llm slm nanochat nanollama minillama smollm transformerdecoder"
)
LLAMA_BLOCKS = names(
    "llamablock llamadecoderlayer llamalayer mistraldecoderlayer qwenblock qwen3block gemmablock "
    "transformerselfattentionlayer"
)
"""Names of classes that few others have."""
