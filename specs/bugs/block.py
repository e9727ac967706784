"""Known mistakes in putting a block together. (Those inside its parts are the parts' own.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.block import block

NORMED_1 = "normed_1 = layer_norm(x, norm_1_weight, norm_1_bias, eps)"
ATTENDED = "attended = attention(normed_1, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)"
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
    KnownMistake("residual_normalised", "The first sum starts from the normalised x; it must start from x itself: x + attention(norm(x)).",
        block, MIDDLE, "middle = normed_1 + attended",
        seen_in=("Howuhh/faster-trajectory-transformer#3", "pytorch/pytorch#61165", "tracel-ai/burn#1056", "lbcb-sci/RiNALMo#9")),
    KnownMistake("second_residual_normalised", "The second sum starts from the normalised stream; it must start from the stream itself.",
        block, RESULT, "return normed_2 + thought", seen_in=("SHI-Labs/Compact-Transformers#25",)),
    KnownMistake("both_residuals_normalised", "x is overwritten with its normalised copy before each sublayer, so both sums start from that; they must "
        "start from the stream itself.",
        block, MIDDLE, "middle = normed_1 + attended", also=(Edit(block, RESULT, "return normed_2 + thought"),),
        seen_in=("lucidrains/x-transformers@08cc84e",)),
    KnownMistake("first_residual_forgotten", "What attention returns is not added to x but takes its place.", block, MIDDLE, "middle = attended"),
    KnownMistake("second_residual_forgotten", "What the mlp returns is not added to the stream but takes its place.", block, RESULT, "return thought"),
    KnownMistake("attention_lost", "The second sum starts from x again: what attention added is lost.", block, RESULT, "return x + thought"),
    KnownMistake("mlp_lost", "What the mlp returns is not used.", block, RESULT, "return middle"),
    KnownMistake("x_added_twice", "x is added once more at the end.", block, RESULT, "return x + middle + thought"),
    KnownMistake("attention_added_twice", "What attention returns is added twice.", block, RESULT, "return middle + attended + thought"),
    KnownMistake("residual_halved", "The sum is halved; GPT-2 does not average the stream with the sublayer.", block, MIDDLE, "middle = (x + attended) / 2"),
    KnownMistake("residual_over_the_root_of_two", "The sum is divided by sqrt(2); GPT-2 does not scale it.", block, MIDDLE, "middle = (x + attended) / 2 ** 0.5"),
    KnownMistake("difference_for_sum", "What attention returns is subtracted.", block, MIDDLE, "middle = x - attended"),
    KnownMistake("residual_in_place", "x += ... changes the caller's tensor; write x = x + ...",
        block, MIDDLE, "middle = x + attended if x.requires_grad else x.add_(attended)"),
    KnownMistake("future_in_the_residual", "The stream is shifted by one position before it is added: each position sees the next one.",
        block, MIDDLE, "middle = x.roll(-1, 1) + attended"),
    # the norms
    KnownMistake("norms_exchanged", "The two norms have changed places.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_2_weight, norm_2_bias, eps)",
        also=(Edit(block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),)),
    KnownMistake("first_norm_twice", "The first norm's weights are used before the mlp too; it has a norm of its own.",
        block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),
    KnownMistake("second_norm_twice", "The second norm's weights are used before attention too; it has a norm of its own.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_2_weight, norm_2_bias, eps)"),
    KnownMistake("first_norm_forgotten", "Attention reads x without a norm before it.", block, NORMED_1, "normed_1 = x"),
    KnownMistake("second_norm_forgotten", "The mlp reads the stream without a norm before it.", block, NORMED_2, "normed_2 = middle"),
    KnownMistake("both_norms_forgotten", "Neither sublayer has a norm before it.", block, NORMED_1, "normed_1 = x",
        also=(Edit(block, NORMED_2, "normed_2 = middle"),)),
    KnownMistake("second_eps_fixed", "The second norm has 1e-6 for eps; it is an argument, 1e-5 in GPT-2.",
        block, NORMED_2, "normed_2 = layer_norm(middle, norm_2_weight, norm_2_bias, 1e-6)"),
    KnownMistake("first_half_post_norm", "The first norm stands after its sum, where post-norm has it; GPT-2 normalises what goes into attention.",
        block, NORMED_1, "normed_1 = x",
        also=(Edit(block, MIDDLE, "middle = layer_norm(x + attended, norm_1_weight, norm_1_bias, eps)"),)),
    KnownMistake("second_half_post_norm", "The second norm stands after its sum, where post-norm has it; GPT-2 normalises what goes into the mlp.",
        block, NORMED_2, "normed_2 = middle",
        also=(Edit(block, RESULT, "return layer_norm(middle + thought, norm_2_weight, norm_2_bias, eps)"),)),
    KnownMistake("first_eps_fixed", "The first norm has 1e-6 for eps; it is an argument, 1e-5 in GPT-2.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_1_weight, norm_1_bias, 1e-6)"),
    KnownMistake("post_norm_with_the_raw_residual", "This is post-norm whose second sum starts from the sum before the norm; GPT-2 is pre-norm.",
        block, NORMED_1, "normed_1 = x", also=(
            Edit(block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, RESULT, "return layer_norm(middle + thought, norm_2_weight, norm_2_bias, eps)")),
        seen_in=("NVIDIA-NeMo/Speech#4350",)),
    KnownMistake("norms_on_the_branches", "What the sublayers return is normalised, x + norm(attention(x)); GPT-2 normalises what goes in, x + attention(norm(x)).",
        block, NORMED_1, "normed_1 = x", also=(
            Edit(block, MIDDLE, "middle = x + layer_norm(attended, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, NORMED_2, "normed_2 = middle"),
            Edit(block, RESULT, "return middle + layer_norm(thought, norm_2_weight, norm_2_bias, eps)"))),
    KnownMistake("only_queries_normalised", "Only the queries come from the normalised x; keys and values come from x as it is.",
        block, ATTENDED, ONLY_QUERIES_NORMED, seen_in=("facebookresearch/xformers#233",)),
    # what reads what
    KnownMistake("mlp_reads_attention_alone", "The mlp reads what attention returned; it must read the stream, to which that was added.",
        block, NORMED_2, "normed_2 = layer_norm(attended, norm_2_weight, norm_2_bias, eps)"),
    KnownMistake("mlp_first", "The mlp comes before attention; in GPT-2 attention comes first.",
        block, NORMED_1, "normed_1 = layer_norm(x, norm_2_weight, norm_2_bias, eps)", also=(
            Edit(block, ATTENDED, "attended = mlp(normed_1, up_weight, up_bias, down_weight, down_bias)"),
            Edit(block, NORMED_2, "normed_2 = layer_norm(middle, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, THOUGHT, "thought = attention(normed_2, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)"))),
    KnownMistake("attention_twice", "The second sublayer is attention again; it must be the mlp.",
        block, THOUGHT, "thought = attention(normed_2, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)"),
    # gradients and randomness
    KnownMistake("residual_detached", "The residual stream is detached: gradients no longer skip the sublayers.", block, MIDDLE, "middle = x.detach() + attended"),
    KnownMistake("second_residual_detached", "The stream is detached before the second sum: gradients no longer skip the mlp.",
        block, RESULT, "return middle.detach() + thought"),
    KnownMistake("attention_detached", "What attention returns is detached: its weights receive no gradient.", block, MIDDLE, "middle = x + attended.detach()"),
    KnownMistake("mlp_detached", "What the mlp returns is detached: its weights receive no gradient.", block, RESULT, "return middle + thought.detach()"),
    KnownMistake("dropout_left_on", "Dropout on the residual branch is on though you are not training.",
        block, MIDDLE, "import torch\nmiddle = x + torch.nn.functional.dropout(attended, 0.1, training=True)", seen_in=("karpathy/nanoGPT#240",)),
)
