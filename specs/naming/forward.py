"""What the forward of a published module takes beside its input, by what is to be given there. Data only.

From transformers, meta-llama/llama, litgpt, LLMs-from-scratch, gpt-fast, torchtune, nanochat, mlx-examples and common
lecture code. Names are compared without capitals and underscores.
"""

from __future__ import annotations

from collections.abc import Mapping

from specs.naming import names

FORWARD: Mapping[str, tuple[str, ...]] = {
    "mask": names("mask attn_mask attention_mask causal_mask src_mask tgt_mask attn_bias bias_mask self_attn_mask"),
    "causal": names("is_causal causal use_causal_mask causal_attention apply_causal_mask"),
    "table": names(
        "freqs_cis freqs rope_freqs freqs_complex rope_cache rotary_freqs pos_freqs freq_cis pos_cis rope_table "
        "position_embeddings cos_sin rope rotary_pos_emb rotary_embedding rope_cos_sin freqs_cos_sin rotary "
        "cos_sin_cache rotary_embeddings rope_emb rotary_emb rope_tables rotary_tables position_embedding"
    ),
    "cos": names("cos freqs_cos rope_cos cos_cached rotary_cos cosines cos_table"),
    "sin": names("sin freqs_sin rope_sin sin_cached rotary_sin sines sin_table"),
    "positions": names(
        "position_ids positions pos_ids input_pos token_positions pos cache_position input_positions positions_ids"
    ),
    "start": names(
        "start_pos offset start pos_offset start_position cache_offset cur_pos start_index past_length seq_offset"
    ),
    "length": names("seq_len seq_length seqlen length T max_seq_len"),
    "nothing": names(
        "cache kv_cache past_key_values past_key_value layer_past past_kv past inference_params head_mask "
        "padding_mask key_padding_mask src_key_padding_mask memory memory_mask encoder_hidden_states "
        "encoder_attention_mask cu_seqlens inputs_embeds targets labels y adapter kv_caches block_mask"
    ),
    "same": names("key value k v keys values key_value_states kv_input"),
    "off": names(
        "use_cache output_attentions need_weights return_attention return_weights return_attn output_hidden_states"
    ),
    "maker": names("rope rotary freq cossin sincos rotation"),
    "lengths": names(
        "end length n_positions max_position_embeddings context_length max_len max_positions n_ctx block_size "
        "max_seq_length max_sequence_length context_size maxlen max_seqlen"
    ),
    "base": names("theta base rope_theta theta_base rope_base rotary_base freq_base rope_theta_base"),
}
"""Role -> the names of such arguments. ``table``: of cosines and sines, in one; ``same``: the input once more;
``maker``: what the names of functions and classes that compute such tables contain."""

APPLIERS = names("applyrope applyrotary rotate rotary rope applyembedding")
"""What the names of functions contain that rotate with given tables."""
METHODS = names("rotate_queries_or_keys rotate apply_rotary apply rotate_half_with_cache")
"""Methods of a class that rotate, beside its forward pass."""
ROTATION_SIZES = names("d dim size n_elem dims rotary_dim rot_dim head_size head_dim d_k features d_head dim_head")
"""What constructors of a rotation call the number of features of a head."""
ROTATION_TENSORS = names("x q k xq xk query key queries keys input t tensor in_query_or_key q_or_k hidden_states")
"""What a function that rotates calls what it rotates."""
