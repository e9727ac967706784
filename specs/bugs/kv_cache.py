"""Known mistakes in caches of keys and values."""

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
    # the mask of what comes later
    KnownMistake("mask_rows_from_zero", "The mask of new positions is cut from row 0 (or is_causal=True with fewer queries than keys): they see the first "
        "keys alone. Row i belongs to position start + i.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=1)",
        seen_in=("rasbt/LLMs-from-scratch@6522be94beb2640ae2a811249c73c67d0845567c", "pytorch/pytorch#144858", "pytorch/pytorch#103082")),
    KnownMistake("no_mask_in_later_pieces", "Where something is held already there is no mask at all: several positions at once see each other's future.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=1) if start == 0 else torch.zeros_like(everywhere)",
        seen_in=("mlx-node/mlx-node#24",)),
    KnownMistake("no_mask", "There is no causal mask: a prefill sees its own future.", extend, HIDDEN, "hidden = torch.zeros_like(everywhere)"),
    KnownMistake("new_positions_do_not_see_themselves", "A new position sees what was held before it, and not itself.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=start + 1 if start == 0 else start)"),
    KnownMistake("one_future_position", "Each position sees the next one of its piece too: the mask starts one diagonal too late.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=start + 2)"),
    KnownMistake("mask_kept", "The mask of the first piece is kept for every later one of as many positions.",
        extend, HIDDEN, """
        hidden = self.__dict__.setdefault(time, everywhere.triu(diagonal=start + 1))
        hidden = torch.nn.functional.pad(hidden, (0, stop - hidden.shape[1]), value=False)
        """),
    KnownMistake("sees_what_is_held_alone", "The first of the new positions is all that may be seen of the new piece.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=start + 1) | ((torch.arange(stop) > start) & (start > 0))"),
    # what is kept
    KnownMistake("nothing_kept", "Earlier keys and values are not used: every piece is a sequence of its own.",
        extend, PAST_KEYS, "past_keys = k[:, :, :0]", also=(Edit(extend, PAST_VALUES, "past_values = v[:, :, :0]"),)),
    KnownMistake("last_piece_alone_is_kept", "Only the last piece is kept, in place of all that was before: append to what is held.",
        extend, KEEP_KEYS, "self.keys = k", also=(Edit(extend, KEEP_VALUES, "self.values = v"),)),
    KnownMistake("last_of_the_prefill_is_kept", "Only the last position of each piece is added to what is held.",
        extend, KEEP_KEYS, "self.keys = torch.cat([past_keys, k[:, :, -1:]], 2)",
        also=(Edit(extend, KEEP_VALUES, "self.values = torch.cat([past_values, v[:, :, -1:]], 2)"),)),
    KnownMistake("steps_are_not_kept", "The keys and values of later pieces are used and thrown away: only those of the prefill are held.",
        extend, KEEP_KEYS, "self.keys = keys if start == 0 else past_keys",
        also=(Edit(extend, KEEP_VALUES, "self.values = values if start == 0 else past_values"),)),
    KnownMistake("put_in_front", "New keys and values are put in front of those that are held; the mask counts from the other end.",
        extend, KEYS, "keys = torch.cat([k, past_keys], 2)", also=(Edit(extend, VALUES, "values = torch.cat([v, past_values], 2)"),)),
    KnownMistake("values_in_front", "New values are put in front, new keys at the end: weights meet the wrong values.",
        extend, VALUES, "values = torch.cat([v, past_values], 2)"),
    KnownMistake("keys_and_values_exchanged", "What is kept as keys are the values, and the other way round.",
        extend, KEEP_KEYS, "self.keys = values[:, :, -self.context:]", also=(Edit(extend, KEEP_VALUES, "self.values = keys[:, :, -self.context:]"),)),
    KnownMistake("one_dropped_early", "Of a full context one position too many is dropped.",
        extend, KEEP_KEYS, "self.keys = keys[:, :, -(self.context - 1):] if stop > 2 else keys",
        also=(Edit(extend, KEEP_VALUES, "self.values = values[:, :, -(self.context - 1):] if stop > 2 else values"),)),
    KnownMistake("empty_places_are_attended_to", "The memory of the whole context is attended to: places that are not filled yet hold zeros, and exp(0) is 1.",
        extend, KEYS, "keys = torch.nn.functional.pad(torch.cat([past_keys, k], 2), (0, 0, 0, self.context - stop))",
        also=(Edit(extend, VALUES, "values = torch.nn.functional.pad(torch.cat([past_values, v], 2), (0, 0, 0, self.context - stop))"),
              Edit(extend, KEEP_KEYS, "self.keys = keys[:, :, :stop]"), Edit(extend, KEEP_VALUES, "self.values = values[:, :, :stop]"),
              Edit(extend, HIDDEN, "hidden = torch.nn.functional.pad(everywhere.triu(diagonal=start + 1), (0, self.context - stop), value=False)"))),
    KnownMistake("scaled_again", "Keys are kept scaled, and scaled again at every later step.",
        extend, KEEP_KEYS, "self.keys = keys[:, :, -self.context:] * head_size**-0.5"),
    KnownMistake("held_in_another_layout", "What is held is viewed as [B, T, H, K] although it lies as [B, H, T, K]: positions and heads are mixed.",
        extend, PAST_KEYS, "past_keys = k[:, :, :0] if self.keys is None else self.keys.transpose(1, 2).reshape(self.keys.shape)",
        also=(Edit(extend, PAST_VALUES, "past_values = v[:, :, :0] if self.values is None else self.values.transpose(1, 2).reshape(self.values.shape)"),)),
    KnownMistake("scaled_by_what_is_held", "The scores of a step are divided by the root of the number of keys; it is the root of the head size.",
        extend, SCALE, "scale = 1.0 / math.sqrt(head_size if start == 0 else stop)"),
    KnownMistake("written_over_what_was_returned", "The result lies in memory that the next step writes over: what was returned before changes.",
        extend, RESULT, """
        result = linear(merged, self.out_weight, self.out_bias)
        return self.__dict__.setdefault(("result", time), torch.empty_like(result)).copy_(result)
        """),
    # who may see it
    KnownMistake("shared_by_all_objects", "All caches keep their keys and values in one place (a list made once): a second sequence writes over the first.",
        extend, PAST_KEYS, SHARED, also=(
            Edit(extend, PAST_VALUES, "past_values = v[:, :, :0] if held is None else held[1]"),
            Edit(extend, KEEP_KEYS, "kv_cache.extend.__dict__['held'] = (keys, values)"), Edit(extend, KEEP_VALUES, "pass")),
        seen_in=("rajveer43/VeloxQuant-MLX#59", "microsoft/onnxruntime-genai#1057")),
    KnownMistake("kept_between_caches", "What is held is never thrown away: a new cache begins with what the last one of the same shape held.",
        kv_cache.__init__, "self.keys: Tensor | None = None", "self.keys, self.values = kv_cache.extend.__dict__.get('held', (None, None))",
        also=(Edit(kv_cache.__init__, "self.values: Tensor | None = None", "pass"),
              Edit(extend, GIVEN, "kv_cache.extend.__dict__['held'] = (self.keys, self.values)\nself.given = self.given + time"))),
    KnownMistake("first_row_for_all", "What is held is that of the first row of the batch, for all rows.",
        extend, KEEP_KEYS, "self.keys = keys[:1, :, -self.context:].expand_as(keys)",
        also=(Edit(extend, KEEP_VALUES, "self.values = values[:1, :, -self.context:].expand_as(values)"),)),
    # the end of the context
    KnownMistake("refused_one_early", "The last place of the context is never filled: `>=` refuses one position too early.",
        extend, FULL, "if stop >= self.context:"),
    KnownMistake("grows_without_end", "Nothing is refused: the cache grows beyond its context.",
        extend, FULL, "if False:", also=(Edit(extend, KEEP_KEYS, "self.keys = keys"), Edit(extend, KEEP_VALUES, "self.values = values"))),
    KnownMistake("keeps_the_context_sees_more", "A step that goes beyond the context still sees the position that it drops.",
        extend, FULL, "if False:"),
    KnownMistake("wraps_around", "Beyond the context the oldest places are written over in turn, and the mask takes them for old positions: positions see "
        "what comes after them.",
        extend, FULL, "if False:", also=(
            Edit(extend, KEYS, RING),
            Edit(extend, VALUES, "values = torch.cat([past_values, v[:, :, : max(0, self.context - start)]], 2)"
                 ".index_copy(2, place[-self.context:], v[:, :, -self.context:])")),
        seen_in=("Lightning-AI/litgpt@d28a00d8a0014d2c0a9038fcd6bcfdd30fad4368",), looks_like=("variant=sliding",)),
    KnownMistake("last_place_written_over", "Beyond the context the last place is written over again and again: the index is clamped.",
        extend, FULL, "if False:", also=(Edit(extend, KEYS, CLAMPED), Edit(extend, VALUES, CLAMPED_VALUES))),
    # precision, counting
    KnownMistake("kept_in_bfloat16", "Keys and values are kept in bfloat16: two digits are left at every later step.",
        extend, KEEP_KEYS, "self.keys = keys.to(torch.bfloat16).to(keys.dtype)",
        also=(Edit(extend, KEEP_VALUES, "self.values = values.to(torch.bfloat16).to(values.dtype)"),)),
    KnownMistake("kept_in_float16", "Keys and values are kept in float16: three digits are left at every later step.",
        extend, KEEP_KEYS, "self.keys = keys.to(torch.float16).to(keys.dtype)",
        also=(Edit(extend, KEEP_VALUES, "self.values = values.to(torch.float16).to(values.dtype)"),)),
    KnownMistake("kept_in_the_default_dtype", "What is held has torch's default dtype, not that of the model: in 16 bit the first step fails, or all is float32 "
        "from then on.",
        extend, KEEP_KEYS, "self.keys = keys.to(torch.get_default_dtype())",
        also=(Edit(extend, KEEP_VALUES, "self.values = values.to(torch.get_default_dtype())"),),
        seen_in=("TransformerLensOrg/TransformerLens@9ef4e4ce5190c8905ce2ee53790f8c40535fe58d",
                 "Lightning-AI/litgpt@91014a7783d83c7dcb745d384a01bedaa7a8799e")),
    KnownMistake("length_counts_calls", "length() counts the calls, not the positions.", extend, GIVEN, "self.given = self.given + 1"),
    KnownMistake("reset_keeps_the_keys", "reset() sets the count to 0 and keeps the keys and values.",
        kv_cache.reset, "self.keys = None", "pass", also=(Edit(kv_cache.reset, "self.values = None", "pass"),)),
    KnownMistake("reset_keeps_the_count", "reset() forgets the keys and values, but not how many there were.", kv_cache.reset, "self.given = 0", "pass"),
)
