"""Known mistakes in assembling a block. (Mistakes inside its parts belong to the parts.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.block import block

NORMED_1 = "normed_1 = layer_norm(x, norm_1_weight, norm_1_bias, eps)"
ATTENDED = "attended = attention(normed_1, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, attention_mask)"
MIDDLE = "middle = x + attended"
NORMED_2 = "normed_2 = layer_norm(middle, norm_2_weight, norm_2_bias, eps)"
THOUGHT = "thought = mlp(normed_2, up_weight, up_bias, down_weight, down_bias)"
RESULT = "return middle + thought"

ONLY_QUERIES_NORMED = """
import torch
width = x.shape[-1]
queries, others = normed_1 @ qkv_weight[:width].T, x @ qkv_weight[width:].T
projected = torch.cat([queries, others], -1) + (0 if qkv_bias is None else qkv_bias)
parts = [p.reshape(*x.shape[:2], n_heads, -1).transpose(1, 2) for p in projected.split(width, -1)]
mixed = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).reshape(x.shape)
attended = mixed @ out_weight.T + (0 if out_bias is None else out_bias)
"""

MISTAKES = (
    # the residual stream
    KnownMistake("first_residual_normalised", "The first residual sum starts from the normalised x. It must start from x itself: x + attention(norm(x)).",
        block, MIDDLE, "middle = normed_1 + attended",
        seen_in=("Howuhh/faster-trajectory-transformer#3", "pytorch/pytorch#61165", "tracel-ai/burn#1056", "lbcb-sci/RiNALMo#9"), aliases=("residual_normalised",)),
    KnownMistake("second_residual_normalised", "The second residual sum starts from the normalised stream. It must start from the stream itself.",
        block, RESULT, "return normed_2 + thought", seen_in=("SHI-Labs/Compact-Transformers#25",)),
    KnownMistake("both_residuals_normalised", "x is overwritten with its normalised copy before each sublayer, so both residual sums start from that. They must start from the stream itself.",
        block, MIDDLE, "middle = normed_1 + attended", also=(Edit(block, RESULT, "return normed_2 + thought"),),
        seen_in=("lucidrains/x-transformers@08cc84e",)),
    KnownMistake("first_residual_forgotten", "The attention output replaces x. It must be added to x.", block, MIDDLE, "middle = attended"),
    KnownMistake("second_residual_forgotten", "The MLP output replaces the stream. It must be added to the stream.", block, RESULT, "return thought"),
    KnownMistake("attention_lost", "The second residual sum starts from x again: the attention output is lost.", block, RESULT, "return x + thought"),
    KnownMistake("mlp_lost", "The MLP output is not used.", block, RESULT, "return middle"),
    KnownMistake("x_added_twice", "x is added a second time at the end.", block, RESULT, "return x + middle + thought"),
    KnownMistake("attention_added_twice", "The attention output is added twice.", block, RESULT, "return middle + attended + thought"),
    KnownMistake("residual_halved", "The residual sum is halved. GPT-2 does not average the stream with the sublayer output.", block, MIDDLE, "middle = (x + attended) / 2"),
    KnownMistake("residual_divided_by_sqrt_2", "The residual sum is divided by sqrt(2). GPT-2 does not scale it.", block, MIDDLE, "middle = (x + attended) / 2 ** 0.5", aliases=("residual_over_the_root_of_two",)),
    KnownMistake("attention_subtracted", "The attention output is subtracted. It must be added.", block, MIDDLE, "middle = x - attended", aliases=("difference_for_sum",)),
    KnownMistake("residual_in_place", "x += ... changes the caller's tensor. Write x = x + ...",
        block, MIDDLE, "middle = x + attended if x.requires_grad else x.add_(attended)"),
    KnownMistake("future_in_the_residual", "The stream is shifted by one position before it is added: each position sees the next one.",
        block, MIDDLE, "middle = x.roll(-1, 1) + attended"),
    # the norms
    KnownMistake("norms_exchanged", "The two norms are exchanged.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_2_weight, norm_2_bias, eps)",
        also=(Edit(block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),)),
    KnownMistake("first_norm_twice", "The first norm's weights are used before the MLP too. The MLP has its own norm.",
        block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),
    KnownMistake("second_norm_twice", "The second norm's weights are used before attention too. Attention has its own norm.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_2_weight, norm_2_bias, eps)"),
    KnownMistake("first_norm_forgotten", "There is no norm before attention.", block, NORMED_1, "normed_1 = x"),
    KnownMistake("second_norm_forgotten", "There is no norm before the MLP.", block, NORMED_2, "normed_2 = middle"),
    KnownMistake("both_norms_forgotten", "There is no norm before either sublayer.", block, NORMED_1, "normed_1 = x",
        also=(Edit(block, NORMED_2, "normed_2 = middle"),)),
    KnownMistake("second_eps_fixed", "eps of the second norm is fixed at 1e-6. It is an argument, 1e-5 in GPT-2.",
        block, NORMED_2, "normed_2 = layer_norm(middle, norm_2_weight, norm_2_bias, 1e-6)"),
    KnownMistake("first_half_post_norm", "The first norm is applied after the residual sum (post-norm). GPT-2 normalises the input of attention (pre-norm).",
        block, NORMED_1, "normed_1 = x",
        also=(Edit(block, MIDDLE, "middle = layer_norm(x + attended, norm_1_weight, norm_1_bias, eps)"),)),
    KnownMistake("second_half_post_norm", "The second norm is applied after the residual sum (post-norm). GPT-2 normalises the input of the MLP (pre-norm).",
        block, NORMED_2, "normed_2 = middle",
        also=(Edit(block, RESULT, "return layer_norm(middle + thought, norm_2_weight, norm_2_bias, eps)"),)),
    KnownMistake("first_eps_fixed", "eps of the first norm is fixed at 1e-6. It is an argument, 1e-5 in GPT-2.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_1_weight, norm_1_bias, 1e-6)"),
    KnownMistake("post_norm_with_the_raw_residual", "This is post-norm, with a second residual sum that starts from the unnormalised stream. GPT-2 is pre-norm.",
        block, NORMED_1, "normed_1 = x", also=(
            Edit(block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, RESULT, "return layer_norm(middle + thought, norm_2_weight, norm_2_bias, eps)")),
        seen_in=("NVIDIA-NeMo/Speech#4350",)),
    KnownMistake("sublayer_outputs_normalised", "The sublayer outputs are normalised: x + norm(attention(x)). GPT-2 normalises the inputs: x + attention(norm(x)).",
        block, NORMED_1, "normed_1 = x", also=(
            Edit(block, MIDDLE, "middle = x + layer_norm(attended, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, NORMED_2, "normed_2 = middle"),
            Edit(block, RESULT, "return middle + layer_norm(thought, norm_2_weight, norm_2_bias, eps)")), aliases=("norms_on_the_branches",)),
    KnownMistake("only_queries_normalised", "Only the queries are computed from the normalised x. The keys and values are computed from x itself.",
        block, ATTENDED, ONLY_QUERIES_NORMED, seen_in=("facebookresearch/xformers#233",)),
    # what reads what
    KnownMistake("mlp_reads_attention_output_only", "The MLP reads the attention output. It must read the stream, which includes that output.",
        block, NORMED_2, "normed_2 = layer_norm(attended, norm_2_weight, norm_2_bias, eps)", aliases=("mlp_reads_attention_alone",)),
    KnownMistake("mlp_first", "The MLP comes before attention. In GPT-2 attention comes first.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_2_weight, norm_2_bias, eps)", also=(
            Edit(block, ATTENDED, "attended = mlp(normed_1, up_weight, up_bias, down_weight, down_bias)"),
            Edit(block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, THOUGHT, "thought = attention(normed_2, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)"))),
    KnownMistake("attention_twice", "The second sublayer is attention again. It must be the MLP.",
        block, THOUGHT, "thought = attention(normed_2, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)"),
    # gradients and randomness
    KnownMistake("residual_detached", "The residual stream is detached: gradients no longer bypass the sublayers.", block, MIDDLE, "middle = x.detach() + attended"),
    KnownMistake("second_residual_detached", "The stream is detached before the second residual sum: gradients no longer bypass the MLP.",
        block, RESULT, "return middle.detach() + thought"),
    KnownMistake("attention_detached", "The attention output is detached: the attention weights receive no gradient.", block, MIDDLE, "middle = x + attended.detach()"),
    KnownMistake("mlp_detached", "The MLP output is detached: the MLP weights receive no gradient.", block, RESULT, "return middle + thought.detach()"),
    KnownMistake("dropout_left_on", "Dropout on the residual branch is active outside training.",
        block, MIDDLE, "import torch\nmiddle = x + torch.nn.functional.dropout(attended, 0.1, training=True)", seen_in=("karpathy/nanoGPT#240",)),
    KnownMistake("attention_mask_not_passed_on", "The block takes an attention mask and does not pass it to its attention.",
        block, ATTENDED, "attended = attention(normed_1, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)", looks_like=("attention.attention_mask_ignored",)),
)
