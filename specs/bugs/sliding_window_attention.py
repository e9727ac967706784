"""Known mistakes in attention to a sliding window."""

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
    KnownMistake("window_plus_one", "The window holds one position too many: `i - j > window` (or -window - 1) hides too late. Position t sees t - window + 1 .. t, "
        "`window` positions with itself.",
        swa, PAST, "past = everywhere.tril(diagonal=-window - 1)",
        seen_in=("huggingface/transformers#39408", "ml-explore/mlx-lm#390", "AI-Hypercomputer/maxtext#4289")),
    KnownMistake("window_minus_one", "The window holds one position too few: it hides `window - 1` before the position already.",
        swa, PAST, "past = everywhere.tril(diagonal=-(window - 1)) & ~torch.eye(time, dtype=torch.bool, device=x.device)"),
    KnownMistake("window_never_applied", "The diagonal of the window has the wrong sign, or the window is not heard: all of the past is seen.",
        swa, PAST, "past = torch.zeros_like(everywhere)", seen_in=("huggingface/transformers#41228",)),
    KnownMistake("window_with_the_wrong_sign", "tril(diagonal=+window) has the wrong sign: it hides all of the past and the position itself, and nan comes out.",
        swa, PAST, "past = everywhere.tril(diagonal=window)", seen_in=("huggingface/transformers#41228",)),
    KnownMistake("window_to_both_sides", "The window lies on both sides: later positions are seen too.",
        swa, HIDDEN, "hidden = everywhere.triu(diagonal=window) | past"),
    KnownMistake("half_the_window_to_each_side", "The window is cut in half, and one half looks ahead (the paper's form for encoders).",
        swa, HIDDEN, "hidden = everywhere.triu(diagonal=window // 2 + 1) | everywhere.tril(diagonal=-(window // 2) - 1)"),
    KnownMistake("half_the_window", "Only half of the window is seen; the whole of it lies in the past.",
        swa, PAST, "past = everywhere.tril(diagonal=-(window // 2) - 1)"),
    KnownMistake("window_inverted", "The window is hidden and what lies beyond it is seen.", swa, PAST,
        "past = everywhere.triu(diagonal=1 - window) & everywhere.tril(diagonal=-1)"),
    KnownMistake("blocks_for_windows", "The sequence is cut in blocks of `window`, and a position sees its own block; the window moves with the position.",
        swa, PAST, """
        block = torch.arange(time, device=x.device) // window
        past = block.unsqueeze(1) != block
        """),
    KnownMistake("block_before_it_too", "A position sees its own block of `window` and all of the block before it: up to twice as far as the window.",
        swa, PAST, """
        block = torch.arange(time, device=x.device) // window
        past = block.unsqueeze(1) > block + 1
        """),
    KnownMistake("first_positions_for_all", "Every position sees the first `window` positions, and not its own last ones.",
        swa, PAST, "past = (torch.arange(time, device=x.device) >= window) & ~torch.eye(time, dtype=torch.bool, device=x.device)"),
    KnownMistake("first_position_always_seen", "The first position is seen by all (an attention sink); here it is not kept.",
        swa, PAST, "past = everywhere.tril(diagonal=-window) & (torch.arange(time, device=x.device) > 0)"),
    KnownMistake("every_window_th_position", "The window is taken for a step: every window-th position of the past is seen (a dilated window).",
        swa, PAST, """
        gap = torch.arange(time, device=x.device)[:, None] - torch.arange(time, device=x.device)
        past = gap % window != 0
        """),
    KnownMistake("window_at_most_time_minus_one", "The window is cut to one less than the sequence: with a wide one the last position does not see the first.",
        swa, PAST, "past = everywhere.tril(diagonal=-max(1, min(window, time - 1)))"),
    KnownMistake("window_alone", "The window replaces the causal mask: what comes later is seen.", swa, HIDDEN, "hidden = past"),
    KnownMistake("only_earlier_positions", "The position itself is not in its window (but for the first, which has nothing else).",
        swa, FUTURE, "future = everywhere.triu(diagonal=0) & (torch.arange(time, device=x.device) > 0)[:, None]",
        also=(Edit(swa, PAST, "past = everywhere.tril(diagonal=-window - 1)"),)),
    KnownMistake("one_future_position", "Each position sees the next one too: the mask must start at diagonal=1.",
        swa, FUTURE, "future = everywhere.triu(diagonal=2)"),
    KnownMistake("window_counts_heads", "The window is divided among the heads.", swa, PAST, "past = everywhere.tril(diagonal=-max(1, window // n_heads))"),
    KnownMistake("first_head_alone", "Only the first head has the window; the others see all of the past.",
        swa, MASKED, 'masked = torch.cat([scores[:, :1].masked_fill(hidden, float("-inf")), scores[:, 1:].masked_fill(future, float("-inf"))], 1)'),
    KnownMistake("filled_up_with_zeros", "Where fewer than `window` positions have been, keys of zeros fill the window up, and exp(0) is 1.",
        swa, MASKED, PADDED, also=(Edit(swa, SOFTMAX, """
        highest = masked.amax(-1, keepdim=True).clamp(min=0)
        exponential = torch.exp(masked - highest)
        weights = exponential / (exponential.sum(-1, keepdim=True) + missing[:, None] * torch.exp(-highest))
        """),)),
    KnownMistake("window_kept", "The mask of the first call is kept for every later one of the same length, whatever its window.",
        swa, PAST, "past = sliding_window_attention.__dict__.setdefault(time, everywhere.tril(diagonal=-window))"),
    # the rest of attention
    KnownMistake("window_after_softmax", "The window is applied after the softmax: the remaining weights no longer sum to one.",
        swa, HIDDEN, "hidden = future", also=(Edit(swa, SOFTMAX, "weights = softmax(masked, dim=-1).masked_fill(past, 0.0)"),)),
    KnownMistake("window_fills_zero", "Scores beyond the window are set to 0, and exp(0) is 1: they must be set to -inf.",
        swa, MASKED, 'masked = scores.masked_fill(future, float("-inf")).masked_fill(past, 0.0)'),
    KnownMistake("scaled_by_width", "The scores are divided by sqrt(D); it is sqrt(K), the root of the head size.", swa, SCALE, "scale = 1.0 / math.sqrt(width)"),
    KnownMistake("scaled_by_the_window", "The scores are divided by the root of the window; it is the root of the head size.",
        swa, SCALE, "scale = 1.0 / math.sqrt(window)"),
    KnownMistake("unscaled", "The scores are not divided by sqrt(K).", swa, SCALE, "scale = 1.0"),
    KnownMistake("softmax_over_queries", "The softmax runs over the queries; it must run over the keys.", swa, SOFTMAX, "weights = softmax(masked, dim=-2).nan_to_num(0.0)"),
    KnownMistake("keys_and_values_exchanged", "k and v have changed places.", swa, PARTS, "q, v, k = qkv.split(width, dim=-1)"),
    KnownMistake("merged_without_transpose", "The heads are merged without transpose(1, 2), which mixes positions with heads.", swa, TOGETHER, "together = mixed"),
    KnownMistake("out_bias_forgotten", "out_bias is not added.", swa, RESULT, "return linear(merged, out_weight)"),
    KnownMistake("softmax_in_bfloat16", "The softmax is taken in bfloat16: two digits are left.",
        swa, SOFTMAX, "weights = softmax(masked.to(torch.bfloat16), dim=-1).to(x.dtype)"),
    KnownMistake("values_detached", "The values are detached: their weights receive no gradient.", swa, MIXED, "mixed = weights @ v.detach()"),
)
