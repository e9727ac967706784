"""Legal other places of the norms in a block, which a whole model has too."""

from __future__ import annotations

from harness.core.contract import Variant
from harness.core.mistake import Edit
from reference_model.block import block

NORMED_1 = "normed_1 = layer_norm(x, norm_1_weight, norm_1_bias, eps)"
MIDDLE = "middle = x + attended"
NORMED_2 = "normed_2 = layer_norm(middle, norm_2_weight, norm_2_bias, eps)"
RESULT = "return middle + thought"

NORM_PLACES = (
    Variant(
        "post_norm",
        "You normalise after each sum (post-norm, as in the original transformer); GPT-2 normalises the input of "
        "each sublayer.",
        (
            Edit(block, NORMED_1, "normed_1 = x"),
            Edit(block, MIDDLE, "middle = layer_norm(x + attended, norm_1_weight, norm_1_bias, eps)"),
            Edit(block, NORMED_2, "normed_2 = middle"),
            Edit(block, RESULT, "return layer_norm(middle + thought, norm_2_weight, norm_2_bias, eps)"),
        ),
        axis="norm_place",
    ),
    Variant(
        "parallel",
        "The mlp reads x, in parallel with attention (as in GPT-NeoX); in GPT-2 it reads the sum of x and the "
        "output of attention.",
        (Edit(block, NORMED_2, "normed_2 = layer_norm(x, norm_2_weight, norm_2_bias, eps)"),),
        axis="norm_place",
    ),
    Variant(
        "parallel_with_one_norm",
        "Attention and mlp read the same normalised x (parallel with one norm, as in GPT-J); in GPT-2 the mlp has "
        "its own norm and reads the sum of x and the output of attention.",
        (Edit(block, NORMED_2, "normed_2 = normed_1"),),
        axis="norm_place",
    ),
)
