"""The learned tensors that several contracts share, and how published modules name them.

``aliases`` are dotted suffixes, matched at the dots: ``c_attn.weight`` fits ``transformer.h.0.attn.c_attn.weight``.
Where several fit one name, the longest decides (``mlp.c_proj.weight``, not ``c_proj.weight``). They come from
the parameter names of openai/gpt-2, transformers, nanoGPT, minGPT, llm.c, LLMs-from-scratch, litgpt, TransformerLens,
CS336, x-transformers, torch.nn.MultiheadAttention, torch.nn.TransformerEncoderLayer and common lecture code.

A part that stands alone (``attention``) uses the short names; inside a block the same names stand under the part's own
(``attn.c_proj``, ``mlp.c_proj``), because some leaves belong to two parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from harness.core.composition import Joined
from harness.core.contract import Argument
from specs.naming import names

WEIGHTS = ("weight", "w")
BIASES = ("bias", "b")
GAINS = ("weight", "scale", "gamma", "gain", "g", "w", "a_2")
SHIFTS = ("bias", "shift", "beta", "b", "b_2")

QKV = names("c_attn qkv qkv_proj in_proj attn_qkv to_qkv query_key_value Wqkv W_qkv w_qkv kqv c_qkv")
QUERY = names("W_query query q_proj to_q wq w_q W_q Wq q query_proj q_linear linear_q queries q_attn")
KEY = names("W_key key k_proj to_k wk w_k W_k Wk k key_proj k_linear linear_k keys k_attn")
VALUE = names("W_value value v_proj to_v wv w_v W_v Wv v value_proj v_linear linear_v values v_attn")
OUT = names(
    "c_proj out_proj o_proj proj output_proj to_out to_out.0 wo w_o W_o Wo dense out output fc_out proj_out "
    "out_linear linear_out W_out_proj"
)
UP = names(
    "c_fc fc fc1 fc_1 linear1 linear_1 lin1 w1 W1 up up_proj fc_in dense_h_to_4h intermediate.dense w_1 expand "
    "layers.0 net.0 ff.0.0 ff.0 0"
)
DOWN = names(
    "c_proj proj fc2 fc_2 linear2 linear_2 lin2 w2 W2 down down_proj fc_out dense_4h_to_h output.dense w_2 "
    "contract layers.2 net.2 ff.2 2"
)
UP_ALONE, UP_BIAS_ALONE = names("W_in W1 w1 W_1 w_1 W_up w_up W_fc w_fc"), names("b_in b1 b_1 B1 b_up b_fc")
DOWN_ALONE, DOWN_BIAS_ALONE = names("W_out W2 w2 W_2 w_2 W_down w_down"), names("b_out b2 b_2 B2 b_down")
"""Of arrays that are no layer's."""

ATTENTION_OWNERS = names(
    "attn att attention self_attn self_attention sa sa_head sa_heads mha mhsa multi_head_attention "
    "multihead_attention causal_attn msa attn.attn attn.self"
)
MLP_OWNERS = names("mlp ff ffn ffwd feed_forward feedforward mlpf ff_net ffn_net")

NORM_1 = names(
    "ln_1 ln1 norm1 norm_1 layer_norm_1 layernorm1 layer_norm1 layernorm_1 norm_attn attn_norm attention_norm "
    "ln_attn attn_ln input_layernorm pre_attn_norm sa_norm"
)
NORM_2 = names(
    "ln_2 ln2 norm2 norm_2 layer_norm_2 layernorm2 layer_norm2 layernorm_2 norm_mlp mlp_norm ffn_norm ln_mlp "
    "mlp_ln norm_ff ff_norm post_attention_layernorm pre_mlp_norm ln_ff"
)
FINAL_NORM = names(
    "ln_f lnf final_norm ln_final final_layer_norm norm_f final_layernorm ln_out final_ln attn_layers.final_norm "
    "norm ln"
)
TOKENS = names(
    "wte tok_emb token_embedding token_embedding_table token_embeddings tok_embeddings embed_tokens tokens_embed "
    "token_emb.emb token_emb tok_embed token_embed word_embeddings embedding embeddings tok_embedding embed emb"
)
TIED_HEADS = names("lm_head out_head head unembed output to_logits output_projection output_head output_proj logits")
PLACES = names(
    "wpe pos_emb position_embedding position_embedding_table pos_embedding position_embeddings pos_embeddings "
    "positional_embedding pos_emb.emb pos_embed embed_positions positions_embed positional_embeddings"
)


def named(owners: Iterable[str], leaves: Iterable[str]) -> tuple[str, ...]:
    """Every ``owner.leaf``, owners in their order first."""
    return tuple(f"{owner}.{leaf}" for owner in owners for leaf in leaves)


def placed(argument: Argument, owners: Iterable[str], *more: str) -> Argument:
    """The same tensor inside something larger: its names under each owner's, and further whole names of its own."""
    owners = tuple(owners)
    slices = {part: named(owners, aliases) for part, aliases in argument.slices.items()}
    return replace(argument, aliases=(*named(owners, argument.aliases), *more), slices=slices)


KEYS_AND_VALUES = names("kv kv_proj c_kv to_kv wkv Wkv W_kv kv_linear key_value kv_attn")
GATE_AND_UP = names("gate_up_proj gate_up w13 w12 W13 gate_and_up gate_up_linear fc_gate_up")
HEADS_JOINED = (
    Joined(("query_weight", "key_weight", "value_weight"), (*named(QKV, WEIGHTS), "in_proj_weight", "qkv_weight")),
    Joined(("query_bias", "key_bias", "value_bias"), (*named(QKV, BIASES), "in_proj_bias", "qkv_bias")),
    Joined(("key_weight", "value_weight"), (*named(KEYS_AND_VALUES, WEIGHTS), "kv_weight")),
    Joined(("key_bias", "value_bias"), (*named(KEYS_AND_VALUES, BIASES), "kv_bias")),
)
"""Queries, keys and values in one tensor, or keys and values, where the contract keeps them apart."""
GATE_JOINED = (Joined(("gate_weight", "up_weight"), named(GATE_AND_UP, WEIGHTS)),)
"""Gate and up in one tensor, the gate first."""

QKV_WEIGHT = Argument(
    "qkv_weight",
    "float[3*width, width]",
    "parameter",
    aliases=(*named(QKV, WEIGHTS), "in_proj_weight", "qkv_weight"),
    slices={
        "query": (*named(QUERY, WEIGHTS), "q_proj_weight", *names("W_Q W_q w_q Wq wq W_query")),
        "key": (*named(KEY, WEIGHTS), "k_proj_weight", *names("W_K W_k w_k Wk wk W_key")),
        "value": (*named(VALUE, WEIGHTS), "v_proj_weight", *names("W_V W_v w_v Wv wv W_value")),
    },
)
QKV_BIAS = Argument(
    "qkv_bias",
    "float[3*width]",
    "parameter",
    optional=True,
    aliases=(*named(QKV, BIASES), "in_proj_bias", "qkv_bias"),
    slices={
        "query": (*named(QUERY, BIASES), "b_Q"),
        "key": (*named(KEY, BIASES), "b_K"),
        "value": (*named(VALUE, BIASES), "b_V"),
    },
)
OUT_WEIGHT = Argument(
    "out_weight",
    "float[width, width]",
    "parameter",
    aliases=(*named(OUT, WEIGHTS), *names("W_O W_o w_o Wo wo"), "out_weight"),
)
OUT_BIAS = Argument(
    "out_bias", "float[width]", "parameter", optional=True, aliases=(*named(OUT, BIASES), "b_O", "out_bias")
)
ATTENTION = (QKV_WEIGHT, QKV_BIAS, OUT_WEIGHT, OUT_BIAS)
"""The learned tensors of attention, in the order of its call."""

UP_WEIGHT = Argument(
    "up_weight", "float[hidden, width]", "parameter", aliases=(*named(UP, WEIGHTS), *UP_ALONE, "up_weight")
)
UP_BIAS = Argument(
    "up_bias", "float[hidden]", "parameter", optional=True, aliases=(*named(UP, BIASES), *UP_BIAS_ALONE, "up_bias")
)
DOWN_WEIGHT = Argument(
    "down_weight", "float[width, hidden]", "parameter", aliases=(*named(DOWN, WEIGHTS), *DOWN_ALONE, "down_weight")
)
DOWN_BIAS = Argument(
    "down_bias",
    "float[width]",
    "parameter",
    optional=True,
    aliases=(*named(DOWN, BIASES), *DOWN_BIAS_ALONE, "down_bias"),
)
MLP = (UP_WEIGHT, UP_BIAS, DOWN_WEIGHT, DOWN_BIAS)
"""The learned tensors of the feed-forward half, in the order of its call."""

NORM_1_WEIGHT = Argument("norm_1_weight", "float[width]", "parameter", aliases=named(NORM_1, GAINS))
NORM_1_BIAS = Argument("norm_1_bias", "float[width]", "parameter", optional=True, aliases=named(NORM_1, SHIFTS))
NORM_2_WEIGHT = Argument("norm_2_weight", "float[width]", "parameter", aliases=named(NORM_2, GAINS))
NORM_2_BIAS = Argument("norm_2_bias", "float[width]", "parameter", optional=True, aliases=named(NORM_2, SHIFTS))

OWNERLESS_OUT = ("out_proj", "to_out", "o_proj", "wo")


def within_a_block(argument: Argument) -> Argument:
    """A tensor of attention inside a block: under its owner's name, or, where no other part has such a leaf, alone."""
    inside = placed(argument, ATTENTION_OWNERS)
    leaves = BIASES if argument.name.endswith("bias") else WEIGHTS
    alone = argument.aliases if argument.slices else (*named(OWNERLESS_OUT, leaves), argument.name)
    slices = {part: (*inside.slices[part], *argument.slices[part]) for part in argument.slices}
    return replace(inside, aliases=(*inside.aliases, *alone), slices=slices)


BLOCK = (
    NORM_1_WEIGHT,
    NORM_1_BIAS,
    *(within_a_block(argument) for argument in ATTENTION),
    NORM_2_WEIGHT,
    NORM_2_BIAS,
    # torch.nn.TransformerEncoderLayer, and blocks that keep their layers without a part in between, have no owner.
    placed(UP_WEIGHT, MLP_OWNERS, *named(("linear1", "c_fc", "fc1", "mlp_fc", "1.ff.0.0"), WEIGHTS)),
    placed(UP_BIAS, MLP_OWNERS, *named(("linear1", "c_fc", "fc1", "mlp_fc", "1.ff.0.0"), BIASES)),
    placed(DOWN_WEIGHT, MLP_OWNERS, *named(("linear2", "fc2", "mlp_proj", "1.ff.2"), WEIGHTS)),
    placed(DOWN_BIAS, MLP_OWNERS, *named(("linear2", "fc2", "mlp_proj", "1.ff.2"), BIASES)),
)
"""What the weights of one block hold, in the order of the reference's docstring."""

TOKEN_EMBEDDING = Argument(
    "token_embedding",
    "float[vocab_size, width]",
    "parameter",
    aliases=(*named(TOKENS, WEIGHTS), "wte", "embed.W_E", "W_E", *named(TIED_HEADS, WEIGHTS), "unembed.W_U", "W_U"),
)
"""The tied head is this very tensor: a module that keeps a copy of it (``lm_head``) is given the same values there."""
POSITION_EMBEDDING = Argument(
    "position_embedding",
    "float[context, width]",
    "parameter",
    aliases=(
        *named(PLACES, WEIGHTS),
        "wpe",
        "pos_embed.W_pos",
        "W_pos",
        "pos_emb",
        "position_embedding",
        "pos_embedding",
    ),
)
FINAL_NORM_WEIGHT = Argument("final_norm_weight", "float[width]", "parameter", aliases=named(FINAL_NORM, GAINS))
FINAL_NORM_BIAS = Argument(
    "final_norm_bias", "float[width]", "parameter", optional=True, aliases=named(FINAL_NORM, SHIFTS)
)

GPT2 = (
    TOKEN_EMBEDDING,
    POSITION_EMBEDDING,
    Argument("blocks", "list[layers]", "parameter", fields=BLOCK),
    FINAL_NORM_WEIGHT,
    FINAL_NORM_BIAS,
)
"""What the weights of a whole model hold."""
