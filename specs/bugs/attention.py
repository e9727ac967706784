"""Known mistakes in causal multi-head self-attention."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.attention import attention, without_padding
from reference_model.softmax import softmax

PROJECT = "qkv = linear(x, qkv_weight, qkv_bias)"
PARTS = "q, k, v = qkv.split(width, dim=-1)"
SPLIT_Q = "q = q.reshape(batch, time, n_heads, head_size)"
SPLIT_K = "k = k.reshape(batch, time, n_heads, head_size)"
SPLIT_V = "v = v.reshape(batch, time, n_heads, head_size)"
TURN_Q, TURN_K, TURN_V = "q = q.transpose(1, 2)", "k = k.transpose(1, 2)", "v = v.transpose(1, 2)"
HEAD_SIZE = "head_size = width // n_heads"
SCALE = "scale = 1.0 / math.sqrt(head_size)"
PRODUCTS = "products = q @ k.transpose(-2, -1)"
SCORES = "scores = products * scale"
CAPPED = "scores = cap * torch.tanh(scores / cap)"
FUTURE = "future = everywhere.triu(diagonal=1)"
MASKED = 'masked = scores.masked_fill(future, float("-inf"))'
IF_PADDED = "if attention_mask is not None:"
REAL = "real = attention_mask.bool()"
KEYS = "hidden = ~real[:, None, None, :]"
KEPT = 'kept = scores.masked_fill(hidden, float("-inf"))'
FINITE = "return kept.masked_fill(idle, 0.0)"
SOFTMAX = "weights = softmax(masked, dim=-1)"
MIXED = "mixed = weights @ v"
TOGETHER = "together = mixed.transpose(1, 2)"
MERGED = "merged = together.reshape(batch, time, width)"
RESULT = "return linear(merged, out_weight, out_bias)"


SCALED_IN_PLACE = """
with torch.no_grad():
    for learned in (qkv_weight, qkv_bias):
        if learned is not None:
            learned[:width].mul_(1.0 / math.sqrt(head_size))
qkv = linear(x, qkv_weight, qkv_bias)
"""
STRIDED_IN = [
    (split, f"{split[0]} = {split[0]}.reshape(batch, time, head_size, n_heads).transpose(2, 3)")
    for split in (SPLIT_Q, SPLIT_K, SPLIT_V)
]
VIEWED = [(split, f"{split[0]} = {split[0]}.reshape(batch, n_heads, time, head_size)") for split in (SPLIT_Q, SPLIT_K, SPLIT_V)]
UNTURNED = tuple(Edit(attention, turn, f"{turn[0]} = {turn[0]}") for turn in (TURN_Q, TURN_K, TURN_V))

MISTAKES = (
    # the mask
    KnownMistake("no_mask", "There is no causal mask: every position sees the whole sequence.",
        attention, MASKED, "masked = scores", seen_in=("huggingface/transformers#48745",)),
    KnownMistake("mask_includes_the_diagonal", "The mask hides each position from itself (triu(diagonal=0)). It must start at diagonal=1. The first position is left with no key at all: nan.",
        attention, FUTURE, "future = everywhere.triu(diagonal=0)", aliases=("mask_hides_itself",)),
    KnownMistake("only_earlier_positions", "Each position attends only to the positions strictly before it, and the first one to nothing. It must also attend to itself.",
        attention, FUTURE, "future = everywhere.triu(diagonal=0)", also=(Edit(attention, SOFTMAX, "weights = softmax(masked, dim=-1).nan_to_num(0.0)"),)),
    KnownMistake("first_tenth_seen_by_all", "The first tenth of the positions is visible to every query, later ones included. It shows from 15 positions on.",
        attention, FUTURE, "future = everywhere.triu(diagonal=1) & (torch.arange(time, device=x.device) >= max(1, round(0.1 * time)))"),
    KnownMistake("one_future_position", "Each position sees the next one too: the mask starts at diagonal=2. It must start at diagonal=1.",
        attention, FUTURE, "future = everywhere.triu(diagonal=2)"),
    KnownMistake("mask_inverted", "The mask is inverted: it hides earlier positions and shows later ones. Some functions want True where a key may be seen, others where it may not.",
        attention, FUTURE, "future = ~everywhere.triu(diagonal=1)", seen_in=("lucidrains/x-transformers@d731d82",)),
    KnownMistake("mask_transposed", "The mask is the wrong triangle: each position sees itself and the positions after it.",
        attention, FUTURE, "future = everywhere.tril(diagonal=-1)"),
    KnownMistake("mask_after_softmax", "The mask is applied after the softmax, so the remaining weights no longer sum to one. Set the scores to -inf before the softmax.",
        attention, MASKED, "masked = scores", also=(Edit(attention, SOFTMAX, "weights = softmax(masked, dim=-1).masked_fill(future, 0.0)"),)),
    KnownMistake("mask_fills_zero", "Scores of later positions are set to 0 (or multiplied by a 0/1 mask, tril), and exp(0) is 1. Set them to -inf.",
        attention, MASKED, "masked = scores.masked_fill(future, 0.0)"),
    KnownMistake("mask_fills_1e_9", "Scores of later positions are set to 1e-9, which is nearly 0, and exp(0) is 1. Use -1e9 or -inf.",
        attention, MASKED, "masked = scores.masked_fill(future, 1e-9)"),
    KnownMistake("boolean_mask_added", "A boolean mask is added to the scores: it raises the visible keys by 1 and hides nothing.",
        attention, MASKED, "masked = scores + ~future", seen_in=("TransformerLensOrg/TransformerLens@42a2d52",), aliases=("mask_adds_true",)),
    KnownMistake("zero_one_mask_added", "The 0/1 mask of later positions is added to the scores as it is. Use masked_fill with -inf.",
        attention, MASKED, "masked = scores + future", aliases=("mask_adds_the_future",)),
    KnownMistake("mask_adds_minus_1e4", "Only 1e4 is subtracted from the scores of later positions: where the scores are that large, they are still seen. Use -inf.",
        attention, MASKED, "masked = scores - 1e4 * future", seen_in=("huggingface/transformers#17306",)),
    KnownMistake("mask_fills_minus_1e4", "Scores of later positions are set to -1e4, but real scores can be lower. Use -inf.",
        attention, MASKED, "masked = scores.masked_fill(future, -1e4)"),
    KnownMistake("mask_fills_minus_1e5", "Scores of later positions are set to -1e5, but real scores can be lower. Use -inf.",
        attention, MASKED, "masked = scores.masked_fill(future, -1e5)", seen_in=("TransformerLensOrg/TransformerLens@e9bbd6a",)),
    KnownMistake("mask_before_scale", "The scores are masked with a finite number before they are scaled, so the mask is scaled down too.",
        attention, MASKED, "masked = (products - 1e4 * future) * scale"),
    KnownMistake("mask_cached_across_calls", "The mask of the first call is cached and reused in every later call, whatever its length.",
        attention, FUTURE, 'future = attention.__dict__.setdefault("future", everywhere.triu(diagonal=1))', aliases=("mask_kept",)),
    KnownMistake("only_first_head_masked", "Only the first head is masked. The other heads see later positions.",
        attention, MASKED, 'masked = torch.cat([scores[:, :1].masked_fill(future, float("-inf")), scores[:, 1:]], 1)', aliases=("first_head_masked",)),
    KnownMistake("only_first_row_masked", "Only the first row of the batch is masked. The other rows see later positions.",
        attention, MASKED, 'masked = torch.cat([scores[:1].masked_fill(future, float("-inf")), scores[1:]])', aliases=("first_row_masked",)),
    KnownMistake("only_recent_positions", "Only the last three positions are seen (a sliding window). GPT-2 attends to all earlier positions.",
        attention, FUTURE, "future = everywhere.triu(diagonal=1) | everywhere.tril(diagonal=-3)"),
    KnownMistake("first_position_hidden", "No other position can attend to the first one.",
        attention, FUTURE, "future = everywhere.triu(diagonal=1) | (everywhere.tril(diagonal=-1) & (torch.arange(time) == 0))"),
    # the scale
    KnownMistake("scaled_by_width", "You divide the scores by sqrt(D), the root of the width. Divide by sqrt(K), the root of the head size K = D / H.",
        attention, SCALE, "scale = 1.0 / math.sqrt(width)",
        seen_in=("karpathy/ng-video-lecture#6", "omihub777/ViT-CIFAR#12", "juho-lee/set_transformer#18")),
    KnownMistake("unscaled", "The scores are not divided by sqrt(K).", attention, SCALE, "scale = 1.0"),
    KnownMistake("scaled_by_head_size_without_root", "The scores are divided by K. Divide by its root, sqrt(K), and only once.",
        attention, SCALE, "scale = 1.0 / head_size", aliases=("scaled_by_the_head_size_itself",)),
    KnownMistake("multiplied_by_the_root", "The scores are multiplied by sqrt(K). They must be divided by it.",
        attention, SCALE, "scale = math.sqrt(head_size)"),
    KnownMistake("scaled_by_heads", "You divide the scores by sqrt(H), the root of the number of heads. Divide by sqrt(K), the root of the head size.",
        attention, SCALE, "scale = 1.0 / math.sqrt(n_heads)"),
    KnownMistake("scaled_by_time", "You divide the scores by sqrt(T), the root of the sequence length. Divide by sqrt(K), the root of the head size.",
        attention, SCALE, "scale = 1.0 / math.sqrt(time)"),
    KnownMistake("fourth_root_applied_once", "Only one of q and k is divided by the fourth root of K. Both must be.",
        attention, SCALE, "scale = head_size ** -0.25", aliases=("scaled_once_by_the_fourth_root",)),
    KnownMistake("scaled_after_softmax", "The weights are divided by sqrt(K) after the softmax. Divide the scores, before the softmax.",
        attention, SCORES, "scores = products", also=(Edit(attention, SOFTMAX, "weights = softmax(masked, dim=-1) * scale"),)),
    # a soft cap, where one is declared
    KnownMistake("softcap_after_the_mask", "The soft cap is applied after the mask: tanh makes -inf the lowest capped score, and later positions get weight again. Cap the scores, then mask them.",
        attention, CAPPED, "scores = scores", also=(Edit(attention, MASKED, MASKED + "\nmasked = cap * torch.tanh(masked / cap)"),), under=("softcap=5",)),
    KnownMistake("softcap_not_multiplied_back", "The capped scores are not multiplied by the cap: tanh leaves them between -1 and 1. The soft cap is cap * tanh(score / cap).",
        attention, CAPPED, "scores = torch.tanh(scores / cap)", under=("softcap=5",)),
    # the scores
    KnownMistake("keys_times_queries", "The scores are K Q^T, or q and k are exchanged. They are Q K^T: rows are queries, columns are keys.",
        attention, PRODUCTS, "products = k @ q.transpose(-2, -1)", seen_in=("karpathy/llm.c@c116fbf",)),
    KnownMistake("softmax_over_queries", "The softmax runs over the queries (dim=-2). It must run over the keys (dim=-1).",
        attention, SOFTMAX, "weights = softmax(masked, dim=-2)"),
    KnownMistake("softmax_over_heads", "The softmax runs over the heads (dim=1). It must run over the keys (dim=-1).",
        attention, SOFTMAX, "weights = softmax(masked, dim=1)"),
    KnownMistake("softmax_over_the_batch", "The softmax runs over the batch (dim=0). It must run over the keys (dim=-1).",
        attention, SOFTMAX, "weights = softmax(masked, dim=0)"),
    KnownMistake("softmax_twice", "The softmax is applied twice: masked positions get weight again.",
        attention, SOFTMAX, "weights = softmax(softmax(masked, dim=-1), dim=-1)"),
    KnownMistake("softmax_forgotten", "There is no softmax: the raw scores are used as weights.",
        attention, SOFTMAX, "weights = scores.masked_fill(future, 0.0)"),
    KnownMistake("sigmoid_for_softmax", "You use a sigmoid. The weights must sum to one: use a softmax over the keys.",
        attention, SOFTMAX, "weights = torch.sigmoid(masked)"),
    KnownMistake("softmax_in_bfloat16", "The softmax is computed in bfloat16, which keeps about two significant digits.",
        attention, SOFTMAX, "weights = softmax(masked.to(torch.bfloat16), dim=-1).to(x.dtype)"),
    KnownMistake("softmax_in_float16", "The softmax is computed in float16, which keeps about three significant digits. Scores above 65504 overflow.",
        attention, SOFTMAX, "weights = softmax(masked.to(torch.float16), dim=-1).to(x.dtype)"),
    KnownMistake("maximum_not_subtracted", "The exponentials are computed without subtracting the largest score first: they overflow.",
        softmax, "shifted = x - highest", "shifted = x", aliases=("softmax_without_the_maximum",)),
    KnownMistake("one_maximum_for_all", "One maximum is subtracted from all rows: the exponentials of a row far below it underflow to 0.",
        softmax, "highest = x.amax(dim, keepdim=True).detach()", "highest = x.amax().detach()", aliases=("softmax_with_one_maximum",)),
    KnownMistake("softmax_plus_one", "1 is added to the denominator of the softmax: the weights no longer sum to one.",
        softmax, "total = exponential.sum(dim, keepdim=True)", "total = exponential.sum(dim, keepdim=True) + torch.exp(-highest)"),
    KnownMistake("softmax_with_epsilon", "A small epsilon is added to the denominator of the softmax: the weights no longer sum to one.",
        softmax, "total = exponential.sum(dim, keepdim=True)", "total = exponential.sum(dim, keepdim=True) + 1e-6"),
    KnownMistake("scores_unused", "The scores are not used: every position takes the plain mean of the values it can see.",
        attention, MASKED, 'masked = torch.zeros_like(scores).masked_fill(future, float("-inf"))'),
    # which rows are q, k and v
    KnownMistake("keys_and_values_exchanged", "k and v are exchanged. The rows of qkv_weight are q, then k, then v.",
        attention, PARTS, "q, v, k = qkv.split(width, dim=-1)"),
    KnownMistake("queries_and_values_exchanged", "q and v are exchanged. The rows of qkv_weight are q, then k, then v.",
        attention, PARTS, "v, k, q = qkv.split(width, dim=-1)"),
    KnownMistake("qkv_read_as_kvq", "You read the rows of qkv_weight as k, v, q. They are q, then k, then v.",
        attention, PARTS, "k, v, q = qkv.split(width, dim=-1)", aliases=("parts_turned_left",)),
    KnownMistake("qkv_read_as_vqk", "You read the rows of qkv_weight as v, q, k. They are q, then k, then v.",
        attention, PARTS, "v, q, k = qkv.split(width, dim=-1)", aliases=("parts_turned_right",)),
    KnownMistake("qkv_interleaved_per_head", "You read qkv_weight head by head, each with its own q, k, v (the GPT-NeoX layout). GPT-2 stores all of q first, then all of k, then all of v.",
        attention, PARTS, "q, k, v = (part.flatten(2) for part in qkv.reshape(batch, time, n_heads, 3, head_size).unbind(3))", aliases=("parts_within_each_head",), looks_like=("variant=by_head",)),
    KnownMistake("qkv_interleaved_per_feature", "You read the rows of qkv_weight as q, k, v in turn, feature by feature. GPT-2 stores all of q first, then all of k, then all of v.",
        attention, PARTS, "q, k, v = qkv.reshape(batch, time, width, 3).unbind(-1)", aliases=("parts_within_each_feature",)),
    KnownMistake("keys_for_values", "The attention weights are applied to the keys. They must be applied to the values.", attention, MIXED, "mixed = weights @ k"),
    KnownMistake("key_weight_for_values", "The values are computed with the key weight. They have a weight of their own.",
        attention, PARTS, """
        q, k, v = qkv.split(width, dim=-1)
        v = k + (0 if qkv_bias is None else qkv_bias[2 * width :] - qkv_bias[width : 2 * width])
        """),
    KnownMistake("queries_for_keys", "The scores are Q Q^T. The keys are not used.", attention, PRODUCTS, "products = q @ q.transpose(-2, -1)"),
    KnownMistake("weights_unused", "The attention weights are not applied: each position returns its own value.", attention, MIXED, "mixed = v"),
    KnownMistake("weights_transposed", "The attention weights are transposed before they are applied to the values.",
        attention, MIXED, "mixed = weights.transpose(-2, -1) @ v"),
    KnownMistake("input_for_values", "x itself is used as the values. v is not used.",
        attention, MIXED, "mixed = weights @ x.reshape(batch, time, n_heads, head_size).transpose(1, 2)"),
    # heads
    KnownMistake("split_without_transpose", "q, k and v are viewed as [B, H, T, K] directly, which mixes positions with heads. View as [B, T, H, K], then transpose(1, 2).",
        attention, VIEWED[0][0], VIEWED[0][1], also=(Edit(attention, *VIEWED[1]), Edit(attention, *VIEWED[2]), *UNTURNED)),
    KnownMistake("merged_without_transpose", "The heads are merged without transpose(1, 2) before the reshape. This mixes positions with heads.",
        attention, TOGETHER, "together = mixed"),
    KnownMistake("split_and_merged_without_transpose", "q, k and v are viewed as [B, H, T, K] directly and merged the same way, which mixes positions with heads. View as [B, T, H, K], then transpose(1, 2).",
        attention, VIEWED[0][0], VIEWED[0][1], also=(Edit(attention, *VIEWED[1]), Edit(attention, *VIEWED[2]), *UNTURNED,
                                                     Edit(attention, TOGETHER, "together = mixed"))),
    KnownMistake("heads_strided", "A head takes every H-th feature (a view as [B, T, K, H]). The features of a head are contiguous: [B, T, H, K].",
        attention, *STRIDED_IN[0], also=(Edit(attention, *STRIDED_IN[1]), Edit(attention, *STRIDED_IN[2]),
                                         Edit(attention, TOGETHER, "together = mixed.permute(0, 2, 3, 1)"))),
    KnownMistake("heads_strided_when_split", "q, k and v are viewed as [B, T, K, H], so a head takes every H-th feature. View them as [B, T, H, K].",
        attention, *STRIDED_IN[0], also=(Edit(attention, *STRIDED_IN[1]), Edit(attention, *STRIDED_IN[2]))),
    KnownMistake("heads_strided_when_merged", "The heads are merged feature by feature, as [B, T, K, H]. They must be concatenated: [B, T, H, K].",
        attention, TOGETHER, "together = mixed.permute(0, 2, 3, 1)"),
    KnownMistake("heads_merged_in_reverse", "The heads are merged in reverse order.", attention, TOGETHER, "together = mixed.flip(1).transpose(1, 2)"),
    KnownMistake("n_heads_and_head_size_exchanged", "n_heads is used as the head size, and the head size as the number of heads.",
        attention, HEAD_SIZE, "head_size, n_heads = n_heads, width // n_heads", aliases=("heads_for_head_size",)),
    KnownMistake("single_head", "n_heads is ignored: there is one head over the whole width.",
        attention, HEAD_SIZE, "head_size, n_heads = width, 1"),
    KnownMistake("keys_of_one_head", "Every head uses the keys of the first head.", attention, TURN_K, "k = k.transpose(1, 2)[:, :1]"),
    KnownMistake("values_of_one_head", "Every head uses the values of the first head.",
        attention, TURN_V, "v = v.transpose(1, 2)[:, :1].expand(batch, n_heads, time, head_size)"),
    KnownMistake("heads_averaged", "The heads are averaged and repeated. They must be concatenated.",
        attention, TOGETHER, "together = mixed.mean(1, keepdim=True).expand(mixed.shape).transpose(1, 2)"),
    # the projections
    KnownMistake("qkv_bias_forgotten", "The bias of q, k and v is not added.", attention, PROJECT, "qkv = linear(x, qkv_weight, None)"),
    KnownMistake("value_bias_forgotten", "The bias of v is not added.",
        attention, TURN_V, "v = v.transpose(1, 2) if qkv_bias is None else (v - qkv_bias[2 * width :].reshape(n_heads, head_size)).transpose(1, 2)"),
    KnownMistake("out_bias_forgotten", "The bias of the output projection is not added.", attention, RESULT, "return linear(merged, out_weight, None)"),
    KnownMistake("out_bias_twice", "The bias of the output projection is added twice.",
        attention, RESULT, "return linear(merged, out_weight, None if out_bias is None else 2 * out_bias)"),
    KnownMistake("out_projection_forgotten", "The heads are concatenated but not projected: out_weight is not used.", attention, RESULT, "return merged"),
    KnownMistake("out_weight_transposed", "Your out_weight is used as [in, out]. It is [out, in], as in torch.nn.Linear. It is square, so no shape error shows it.",
        attention, RESULT, "return linear(merged, out_weight.transpose(0, 1), out_bias)",
        seen_in=("karpathy/nanoGPT@d995c22",)),
    KnownMistake("qkv_weights_transposed", "The matrices of q, k and v are each used as [in, out]. They are [out, in]. They are square, so no shape error shows it.",
        attention, PROJECT, "qkv = linear(x, torch.cat([part.transpose(0, 1) for part in qkv_weight.split(width)]), qkv_bias)",
        seen_in=("rasbt/LLMs-from-scratch@27d52d6",)),
    KnownMistake("qkv_weight_reshaped_not_transposed", "qkv_weight is reshaped to [D, 3D] where it must be transposed. The entries end up in the wrong places.",
        attention, PROJECT, "qkv = linear(x, qkv_weight.reshape(width, 3 * width).transpose(0, 1), qkv_bias)", aliases=("qkv_weight_viewed",)),
    KnownMistake("residual_inside", "x is added inside attention. The block adds the residual itself, so it counts twice.",
        attention, RESULT, "return x + linear(merged, out_weight, out_bias)"),
    KnownMistake("single_position_not_projected", "The output projection is skipped for a single position.",
        attention, RESULT, "return merged if time == 1 else linear(merged, out_weight, out_bias)", aliases=("short_cut_for_one_position",)),
    # gradients and side effects
    KnownMistake("weights_detached", "The attention weights are detached (or computed under no_grad): q and k receive no gradient.",
        attention, SOFTMAX, "weights = softmax(masked, dim=-1).detach()"),
    KnownMistake("queries_detached", "The queries are detached: the gradient through them is lost.", attention, TURN_Q, "q = q.transpose(1, 2).detach()"),
    KnownMistake("keys_detached", "The keys are detached: the gradient through them is lost.", attention, TURN_K, "k = k.transpose(1, 2).detach()"),
    KnownMistake("values_detached", "The values are detached: the gradient through them is lost.", attention, TURN_V, "v = v.transpose(1, 2).detach()"),
    KnownMistake("dropout_left_on", "Dropout of the attention weights is active outside training. Pass dropout_p=0.0, or training=self.training.",
        attention, SOFTMAX, "weights = torch.nn.functional.dropout(softmax(masked, dim=-1), 0.1, training=True)",
        seen_in=("karpathy/nanoGPT#240", "pytorch/pytorch#124464", "wenet-e2e/wenet#2699")),
    KnownMistake("query_weight_scaled_in_place", "The scale is multiplied into the query rows of qkv_weight in place: the caller's weights shrink with every call.",
        attention, PROJECT, SCALED_IN_PLACE, also=(Edit(attention, SCORES, "scores = products"),), aliases=("scale_written_into_the_weights",)),
    KnownMistake("written_into_x", "The result is written into x. This destroys the caller's tensor.",
        attention, RESULT, "result = linear(merged, out_weight, out_bias)\nreturn result if x.requires_grad else x.copy_(result)"),
    # padding
    KnownMistake("attention_mask_ignored", "attention_mask is taken and not used: real positions attend to padding.", attention, IF_PADDED, "if False:", seen_in=("jingyaogong/minimind-v#76",)),
    KnownMistake("attention_mask_inverted", "The attention mask is inverted: real positions are hidden and padding is seen. True, or 1, means real.",
        without_padding, REAL, "real = ~attention_mask.bool()"),
    KnownMistake("attention_mask_replaces_the_causal_one", "With an attention mask the causal mask is dropped: positions see the future. Both must hold.",
        attention, "masked = without_padding(masked, attention_mask)", "masked = without_padding(scores, attention_mask)"),
    KnownMistake("attention_mask_on_queries", "The attention mask hides queries, not keys: it stands on the wrong axis of the scores.",
        without_padding, KEYS, "hidden = ~real[:, None, :, None]", seen_in=("hyunwoongko/transformer#40",)),
    KnownMistake("attention_mask_of_the_first_row", "Every row of the batch uses the attention mask of the first row.",
        without_padding, REAL, "real = attention_mask.bool()[:1]"),
    KnownMistake("attention_mask_added", "The numbers 1 and 0 of the attention mask are added to the scores: padding keeps nearly all of its weight. Set its scores to -inf.",
        without_padding, KEPT, "kept = scores + real[:, None, None, :]"),
    KnownMistake("attention_mask_multiplied", "The scores are multiplied by the attention mask: those of padding become 0, and exp(0) is 1. Set them to -inf.",
        without_padding, KEPT, 'kept = (scores * ~hidden).masked_fill(scores.isinf(), float("-inf"))'),
    KnownMistake("attention_mask_after_softmax", "The attention mask is applied to the weights after the softmax: they no longer sum to one.",
        attention, IF_PADDED, "if False:",
        also=(Edit(attention, SOFTMAX, "weights = softmax(masked, dim=-1)\nif attention_mask is not None:\n    weights = weights * attention_mask.bool()[:, None, None, :]"),)),
    KnownMistake("last_real_position_hidden", "The last real position counts as padding too.",
        without_padding, REAL, "real = attention_mask.bool() & (attention_mask.long().cumsum(-1) < attention_mask.long().sum(-1, keepdim=True))"),
    KnownMistake("nan_where_all_is_padding", "With padding before the text, its own queries see nothing and become NaN: so does every gradient, and every later layer. Give such rows finite scores.",
        without_padding, FINITE, "return kept", seen_in=("pytorch/pytorch#41508", "pytorch/pytorch#103749", "allenai/OLMo#322"),
        looks_like=("variant=nan_where_all_is_hidden",)),
)
