"""How published constructors and configurations name the sizes of a GPT-2.

From openai/gpt-2, transformers, nanoGPT, minGPT, llm.c, LLMs-from-scratch, litgpt, TransformerLens, CS336,
x-transformers, torch.nn and common lecture code. Names are compared without capitals and underscores.
"""

from __future__ import annotations

from collections.abc import Mapping

from specs.naming import names

SIZES: Mapping[str, tuple[str, ...]] = {
    "width": names(
        "n_embd d_model hidden_size emb_dim embed_dim embedding_dim dim n_embed embed_size model_dim hidden_dim "
        "n_state emb_size embedding_size d_embed d_emb width channels features normalized_shape ndim d size "
        "n_features num_features d_in d_out in_dim out_dim model_size embd_dim embd dmodel n_dim hidden dims "
        "model_dims embedding_dims embed_dims C"
    ),
    "heads": names(
        "n_head n_heads num_heads num_attention_heads heads nhead nheads head_count h n_attention_heads "
        "attention_heads num_head query_heads n_query_heads num_query_heads q_heads n_heads_q num_q_heads H"
    ),
    "kv_heads": names(
        "num_key_value_heads n_kv_heads num_kv_heads n_kv_head kv_heads num_query_groups n_query_groups query_groups "
        "num_kv_groups n_kv_groups kv_groups key_value_heads num_kv_head nkv_heads n_heads_kv n_head_kv kv_n_heads "
        "n_key_value_heads num_heads_kv"
    ),
    "group_size": names("num_key_value_groups n_rep group_size queries_per_group heads_per_group q_per_kv"),
    "layers": names(
        "n_layer n_layers num_layers num_hidden_layers depth layers n_blocks num_blocks num_transformer_blocks "
        "n_transformer_blocks num_layer nlayers L"
    ),
    "context": names(
        "block_size n_ctx n_positions context_length max_seq_len max_position_embeddings max_len seq_len "
        "context_size max_seq_length context ctx_len context_len sequence_length max_length n_context ctx_size "
        "max_context window_size max_positions seq_length max_sequence_length num_positions max_position max_seqlen "
        "ctx maxlen max_sequence_len context_window max_context_length sequence_len T"
    ),
    "vocab_size": names(
        "vocab_size d_vocab n_vocab vocab num_embeddings vocabulary_size num_tokens n_tokens vocab_len "
        "d_vocab_out padded_vocab_size vocab_size_or_config_json_file words n_words num_words vocab_dim V"
    ),
    "hidden": names(
        "d_mlp d_ff n_inner intermediate_size ff_dim dim_feedforward mlp_dim ffn_dim d_hidden inner_dim ff_hidden "
        "hidden_features n_hidden ffn_hidden mlp_hidden ff_size d_inner feedforward_dim ffn_hidden_size mlp_size "
        "hidden_size hidden_dim hidden"
    ),
    "head_size": names(
        "d_head head_dim head_size dim_head d_k d_v d_key d_value size_per_head head_dims kv_channels dim_per_head "
        "attention_head_dim"
    ),
    "window": names(
        "sliding_window attention_window local_window win_size sliding_window_size window local_window_size "
        "attention_window_size local_attention_window window_length"
    ),
    "rope_base": names(
        "rope_theta rope_base theta base rotary_base rotary_emb_base rope_freq_base theta_base rope_theta_base "
        "rotary_embedding_base freq_base"
    ),
    "multiple_of": names("multiple_of make_ffn_dim_divisible_by ffn_multiple_of hidden_multiple_of"),
    "hidden_factor": names("ffn_dim_multiplier ffn_multiplier"),
    "ratio": names(
        "mlp_ratio ff_mult expansion mult mlp_mult expansion_factor ffn_mult widening_factor mlp_expansion ff_expansion"
    ),
    "eps": names(
        "eps layer_norm_eps layer_norm_epsilon norm_eps ln_eps epsilon layernorm_eps layernorm_epsilon ln_epsilon "
        "norm_epsilon rms_norm_eps rms_eps rmsnorm_eps rms_norm_epsilon variance_epsilon"
    ),
}
"""Size -> its usual names. A name under two sizes (``hidden_size``) is the later one where another name fits the
earlier."""

SIZES_OF_GPT2: Mapping[str, tuple[str, ...]] = {
    **SIZES,
    "rotary_share": names(
        "rotary_pct partial_rotary_factor rotary_percentage rotary_percent rotary_fraction rope_percentage"
    ),
}
"""With the share of a head that is rotated, which is a form of grouped-query attention alone: all of it."""

GROUPED_SIZES: Mapping[str, tuple[str, ...]] = {
    **SIZES,
    "kv_heads": (*SIZES["kv_heads"], "n_groups", "num_groups", "groups"),
}
"""With the names that mean key-value heads only beside attention in groups."""
