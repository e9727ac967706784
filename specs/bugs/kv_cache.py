"""Known mistakes in key-value caches."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.kv_cache import kv_cache

extend = kv_cache.extend

TURN_K = "k = k.reshape(batch, time, self.n_heads, head_size).transpose(1, 2)"
PAST_KEYS = "past_keys = k[:, :, :0] if self.keys is None else self.keys"
PAST_VALUES = "past_values = v[:, :, :0] if self.values is None else self.values"
FULL = "if stop > self.context:"
KEYS, VALUES = "keys = torch.cat([past_keys, k], 2)", "values = torch.cat([past_values, v], 2)"
KEEP_KEYS, KEEP_VALUES = "self.keys = keys[:, :, -self.context:]", "self.values = values[:, :, -self.context:]"
GIVEN = "self.given = self.given + time"
SCORES = "scores = q @ keys.transpose(-2, -1) * scale"
SCALE = "scale = 1.0 / math.sqrt(head_size)"
HIDDEN = "hidden = everywhere.triu(diagonal=start + 1)"
WEIGHTS = "weights = softmax(masked, dim=-1)"
MIXED = "mixed = weights @ values"
RESULT = "return linear(merged, self.out_weight, self.out_bias)"

SHARED = """
held = extend.__dict__.get("held") if self.given else None
past_keys = k[:, :, :0] if held is None else held[0]
""".replace("extend.", "kv_cache.extend.")
RING = """
place = torch.arange(start, stop, device=x.device) % self.context
whole_keys = torch.cat([past_keys, k[:, :, : max(0, self.context - start)]], 2)
keys = whole_keys.index_copy(2, place[-self.context:], k[:, :, -self.context:])
stop = keys.shape[2]
"""
CLAMPED = """
free = self.context - start
keys = torch.cat([past_keys, k], 2) if stop <= self.context else torch.cat([past_keys, k[:, :, :free]], 2)[:, :, :-1]
keys = keys if stop <= self.context else torch.cat([keys, k[:, :, -1:]], 2)
"""
CLAMPED_VALUES = """
values = torch.cat([past_values, v], 2) if stop <= self.context else torch.cat([past_values, v[:, :, :free]], 2)[:, :, :-1]
values = values if stop <= self.context else torch.cat([values, v[:, :, -1:]], 2)
stop = keys.shape[2]
"""

MISTAKES = (
    # the mask
    KnownMistake("mask_ignores_cache_offset", "The mask of new positions starts at row 0 (or is_causal=True is used with fewer queries than keys): they see only the first keys. Row i belongs to position start + i.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=1)",
        seen_in=("rasbt/LLMs-from-scratch@6522be94beb2640ae2a811249c73c67d0845567c", "pytorch/pytorch#144858", "pytorch/pytorch#103082"), aliases=("mask_rows_from_zero",)),
    KnownMistake("no_mask_after_first_chunk", "There is no mask once the cache holds something: several new positions at once see each other's future.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=1) if start == 0 else torch.zeros_like(everywhere)",
        seen_in=("mlx-node/mlx-node#24",), aliases=("no_mask_in_later_pieces",)),
    KnownMistake("no_mask", "There is no causal mask: the positions of a prefill see later ones.", extend, HIDDEN, "hidden = torch.zeros_like(everywhere)"),
    KnownMistake("new_positions_do_not_see_themselves", "A new position sees what was cached before it, but not itself.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=start + 1 if start == 0 else start)"),
    KnownMistake("one_future_position", "Each position sees the next one of its chunk too: the mask starts one diagonal too late.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=start + 2)"),
    KnownMistake("mask_cached_across_calls", "The mask of the first chunk is cached and reused for every later chunk of the same length.",
        extend, HIDDEN, """
        hidden = self.__dict__.setdefault(time, everywhere.triu(diagonal=start + 1))
        hidden = torch.nn.functional.pad(hidden, (0, stop - hidden.shape[1]), value=False)
        """, aliases=("mask_kept",)),
    KnownMistake("only_first_new_position_visible", "Only the first position of a new chunk can be seen. Each position must see the chunk up to itself.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=start + 1) | ((torch.arange(stop) > start) & (start > 0))", aliases=("sees_what_is_held_alone",)),
    # what is cached
    KnownMistake("cache_ignored", "Earlier keys and values are not used: every chunk is treated as a sequence of its own.",
        extend, PAST_KEYS, "past_keys = k[:, :, :0]", also=(Edit(extend, PAST_VALUES, "past_values = v[:, :, :0]"),), aliases=("nothing_kept",)),
    KnownMistake("only_last_chunk_cached", "Only the last chunk is cached, in place of everything before it. Append it to the cache.",
        extend, KEEP_KEYS, "self.keys = k", also=(Edit(extend, KEEP_VALUES, "self.values = v"),), aliases=("last_piece_alone_is_kept",)),
    KnownMistake("only_last_position_cached", "Only the last position of each chunk is added to the cache.",
        extend, KEEP_KEYS, "self.keys = torch.cat([past_keys, k[:, :, -1:]], 2)",
        also=(Edit(extend, KEEP_VALUES, "self.values = torch.cat([past_values, v[:, :, -1:]], 2)"),), aliases=("last_of_the_prefill_is_kept",)),
    KnownMistake("only_prefill_cached", "The keys and values of later chunks are used but not cached: the cache holds only the prefill.",
        extend, KEEP_KEYS, "self.keys = keys if start == 0 else past_keys",
        also=(Edit(extend, KEEP_VALUES, "self.values = values if start == 0 else past_values"),), aliases=("steps_are_not_kept",)),
    KnownMistake("prepended_to_cache", "New keys and values are prepended to the cache. The mask assumes that they are appended.",
        extend, KEYS, "keys = torch.cat([k, past_keys], 2)", also=(Edit(extend, VALUES, "values = torch.cat([v, past_values], 2)"),), aliases=("put_in_front",)),
    KnownMistake("values_prepended_keys_appended", "New values are prepended, new keys are appended: the attention weights meet the wrong values.",
        extend, VALUES, "values = torch.cat([v, past_values], 2)", aliases=("values_in_front",)),
    KnownMistake("keys_and_values_exchanged", "Keys are cached as values, and values as keys.",
        extend, KEEP_KEYS, "self.keys = values[:, :, -self.context:]", also=(Edit(extend, KEEP_VALUES, "self.values = keys[:, :, -self.context:]"),)),
    KnownMistake("one_position_dropped_early", "One position too many is dropped when the context is full.",
        extend, KEEP_KEYS, "self.keys = keys[:, :, -(self.context - 1):] if stop > 2 else keys",
        also=(Edit(extend, KEEP_VALUES, "self.values = values[:, :, -(self.context - 1):] if stop > 2 else values"),), aliases=("one_dropped_early",)),
    KnownMistake("empty_slots_attended", "Attention covers the whole preallocated cache: empty slots hold zeros, and exp(0) is 1.",
        extend, KEYS, "keys = torch.nn.functional.pad(torch.cat([past_keys, k], 2), (0, 0, 0, self.context - stop))",
        also=(Edit(extend, VALUES, "values = torch.nn.functional.pad(torch.cat([past_values, v], 2), (0, 0, 0, self.context - stop))"),
              Edit(extend, KEEP_KEYS, "self.keys = keys[:, :, :stop]"), Edit(extend, KEEP_VALUES, "self.values = values[:, :, :stop]"),
              Edit(extend, HIDDEN, "hidden = torch.nn.functional.pad(everywhere.triu(diagonal=start + 1), (0, self.context - stop), value=False)")), aliases=("empty_places_are_attended_to",)),
    KnownMistake("cached_keys_scaled_again", "Keys are cached scaled, and are scaled again at every later step.",
        extend, KEEP_KEYS, "self.keys = keys[:, :, -self.context:] * head_size**-0.5", aliases=("scaled_again",)),
    KnownMistake("cache_layout_mismatch", "The cache is viewed as [B, T, H, K] although it is stored as [B, H, T, K]. This mixes positions with heads.",
        extend, PAST_KEYS, "past_keys = k[:, :, :0] if self.keys is None else self.keys.transpose(1, 2).reshape(self.keys.shape)",
        also=(Edit(extend, PAST_VALUES, "past_values = v[:, :, :0] if self.values is None else self.values.transpose(1, 2).reshape(self.values.shape)"),), aliases=("held_in_another_layout",)),
    KnownMistake("scaled_by_number_of_keys", "After the first chunk the scores are divided by the root of the number of keys. Divide by the root of the head size.",
        extend, SCALE, "scale = 1.0 / math.sqrt(head_size if start == 0 else stop)", aliases=("scaled_by_what_is_held",)),
    KnownMistake("output_buffer_reused", "The result is in a buffer that the next step overwrites: results returned before change.",
        extend, RESULT, """
        result = linear(merged, self.out_weight, self.out_bias)
        return self.__dict__.setdefault(("result", time), torch.empty_like(result)).copy_(result)
        """, aliases=("written_over_what_was_returned",)),
    # who shares the cache
    KnownMistake("cache_shared_by_all_instances", "All caches share one storage (a list made once): a second sequence overwrites the first.",
        extend, PAST_KEYS, SHARED, also=(
            Edit(extend, PAST_VALUES, "past_values = v[:, :, :0] if held is None else held[1]"),
            Edit(extend, KEEP_KEYS, "kv_cache.extend.__dict__['held'] = (keys, values)"), Edit(extend, KEEP_VALUES, "pass")),
        seen_in=("rajveer43/VeloxQuant-MLX#59", "microsoft/onnxruntime-genai#1057"), aliases=("shared_by_all_objects",)),
    KnownMistake("new_cache_not_empty", "The contents are never discarded: a new cache starts with what the last one held.",
        kv_cache.__init__, "self.keys: Tensor | None = None", "self.keys, self.values = kv_cache.extend.__dict__.get('held', (None, None))",
        also=(Edit(kv_cache.__init__, "self.values: Tensor | None = None", "pass"),
              Edit(extend, GIVEN, "kv_cache.extend.__dict__['held'] = (self.keys, self.values)\nself.given = self.given + time")), aliases=("kept_between_caches",)),
    KnownMistake("first_row_for_all", "The keys and values of the first row of the batch are cached for all rows.",
        extend, KEEP_KEYS, "self.keys = keys[:1, :, -self.context:].expand_as(keys)",
        also=(Edit(extend, KEEP_VALUES, "self.values = values[:1, :, -self.context:].expand_as(values)"),)),
    # the end of the context
    KnownMistake("full_context_refused", "`>=` refuses one position too early: the last slot of the context is never filled.",
        extend, FULL, "if stop >= self.context:", aliases=("refused_one_early",)),
    KnownMistake("context_limit_not_enforced", "The context limit is not enforced: the cache grows beyond it.",
        extend, FULL, "if False:", also=(Edit(extend, KEEP_KEYS, "self.keys = keys"), Edit(extend, KEEP_VALUES, "self.values = values")), aliases=("grows_without_end",)),
    KnownMistake("dropped_position_still_seen", "A step beyond the context still sees the position that it drops.",
        extend, FULL, "if False:", aliases=("keeps_the_context_sees_more",)),
    KnownMistake("mask_ignores_ring_buffer_order", "Beyond the context the oldest slots are overwritten in turn, but the mask treats them as old positions: positions see later ones.",
        extend, FULL, "if False:", also=(
            Edit(extend, KEYS, RING),
            Edit(extend, VALUES, "values = torch.cat([past_values, v[:, :, : max(0, self.context - start)]], 2)"
                 ".index_copy(2, place[-self.context:], v[:, :, -self.context:])")),
        seen_in=("Lightning-AI/litgpt@d28a00d8a0014d2c0a9038fcd6bcfdd30fad4368",), looks_like=("variant=sliding",), aliases=("wraps_around",)),
    KnownMistake("last_slot_overwritten", "Beyond the context the last slot is overwritten again and again: the index is clamped.",
        extend, FULL, "if False:", also=(Edit(extend, KEYS, CLAMPED), Edit(extend, VALUES, CLAMPED_VALUES)), aliases=("last_place_written_over",)),
    # precision, counting
    KnownMistake("cached_in_bfloat16", "Keys and values are cached in bfloat16, which keeps about two significant digits at every later step.",
        extend, KEEP_KEYS, "self.keys = keys.to(torch.bfloat16).to(keys.dtype)",
        also=(Edit(extend, KEEP_VALUES, "self.values = values.to(torch.bfloat16).to(values.dtype)"),), aliases=("kept_in_bfloat16",)),
    KnownMistake("cached_in_float16", "Keys and values are cached in float16, which keeps about three significant digits at every later step.",
        extend, KEEP_KEYS, "self.keys = keys.to(torch.float16).to(keys.dtype)",
        also=(Edit(extend, KEEP_VALUES, "self.values = values.to(torch.float16).to(values.dtype)"),), aliases=("kept_in_float16",)),
    KnownMistake("cached_in_the_default_dtype", "The cache has torch's default dtype, not the model's: with a 16-bit model the first step fails, or everything is float32 from then on.",
        extend, KEEP_KEYS, "self.keys = keys.to(torch.get_default_dtype())",
        also=(Edit(extend, KEEP_VALUES, "self.values = values.to(torch.get_default_dtype())"),),
        seen_in=("TransformerLensOrg/TransformerLens@9ef4e4ce5190c8905ce2ee53790f8c40535fe58d",
                 "Lightning-AI/litgpt@91014a7783d83c7dcb745d384a01bedaa7a8799e"), aliases=("kept_in_the_default_dtype",)),
    KnownMistake("length_counts_calls", "length() counts the calls, not the positions.", extend, GIVEN, "self.given = self.given + 1"),
    KnownMistake("reset_keeps_the_keys", "reset() sets the count to 0 but keeps the keys and values.",
        kv_cache.reset, "self.keys = None", "pass", also=(Edit(kv_cache.reset, "self.values = None", "pass"),)),
    KnownMistake("reset_keeps_the_count", "reset() clears the keys and values but keeps the count.", kv_cache.reset, "self.given = 0", "pass"),
)
