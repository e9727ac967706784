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
        "n_features num_features d_in d_out in_dim out_dim model_size embd_dim embd dmodel n_dim hidden C"
    ),
    "heads": names(
        "n_head n_heads num_heads num_attention_heads heads nhead nheads head_count h n_attention_heads "
        "attention_heads num_head"
    ),
    "layers": names(
        "n_layer n_layers num_layers num_hidden_layers depth layers n_blocks num_blocks num_transformer_blocks "
        "n_transformer_blocks num_layer nlayers L"
    ),
    "context": names(
        "block_size n_ctx n_positions context_length max_seq_len max_position_embeddings max_len seq_len "
        "context_size max_seq_length context ctx_len context_len sequence_length max_length n_context ctx_size "
        "max_context window_size max_positions seq_length max_sequence_length num_positions ctx T"
    ),
    "vocab_size": names(
        "vocab_size d_vocab n_vocab vocab num_embeddings vocabulary_size num_tokens n_tokens vocab_len "
        "d_vocab_out padded_vocab_size vocab_size_or_config_json_file V"
    ),
    "hidden": names(
        "d_mlp d_ff n_inner intermediate_size ff_dim dim_feedforward mlp_dim ffn_dim d_hidden inner_dim ff_hidden "
        "hidden_features n_hidden ffn_hidden mlp_hidden ff_size d_inner feedforward_dim ffn_hidden_size mlp_size "
        "hidden_size hidden_dim hidden"
    ),
    "head_size": ("d_head", "head_dim", "head_size", "dim_head", "d_k", "d_v", "d_key", "d_value", "size_per_head"),
    "ratio": names(
        "mlp_ratio ff_mult expansion mult mlp_mult expansion_factor ffn_mult widening_factor mlp_expansion ff_expansion"
    ),
    "eps": names(
        "eps layer_norm_eps layer_norm_epsilon norm_eps ln_eps epsilon layernorm_eps layernorm_epsilon ln_epsilon "
        "norm_epsilon"
    ),
}
"""Size -> its usual names. A name under two sizes (``hidden_size``) is the later one where another name fits the
earlier."""
