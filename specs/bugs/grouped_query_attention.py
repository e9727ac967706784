"""Known mistakes in grouped-query attention."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.grouped_query_attention import grouped_query_attention
from reference_model.rotary import llama3_scaling, rotary_tables, yarn_scaling

Q, K, V = (f"{n[0]} = linear(x, {n}_weight, {n}_bias)" for n in ("query", "key", "value"))
SPLIT_Q = "q = q.reshape(batch, time, n_heads, head_size)"
SPLIT_K, SPLIT_V = (f"{n} = {n}.reshape(batch, time, n_kv_heads, head_size)" for n in "kv")
TURN_Q, TURN_K, TURN_V = (f"{n} = {n}.transpose(1, 2)" for n in "qkv")
KEYS = "keys = turned_k.repeat_interleave(shared_by, dim=1)"
VALUES = "values = v.repeat_interleave(shared_by, dim=1)"
SCALE = "scale = 1.0 / math.sqrt(head_size)"
SCORES = "scores = turned_q @ keys.transpose(-2, -1) * scale"
CAPPED = "capped = scores if softcap is None else softcap * torch.tanh(scores / softcap)"
FUTURE = "future = everywhere.triu(diagonal=1)"
MASKED = 'masked = capped.masked_fill(hidden, float("-inf"))'
SOFTMAX = "weights = softmax(masked, dim=-1) if sinks is None else softmax_beside(masked, sinks)"
MIXED = "mixed = weights @ values"
TOGETHER = "together = mixed.transpose(1, 2)"
RESULT = "return linear(merged, out_weight, out_bias)"

HIDDEN = "hidden = future if span is None else future | everywhere.tril(diagonal=-span)"
NORM_Q, NORM_K = (f"{n} = norm_of_heads({n}, {n}_norm_weight, eps)" for n in "qk")
ROTATED_Q, ROTATED_K = (f"turned_{n} = rotate({n}, layout, base)" for n in "qk")
ROTARY, CAP = ("positions=rotary_halves",), ("softcap=2",)
gqa = grouped_query_attention

MISTAKES = (
    # a soft cap, where one is declared
    KnownMistake("softcap_after_the_mask", "The soft cap is applied after the mask: tanh makes -inf the lowest capped score, and later positions get weight again. Cap the scores, then mask them.",
        gqa, CAPPED, "capped = scores", also=(Edit(gqa, MASKED, MASKED + "\nmasked = masked if softcap is None else softcap * torch.tanh(masked / softcap)"),), under=("softcap=5",)),
    KnownMistake("softcap_not_multiplied_back", "The capped scores are not multiplied by the cap: tanh leaves them between -1 and 1. The soft cap is cap * tanh(score / cap).",
        gqa, CAPPED, "capped = scores if softcap is None else torch.tanh(scores / softcap)", under=("softcap=5",)),
    # which group a head uses
    KnownMistake("keys_tiled", "The keys are repeated in the order 0 1 0 1, the values in the order 0 0 1 1. Both must be 0 0 1 1.",
        gqa, KEYS, "keys = turned_k.repeat(1, shared_by, 1, 1)"),
    KnownMistake("values_tiled", "The values are repeated in the order 0 1 0 1, the keys in the order 0 0 1 1. Both must be 0 0 1 1.",
        gqa, VALUES, "values = v.repeat(1, shared_by, 1, 1)"),
    KnownMistake("repeated_along_time", "Keys and values are repeated along the time axis, the wrong axis for this layout. Repeat them along the heads.",
        gqa, KEYS, "keys = turned_k.repeat_interleave(shared_by, dim=2)[:, :, :time].repeat_interleave(shared_by, dim=1)",
        also=(Edit(gqa, VALUES, "values = v.repeat_interleave(shared_by, dim=2)[:, :, :time].repeat_interleave(shared_by, dim=1)"),),
        seen_in=("PrimeIntellect-ai/prime-rl#2681", "ByteDance-Seed/VeOmni#162")),
    KnownMistake("first_group_for_all", "All heads use the keys and values of the first group.",
        gqa, KEYS, "keys = turned_k[:, :1].repeat(1, n_heads, 1, 1)", also=(Edit(gqa, VALUES, "values = v[:, :1].repeat(1, n_heads, 1, 1)"),)),
    KnownMistake("groups_averaged", "All heads use the mean of the groups' keys and values.",
        gqa, KEYS, "keys = turned_k.mean(1, keepdim=True).repeat(1, n_heads, 1, 1)",
        also=(Edit(gqa, VALUES, "values = v.mean(1, keepdim=True).repeat(1, n_heads, 1, 1)"),)),
    KnownMistake("groups_in_reverse", "The groups are used in reverse order.",
        gqa, KEYS, "keys = turned_k.flip(1).repeat_interleave(shared_by, dim=1)",
        also=(Edit(gqa, VALUES, "values = v.flip(1).repeat_interleave(shared_by, dim=1)"),)),
    KnownMistake("groups_off_by_one", "Head h uses the group of head h + 1.",
        gqa, KEYS, "keys = turned_k.repeat_interleave(shared_by, dim=1).roll(-1, 1)",
        also=(Edit(gqa, VALUES, "values = v.repeat_interleave(shared_by, dim=1).roll(-1, 1)"),)),
    KnownMistake("query_heads_strided", "The features of a query head are taken with a stride of H. The features of a head are contiguous.",
        gqa, SPLIT_Q, "q = q.reshape(batch, time, head_size, n_heads).transpose(2, 3)"),
    KnownMistake("key_value_heads_strided", "The features of a key-value head are taken with a stride of G. The features of a head are contiguous.",
        gqa, SPLIT_K, "k = k.reshape(batch, time, head_size, n_kv_heads).transpose(2, 3)",
        also=(Edit(gqa, SPLIT_V, "v = v.reshape(batch, time, head_size, n_kv_heads).transpose(2, 3)"),)),
    KnownMistake("split_without_transpose", "q, k and v are viewed as [B, heads, T, K] directly, which mixes positions with heads. View as [B, T, heads, K], then transpose(1, 2).",
        gqa, SPLIT_Q, "q = q.reshape(batch, n_heads, time, head_size)",
        also=(Edit(gqa, SPLIT_K, "k = k.reshape(batch, n_kv_heads, time, head_size)"),
              Edit(gqa, SPLIT_V, "v = v.reshape(batch, n_kv_heads, time, head_size)"),
              *(Edit(gqa, turn, f"{turn[0]} = {turn[0]}") for turn in (TURN_Q, TURN_K, TURN_V)))),
    KnownMistake("keys_and_values_without_transpose", "k and v are viewed as [B, G, T, K] directly, which mixes positions with heads. View as [B, T, G, K], then transpose(1, 2).",
        gqa, SPLIT_K, "k = k.reshape(batch, n_kv_heads, time, head_size)",
        also=(Edit(gqa, SPLIT_V, "v = v.reshape(batch, n_kv_heads, time, head_size)"),
              *(Edit(gqa, turn, f"{turn[0]} = {turn[0]}") for turn in (TURN_K, TURN_V))), aliases=("keys_without_transpose",)),
    KnownMistake("merged_without_transpose", "The heads are merged without transpose(1, 2) before the reshape. This mixes positions with heads.",
        gqa, TOGETHER, "together = mixed"),
    # which weight is which
    KnownMistake("keys_and_values_exchanged", "The key weight and the value weight are exchanged.",
        gqa, K, "k = linear(x, value_weight, value_bias)", also=(Edit(gqa, V, "v = linear(x, key_weight, key_bias)"),)),
    KnownMistake("keys_for_values", "The attention weights are applied to the keys. They must be applied to the values.", gqa, MIXED, "mixed = weights @ keys"),
    KnownMistake("query_weight_transposed", "Your query_weight is [in, out]. It must be [out, in], as in torch.nn.Linear.",
        gqa, Q, "q = linear(x, query_weight.transpose(0, 1), query_bias)"),
    KnownMistake("out_weight_transposed", "Your out_weight is [in, out]. It must be [out, in], as in torch.nn.Linear.",
        gqa, RESULT, "return linear(merged, out_weight.transpose(0, 1), out_bias)"),
    KnownMistake("out_projection_forgotten", "The heads are concatenated but not projected: out_weight is not used.", gqa, RESULT, "return merged + 0 * linear(merged, out_weight, out_bias)"),
    KnownMistake("residual_inside", "x is added inside attention. The block adds the residual itself, so it counts twice.", gqa, RESULT, "return x + linear(merged, out_weight, out_bias)"),
    # the scale
    KnownMistake("scaled_by_width", "The scores are divided by sqrt(D), the root of the width. Divide by sqrt(K), the root of the head size.",
        gqa, SCALE, "scale = 1.0 / math.sqrt(width)"),
    KnownMistake("scaled_by_the_width_of_a_group", "The scores are divided by sqrt(D / G). Divide by sqrt(K), with K = D / H.",
        gqa, SCALE, "scale = 1.0 / math.sqrt(width // n_kv_heads)"),
    KnownMistake("unscaled", "The scores are not divided by sqrt(K).", gqa, SCALE, "scale = 1.0"),
    KnownMistake("scaled_by_head_size_without_root", "The scores are divided by K. Divide by its root, sqrt(K).", gqa, SCALE, "scale = 1.0 / head_size", aliases=("scaled_by_the_head_size_itself",)),
    # the mask and the softmax
    KnownMistake("no_mask", "There is no causal mask: every position sees the whole sequence.", gqa, MASKED, "masked = capped"),
    KnownMistake("one_future_position", "Each position sees the next one too: the mask starts at diagonal=2. It must start at diagonal=1.", gqa, FUTURE, "future = everywhere.triu(diagonal=2)"),
    KnownMistake("mask_inverted", "The mask is inverted: it hides earlier positions and shows later ones.", gqa, FUTURE, "future = ~everywhere.triu(diagonal=1)"),
    KnownMistake("only_first_group_masked", "Only the heads of the first group are masked (the mask was made for G heads).",
        gqa, MASKED, 'masked = torch.cat([capped[:, :shared_by].masked_fill(hidden, float("-inf")), capped[:, shared_by:]], 1)', aliases=("first_group_masked",)),
    KnownMistake("mask_after_softmax", "The mask is applied after the softmax, so the remaining weights no longer sum to one. Set the scores to -inf before the softmax.",
        gqa, MASKED, "masked = capped", also=(Edit(gqa, SOFTMAX, "weights = softmax(masked, dim=-1).masked_fill(hidden, 0.0)"),)),
    KnownMistake("softmax_over_queries", "The softmax runs over the queries (dim=-2). It must run over the keys (dim=-1).", gqa, SOFTMAX, "weights = softmax(masked, dim=-2)"),
    KnownMistake("softmax_over_heads", "The softmax runs over the heads (dim=1). It must run over the keys (dim=-1).", gqa, SOFTMAX, "weights = softmax(masked, dim=1)"),
    KnownMistake("softmax_in_bfloat16", "The softmax is computed in bfloat16, which keeps about two significant digits.",
        gqa, SOFTMAX, "weights = softmax(masked.to(torch.bfloat16), dim=-1).to(x.dtype)"),
    # biases, norms of queries and keys, sinks
    KnownMistake("query_bias_forgotten", "The bias of the queries is not added.", gqa, Q, "q = linear(x, query_weight)"),
    KnownMistake("key_and_value_biases_exchanged", "The biases of keys and values are exchanged.",
        gqa, K, "k = linear(x, key_weight, value_bias)", also=(Edit(gqa, V, "v = linear(x, value_weight, key_bias)"),)),
    KnownMistake("out_bias_forgotten", "The bias of the output projection is not added.", gqa, RESULT, "return linear(merged, out_weight)"),
    KnownMistake("only_queries_normed", "The queries are normalised and the keys are not.", gqa, NORM_K, "k = k"),
    KnownMistake("values_normed", "The values are normalised with the gain of the keys. Only queries and keys are normalised.",
        gqa, NORM_K, NORM_K + "\nv = norm_of_heads(v, k_norm_weight, eps)"),
    KnownMistake("qk_norm_without_gain", "The norms of queries and keys do not use their gains.",
        gqa, NORM_Q, "q = q if q_norm_weight is None else norm_of_heads(q, torch.ones_like(q_norm_weight), eps)",
        also=(Edit(gqa, NORM_K, "k = k if k_norm_weight is None else norm_of_heads(k, torch.ones_like(k_norm_weight), eps)"),)),
    KnownMistake("qk_norm_eps_fixed", "eps of the norms of queries and keys is fixed at 1e-6, whatever is configured.",
        gqa, NORM_Q, NORM_Q.replace("eps)", "1e-6)"), also=(Edit(gqa, NORM_K, NORM_K.replace("eps)", "1e-6)")),)),
    KnownMistake("sinks_forgotten", "The sinks are not used: the weights of the keys sum to one.", gqa, SOFTMAX, "weights = softmax(masked, dim=-1)"),
    KnownMistake("sinks_added_to_the_scores", "The sinks are added to the scores of every key, which changes nothing. A sink is one more key without a value.",
        gqa, SOFTMAX, "weights = softmax(masked if sinks is None else masked + sinks.reshape(-1, 1, 1), dim=-1)", looks_like=("sinks_forgotten",)),
    KnownMistake("first_column_for_the_sink", "The weight of the sink is kept and that of the last key is dropped: the sink stands before the keys, and the last column is cut off.",
        gqa, SOFTMAX, "weights = softmax(masked, dim=-1) if sinks is None else softmax(torch.cat((sinks.reshape(-1, 1, 1).expand(*masked.shape[:-1], 1), masked), dim=-1), dim=-1)[..., :-1]"),
    KnownMistake("scaled_by_width_over_heads", "The scores are divided by sqrt(D / H). Where the head size is configured, divide by its root.",
        gqa, SCALE, "scale = 1.0 / math.sqrt(x.shape[-1] / n_heads)"),
    # the window
    KnownMistake("window_ignored", "Every position sees the whole past, whatever window is configured.", gqa, HIDDEN, "hidden = future if span is None else future"),
    KnownMistake("window_one_too_wide", "A position sees one position more than the window, which includes itself.", gqa, HIDDEN, HIDDEN.replace("-span)", "-span - 1)")),
    KnownMistake("window_one_too_narrow", "A position sees one position less than the window, which includes itself.", gqa, HIDDEN,
        "hidden = future if span is None else future | everywhere.tril(diagonal=-max(span - 1, 1))"),
    KnownMistake("window_without_the_causal_mask", "With a window, the future is not hidden.", gqa, HIDDEN, "hidden = future if span is None else everywhere.tril(diagonal=-span)"),
    # the soft cap
    KnownMistake("softcap_before_the_scale", "The products are capped, then scaled. Scale first.",
        gqa, CAPPED, "capped = scale * softcap * torch.tanh(scores / scale / softcap)", under=CAP),
    KnownMistake("softcap_clamps", "The scores are cut off at the cap. The cap is smooth: cap tanh(score / cap).", gqa, CAPPED, "capped = scores.clamp(-softcap, softcap)", under=CAP),
    # rotary positions
    KnownMistake("values_rotated", "The values are rotated too. Only queries and keys are.", gqa, VALUES, "values = rotate(v, layout, base).repeat_interleave(shared_by, dim=1)", under=ROTARY),
    KnownMistake("only_queries_rotated", "The queries are rotated and the keys are not.", gqa, ROTATED_K, "turned_k = k", under=ROTARY),
    KnownMistake("only_keys_rotated", "The keys are rotated and the queries are not.", gqa, ROTATED_Q, "turned_q = q", under=ROTARY),
    KnownMistake("rotated_along_the_heads", "Heads are rotated by the number of the head. Rotate by the position in the sequence.",
        gqa, ROTATED_Q, "turned_q = rotate(q.transpose(1, 2), layout, base).transpose(1, 2)",
        also=(Edit(gqa, ROTATED_K, "turned_k = rotate(k.transpose(1, 2), layout, base).transpose(1, 2)"),), under=ROTARY),
    KnownMistake("layouts_mixed", "The queries are rotated in halves, the keys with neighbours as pairs.", gqa, ROTATED_K, 'turned_k = rotate(k, "rotary", base)', under=ROTARY),
    KnownMistake("rope_base_fixed", "The base is 10000, whatever is configured.", gqa, "base = rope_base", "base = min(rope_base, 10000.0)", under=ROTARY),
    KnownMistake("exponents_of_all_features", "The exponents are i / K. They are 2i / K for pair i.",
        rotary_tables, "exponents = torch.arange(0, size, 2, dtype=torch.float64) / size", "exponents = torch.arange(size // 2, dtype=torch.float64) / size", under=ROTARY),
    KnownMistake("linear_scaling_upside_down", "The frequencies are multiplied by the factor. They must be divided by it.",
        rotary_tables, "frequencies = frequencies / factor", "frequencies = frequencies * factor", under=("positions=rotary_halves", "rope_scaling=linear")),
    KnownMistake("yarn_amplitude_forgotten", "Cosines and sines are not multiplied by 0.1 ln(factor) + 1.",
        rotary_tables, "amplitude = 0.1 * math.log(factor) + 1.0", "amplitude = 1.0", under=("positions=rotary_halves", "rope_scaling=yarn")),
    KnownMistake("yarn_ramp_upside_down", "Fast pairs are slowed and slow ones are not. It is the other way round.",
        yarn_scaling, "slowed = slowed.clamp(0.0, 1.0)", "slowed = 1.0 - slowed.clamp(0.0, 1.0)", under=("positions=rotary_halves", "rope_scaling=yarn")),
    KnownMistake("llama3_all_pairs_slowed", "Every pair is slowed by the factor. Fast pairs must stay as they are.",
        llama3_scaling, "kept = ((turns - 1.0) / (4.0 - 1.0)).clamp(0.0, 1.0)", "kept = torch.zeros_like(turns)", under=("positions=rotary_halves", "rope_scaling=llama3")),
    KnownMistake("llama3_without_the_ramp", "Pairs between one and four turns are slowed in full or not at all. They are slowed in part.",
        llama3_scaling, "kept = ((turns - 1.0) / (4.0 - 1.0)).clamp(0.0, 1.0)", "kept = (turns > 4.0).to(turns.dtype)", under=("positions=rotary_halves", "rope_scaling=llama3")),
    # gradients
    KnownMistake("keys_and_values_detached", "Keys and values are detached when they are repeated: their weights receive no gradient.",
        gqa, KEYS, "keys = turned_k.detach().repeat_interleave(shared_by, dim=1)", also=(Edit(gqa, VALUES, "values = v.detach().repeat_interleave(shared_by, dim=1)"),), aliases=("shared_heads_detached",)),
    KnownMistake("gradient_of_first_head_only", "Only the first head of a group passes a gradient to its keys and values. The gradients of all its heads must be summed.",
        gqa, KEYS, "keys = torch.stack([turned_k] + [turned_k.detach()] * (shared_by - 1), 2).flatten(1, 2)",
        also=(Edit(gqa, VALUES, "values = torch.stack([v] + [v.detach()] * (shared_by - 1), 2).flatten(1, 2)"),), aliases=("gradient_of_one_head",)),
    KnownMistake("attention_mask_ignored", "attention_mask is taken and not used: real positions attend to padding.",
        grouped_query_attention, "if attention_mask is not None:", "if False:"),
    KnownMistake("attention_mask_replaces_the_causal_one", "With an attention mask the causal mask is dropped: positions see the future. Both must hold.",
        grouped_query_attention, "masked = without_padding(masked, attention_mask)", "masked = without_padding(capped, attention_mask)"),
)
