"""Known mistakes in grouped-query attention."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.grouped_query_attention import grouped_query_attention

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
