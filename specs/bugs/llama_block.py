"""Known mistakes in assembling a block of Llama. (Mistakes inside its parts belong to the parts.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.llama import llama_block

SETTINGS = 'settings = {"positions": "rotary_halves", "rope_base": rope_base, "window": window, "eps": eps}'
NORMED_1 = "normed_1 = norm(x, norm_1_weight, eps)"
ATTENDED = "attended = grouped_query_attention(normed_1, **heads, **sizes, **settings)"
FIRST = "first = attended if post_norm_1_weight is None else norm(attended, post_norm_1_weight, eps)"
MIDDLE = "middle = x + first"
NORMED_2 = "normed_2 = norm(middle, norm_2_weight, eps)"
THOUGHT = "thought = feed_forward(normed_2, weights)"
SECOND = "second = thought if post_norm_2_weight is None else norm(thought, post_norm_2_weight, eps)"
RESULT = "return middle + second"
block = llama_block

MISTAKES = (
    # the residual stream
    KnownMistake("first_residual_normalised", "The first residual sum starts from the normalised x. It must start from x itself.", block, MIDDLE, "middle = normed_1 + first"),
    KnownMistake("second_residual_normalised", "The second residual sum starts from the normalised stream. It must start from the stream itself.", block, RESULT, "return normed_2 + second"),
    KnownMistake("first_residual_forgotten", "The output of attention replaces x. It must be added to x.", block, MIDDLE, "middle = first"),
    KnownMistake("second_residual_forgotten", "The output of the feed-forward layer replaces the stream. It must be added to it.", block, RESULT, "return second"),
    KnownMistake("second_residual_from_x", "The second residual sum starts from x. It must start from x plus the output of attention.", block, RESULT, "return x + second"),
    KnownMistake("attention_lost", "The output of attention is computed and not added.", block, MIDDLE, "middle = x + 0 * first"),
    KnownMistake("mlp_lost", "The output of the feed-forward layer is computed and not added.", block, RESULT, "return middle + 0 * second"),
    KnownMistake("future_in_the_residual", "Position t of the residual stream is the x of position t + 1.", block, MIDDLE, "middle = x.roll(-1, 1) + first"),
    # the norms
    KnownMistake("norms_exchanged", "The norm of attention and that of the feed-forward layer are exchanged.",
        block, NORMED_1, "normed_1 = norm(x, norm_2_weight, eps)", also=(Edit(block, NORMED_2, "normed_2 = norm(middle, norm_1_weight, eps)"),)),
    KnownMistake("first_norm_for_both", "The first norm is used twice. The feed-forward layer has its own.", block, NORMED_2, "normed_2 = norm(middle, norm_1_weight, eps)"),
    KnownMistake("second_norm_for_both", "The second norm is used twice. Attention has its own.", block, NORMED_1, "normed_1 = norm(x, norm_2_weight, eps)"),
    KnownMistake("first_norm_forgotten", "Attention reads x itself. It must read the normalised x.", block, NORMED_1, "normed_1 = x"),
    KnownMistake("second_norm_forgotten", "The feed-forward layer reads the stream itself. It must read the normalised stream.", block, NORMED_2, "normed_2 = middle"),
    KnownMistake("first_half_post_norm", "The first norm is applied after the residual sum (post-norm). Llama normalises the input of attention.",
        block, NORMED_1, "normed_1 = x", also=(Edit(block, MIDDLE, "middle = norm(x + first, norm_1_weight, eps)"),)),
    KnownMistake("only_queries_normalised", "Only the queries are computed from the normalised x. The keys and values are computed from x itself.",
        block, ATTENDED, """
from reference_model.linear import linear
whole = dict(heads)
size = whole["query_weight"].shape[0] // n_heads
normed_q = linear(normed_1, whole["query_weight"], whole["query_bias"])
joined = normed_q.new_zeros(whole["query_weight"].shape[0], x.shape[-1] + normed_q.shape[-1])
joined[:, x.shape[-1]:] = x.new_ones(normed_q.shape[-1]).diag()
wide = [w if w is None else torch.cat([w, w.new_zeros(w.shape[0], normed_q.shape[-1])], 1) for w in (whole["key_weight"], whole["value_weight"])]
whole |= {"query_weight": joined, "query_bias": None, "key_weight": wide[0], "value_weight": wide[1]}
attended = grouped_query_attention(torch.cat([x, normed_q], -1), **whole, **sizes, **settings)
""", seen_in=("facebookresearch/xformers#233",)),
    KnownMistake("eps_fixed", "eps of both norms is fixed at 1e-6, whatever is configured.",
        block, NORMED_1, "normed_1 = norm(x, norm_1_weight, 1e-6)", also=(Edit(block, NORMED_2, "normed_2 = norm(middle, norm_2_weight, 1e-6)"),)),
    KnownMistake("second_eps_fixed", "eps of the second norm is fixed at 1e-6, whatever is configured.", block, NORMED_2, "normed_2 = norm(middle, norm_2_weight, 1e-6)"),
    # norms of what is added
    KnownMistake("post_norms_forgotten", "The norms of what is added to the stream (Gemma 2: post_attention_layernorm, post_feedforward_layernorm) are not applied.",
        block, FIRST, "first = attended", also=(Edit(block, SECOND, "second = thought"),)),
    KnownMistake("second_post_norm_forgotten", "The norm of what the feed-forward layer adds (Gemma 2: post_feedforward_layernorm) is not applied.", block, SECOND, "second = thought"),
    KnownMistake("post_norms_exchanged", "The two norms of what is added to the stream are exchanged.",
        block, FIRST, FIRST.replace("norm(attended, post_norm_1_weight", "norm(attended, post_norm_2_weight"),
        also=(Edit(block, SECOND, SECOND.replace("norm(thought, post_norm_2_weight", "norm(thought, post_norm_1_weight")),)),
    KnownMistake("post_norm_after_the_sum", "The norm of what attention adds is applied to the sum. It must be applied before the sum, so that the stream itself is never normalised.",
        block, FIRST, "first = attended", also=(Edit(block, MIDDLE, "middle = x + first if post_norm_1_weight is None else norm(x + first, post_norm_1_weight, eps)"),)),
    KnownMistake("post_norm_read_as_second_norm", "With four norms, post_attention_layernorm is used as the norm of the feed-forward layer, as in Llama. There it normalises what attention adds; the feed-forward layer has pre_feedforward_layernorm.",
        block, FIRST, "first = attended",
        also=(Edit(block, NORMED_2, "normed_2 = norm(middle, norm_2_weight if post_norm_1_weight is None else post_norm_1_weight, eps)"),)),
    # what reads what
    KnownMistake("mlp_reads_attention_output_only", "The feed-forward layer reads the output of attention. It must read the stream, which includes that output.",
        block, NORMED_2, "normed_2 = norm(first, norm_2_weight, eps)"),
    KnownMistake("mlp_first", "The feed-forward layer comes before attention. In Llama attention comes first.",
        block, NORMED_1, "normed_1 = norm(x, norm_2_weight, eps)", also=(
            Edit(block, ATTENDED, "attended = feed_forward(normed_1, weights)"),
            Edit(block, FIRST, FIRST.replace("post_norm_1", "post_norm_2")),
            Edit(block, NORMED_2, "normed_2 = norm(middle, norm_1_weight, eps)"),
            Edit(block, THOUGHT, "thought = grouped_query_attention(normed_2, **heads, **sizes, **settings)"),
            Edit(block, SECOND, SECOND.replace("post_norm_2", "post_norm_1")))),
    KnownMistake("attention_twice", "The second sublayer is attention again. It must be the feed-forward layer.",
        block, THOUGHT, "thought = grouped_query_attention(normed_2, **heads, **sizes, **settings)"),
    # what is not passed on
    KnownMistake("rope_base_not_passed", "The block rotates with the base 10000, whatever is configured.",
        block, SETTINGS, 'settings = {"positions": "rotary_halves", "window": window, "eps": eps}'),
    KnownMistake("window_not_passed", "Attention sees every position, whatever window is configured.",
        block, SETTINGS, 'settings = {"positions": "rotary_halves", "rope_base": rope_base, "eps": eps}'),
    # gradients and randomness
    KnownMistake("residual_detached", "The residual stream is detached: gradients no longer bypass attention.", block, MIDDLE, "middle = x.detach() + first"),
    KnownMistake("second_residual_detached", "The stream is detached before the second residual sum: gradients no longer bypass the feed-forward layer.", block, RESULT, "return middle.detach() + second"),
    KnownMistake("attention_detached", "The output of attention is detached: its weights receive no gradient.", block, MIDDLE, "middle = x + first.detach()"),
    KnownMistake("dropout_left_on", "Dropout on the residual branch is active outside training.",
        block, MIDDLE, "middle = x + torch.nn.functional.dropout(first, 0.1, training=True)"),
    KnownMistake("attention_mask_not_passed_on", "The block takes an attention mask and does not pass it to its attention.",
        llama_block, 'sizes = {"n_heads": n_heads, "n_kv_heads": n_kv_heads, "head_size": head_size, "attention_mask": attention_mask}',
        'sizes = {"n_heads": n_heads, "n_kv_heads": n_kv_heads, "head_size": head_size}', looks_like=("grouped_query_attention.attention_mask_ignored",)),
)
