"""Known mistakes in sliding window attention."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.sliding_window_attention import sliding_window_attention

FUTURE = "future = everywhere.triu(diagonal=1)"
PAST = "past = everywhere.tril(diagonal=-window)"
HIDDEN = "hidden = future | past"
SCALE = "scale = 1.0 / math.sqrt(head_size)"
PARTS = "q, k, v = qkv.split(width, dim=-1)"
MASKED = 'masked = scores.masked_fill(hidden, float("-inf"))'
SOFTMAX = "weights = softmax(masked, dim=-1)"
MIXED = "mixed = weights @ v"
TOGETHER = "together = mixed.transpose(1, 2)"
RESULT = "return linear(merged, out_weight, out_bias)"

PADDED = """
masked = scores.masked_fill(hidden, float("-inf"))
missing = (window - 1 - torch.arange(time, device=x.device)).clamp(min=0)
"""
swa = sliding_window_attention

MISTAKES = (
    # the window
    KnownMistake("window_plus_one", "The window is one position too long: `i - j > window` (or -window - 1) masks too late. Position t sees t - window + 1 .. t, that is `window` positions including itself.",
        swa, PAST, "past = everywhere.tril(diagonal=-window - 1)",
        seen_in=("huggingface/transformers#39408", "ml-explore/mlx-lm#390", "AI-Hypercomputer/maxtext#4289")),
    KnownMistake("window_minus_one", "The window is one position too short: it already masks the key `window - 1` positions back.",
        swa, PAST, "past = everywhere.tril(diagonal=-(window - 1)) & ~torch.eye(time, dtype=torch.bool, device=x.device)"),
    KnownMistake("window_ignored", "All earlier positions are visible: the diagonal of the window has the wrong sign, or the window is ignored.",
        swa, PAST, "past = torch.zeros_like(everywhere)", seen_in=("huggingface/transformers#41228",), aliases=("window_never_applied",)),
    KnownMistake("window_with_the_wrong_sign", "tril(diagonal=+window) has the wrong sign: it masks all earlier positions and the position itself. The result is NaN.",
        swa, PAST, "past = everywhere.tril(diagonal=window)", seen_in=("huggingface/transformers#41228",)),
    KnownMistake("window_on_both_sides", "The window extends to both sides: later positions are visible too.",
        swa, HIDDEN, "hidden = everywhere.triu(diagonal=window) | past", aliases=("window_to_both_sides",)),
    KnownMistake("window_centred", "The window is centred on the position, so one half looks ahead (the paper's form for encoders).",
        swa, HIDDEN, "hidden = everywhere.triu(diagonal=window // 2 + 1) | everywhere.tril(diagonal=-(window // 2) - 1)", aliases=("half_the_window_to_each_side",)),
    KnownMistake("half_the_window", "Only half of the window is visible. The whole window covers earlier positions.",
        swa, PAST, "past = everywhere.tril(diagonal=-(window // 2) - 1)"),
    KnownMistake("window_inverted", "The window is inverted: keys inside it are masked and keys outside it are visible.", swa, PAST,
        "past = everywhere.triu(diagonal=1 - window) & everywhere.tril(diagonal=-1)"),
    KnownMistake("blocks_for_windows", "The sequence is cut into blocks of `window`, and a position sees only its own block. The window must move with the position.",
        swa, PAST, """
        block = torch.arange(time, device=x.device) // window
        past = block.unsqueeze(1) != block
        """),
    KnownMistake("own_and_previous_block", "A position sees its own block of `window` and the whole block before it: up to twice the window.",
        swa, PAST, """
        block = torch.arange(time, device=x.device) // window
        past = block.unsqueeze(1) > block + 1
        """, aliases=("block_before_it_too",)),
    KnownMistake("first_positions_for_all", "Every position sees the first `window` positions. It must see its own last ones.",
        swa, PAST, "past = (torch.arange(time, device=x.device) >= window) & ~torch.eye(time, dtype=torch.bool, device=x.device)"),
    KnownMistake("attention_sink_kept", "The first position is always visible (an attention sink). Here the window excludes it.",
        swa, PAST, "past = everywhere.tril(diagonal=-window) & (torch.arange(time, device=x.device) > 0)", aliases=("first_position_always_seen",)),
    KnownMistake("window_used_as_a_stride", "The window is used as a stride: every window-th earlier position is visible (a dilated window).",
        swa, PAST, """
        gap = torch.arange(time, device=x.device)[:, None] - torch.arange(time, device=x.device)
        past = gap % window != 0
        """, aliases=("every_window_th_position",)),
    KnownMistake("window_clamped_below_the_length", "The window is clamped to the sequence length minus one: with a wide window the last position does not see the first.",
        swa, PAST, "past = everywhere.tril(diagonal=-max(1, min(window, time - 1)))", aliases=("window_at_most_time_minus_one",)),
    KnownMistake("window_without_causal_mask", "The window replaces the causal mask: later positions are visible.", swa, HIDDEN, "hidden = past", aliases=("window_alone",)),
    KnownMistake("only_earlier_positions", "A position does not see itself (except the first, which has no other key).",
        swa, FUTURE, "future = everywhere.triu(diagonal=0) & (torch.arange(time, device=x.device) > 0)[:, None]",
        also=(Edit(swa, PAST, "past = everywhere.tril(diagonal=-window - 1)"),)),
    KnownMistake("one_future_position", "Each position also sees the next one. The causal mask must start at diagonal=1.",
        swa, FUTURE, "future = everywhere.triu(diagonal=2)"),
    KnownMistake("window_divided_by_heads", "The window is divided by the number of heads.", swa, PAST, "past = everywhere.tril(diagonal=-max(1, window // n_heads))", aliases=("window_counts_heads",)),
    KnownMistake("window_in_the_first_head_only", "Only the first head applies the window. The other heads see all earlier positions.",
        swa, MASKED, 'masked = torch.cat([scores[:, :1].masked_fill(hidden, float("-inf")), scores[:, 1:].masked_fill(future, float("-inf"))], 1)', aliases=("first_head_alone",)),
    KnownMistake("short_window_padded_with_zero_keys", "When fewer than `window` keys exist, the window is padded with zero keys, and exp(0) is 1. Do not pad, or mask the padding.",
        swa, MASKED, PADDED, also=(Edit(swa, SOFTMAX, """
        highest = masked.amax(-1, keepdim=True).clamp(min=0)
        exponential = torch.exp(masked - highest)
        weights = exponential / (exponential.sum(-1, keepdim=True) + missing[:, None] * torch.exp(-highest))
        """),), aliases=("filled_up_with_zeros",)),
    KnownMistake("mask_cached_across_calls", "The mask of the first call is cached and reused in every later call with the same length, whatever its window.",
        swa, PAST, "past = sliding_window_attention.__dict__.setdefault(time, everywhere.tril(diagonal=-window))", aliases=("window_kept",)),
    # the rest of attention
    KnownMistake("window_after_softmax", "The window is applied after the softmax: the remaining weights no longer sum to one.",
        swa, HIDDEN, "hidden = future", also=(Edit(swa, SOFTMAX, "weights = softmax(masked, dim=-1).masked_fill(past, 0.0)"),)),
    KnownMistake("window_fills_zero", "Scores outside the window are set to 0, and exp(0) is 1. Set them to -inf.",
        swa, MASKED, 'masked = scores.masked_fill(future, float("-inf")).masked_fill(past, 0.0)'),
    KnownMistake("scaled_by_width", "The scores are divided by sqrt(D). Divide by sqrt(K), with K the head size.", swa, SCALE, "scale = 1.0 / math.sqrt(width)"),
    KnownMistake("scaled_by_the_window", "The scores are divided by the square root of the window. Divide by the square root of the head size.",
        swa, SCALE, "scale = 1.0 / math.sqrt(window)"),
    KnownMistake("unscaled", "The scores are not divided by sqrt(K).", swa, SCALE, "scale = 1.0"),
    KnownMistake("softmax_over_queries", "The softmax runs over the queries (dim=-2). It must run over the keys (dim=-1).", swa, SOFTMAX, "weights = softmax(masked, dim=-2).nan_to_num(0.0)"),
    KnownMistake("keys_and_values_exchanged", "k and v are exchanged.", swa, PARTS, "q, v, k = qkv.split(width, dim=-1)"),
    KnownMistake("merged_without_transpose", "The heads are merged without transpose(1, 2). This mixes positions with heads.", swa, TOGETHER, "together = mixed"),
    KnownMistake("out_bias_forgotten", "out_bias is not added.", swa, RESULT, "return linear(merged, out_weight)"),
    KnownMistake("softmax_in_bfloat16", "The softmax is computed in bfloat16, which keeps about two significant digits.",
        swa, SOFTMAX, "weights = softmax(masked.to(torch.bfloat16), dim=-1).to(x.dtype)"),
    KnownMistake("values_detached", "The values are detached: their weights receive no gradient.", swa, MIXED, "mixed = weights @ v.detach()"),
)
