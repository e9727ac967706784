"""Legal forms of Llama's relatives: what neither the parameters nor the sizes of a model show.

Each axis edits a line of its own in the reference, so that forms on different axes combine. What the parameters show
(biases, gains of norms, sinks, a gate, a head of its own) is no form: it is there, or it is not.
"""

from __future__ import annotations

from dataclasses import replace

from harness.core.contract import NumberForm, Variant
from harness.core.mistake import Edit
from reference_model.llama import llama, llama_block
from reference_model.rms_norm import rms_norm
from specs.shared.activations import ACTIVATION, EXPRESSIONS, gated_edit, ungated_edit
from specs.shared.grouped_query_forms import ATTENTION_NUMBERS, LOCAL_BASE, attention_variants, own_base
from specs.shared.model_forms import CLAMPED_NORM

# the block -----------------------------------------------------------------------------------------------------------

NORMED_1 = "normed_1 = norm(x, norm_1_weight, eps)"
FIRST = "first = attended if post_norm_1_weight is None else norm(attended, post_norm_1_weight, eps)"
MIDDLE = "middle = x + first"
NORMED_2 = "normed_2 = norm(middle, norm_2_weight, eps)"
SECOND = "second = thought if post_norm_2_weight is None else norm(thought, post_norm_2_weight, eps)"
RESULT = "return middle + second"
ACTIVATIONS = (
    Variant("silu", "The activation is SiLU, with and without a gate.", (ungated_edit("silu"),), axis=ACTIVATION),
    *(
        Variant(
            name,
            f"The activation is {said}; Llama has SiLU.",
            (gated_edit(name), *(() if name == "gelu_tanh" else (ungated_edit(name),))),
            axis=ACTIVATION,
        )
        for name, (said, _) in EXPRESSIONS.items()
        if name != "silu"
    ),
)
"""Of the gate; without one, of what goes up."""
NORMS = (
    Variant(
        "unit_offset",
        "The gain is used as 1 + weight, as Gemma stores it; elsewhere the weight is the gain itself.",
        (Edit(rms_norm, "scaled = normalised * weight", "scaled = normalised * (1 + weight)"),),
        axis="norm",
    ),
    Variant(
        "layer",
        "The norms subtract the mean (layer norm without a bias); Llama's do not (root mean square).",
        (
            Edit(
                rms_norm,
                "wide = x.to(torch.float32) if is_half else x",
                "wide = x.to(torch.float32) if is_half else x\nwide = wide - wide.mean(-1, keepdim=True)",
            ),
        ),
        axis="norm",
    ),
)
EPS_OF_DTYPE = Variant(
    "of_dtype",
    "The epsilon of the norms is the smallest step of the dtype, as torch's rms_norm has it where none is given.",
    (
        Edit(
            rms_norm,
            "root = torch.sqrt(mean_square + eps)",
            "root = torch.sqrt(mean_square + torch.finfo(x.dtype).eps)",
        ),
    ),
    axis="norm_eps",
)
TWO_GAINS = """
given = [w for w in (norm_1_weight, post_norm_1_weight, norm_2_weight, post_norm_2_weight) if w is not None]
if len(given) != 2:
    raise ValueError(f"two norms, whose gains are {len(given)} weights")
"""
PLACES = (
    Variant(
        "post_norm",
        "You normalise after each sum (post-norm, as in the original transformer); Llama normalises the input of each "
        "sublayer.",
        (
            Edit(llama_block, NORMED_1, "normed_1 = x"),
            Edit(llama_block, MIDDLE, "middle = norm(x + first, norm_1_weight, eps)"),
            Edit(llama_block, NORMED_2, "normed_2 = middle"),
            Edit(llama_block, RESULT, "return norm(middle + second, norm_2_weight, eps)"),
        ),
        axis="norm_place",
    ),
    Variant(
        "output_norm",
        "You normalise the output of each sublayer, as in OLMo 2; Llama normalises the input.",
        (
            Edit(llama_block, NORMED_1, TWO_GAINS + "normed_1 = x"),
            Edit(llama_block, FIRST, "first = norm(attended, given[0], eps)"),
            Edit(llama_block, NORMED_2, "normed_2 = middle"),
            Edit(llama_block, SECOND, "second = norm(thought, given[-1], eps)"),
        ),
        axis="norm_place",
    ),
    Variant(
        "parallel",
        "The feed-forward layer reads x, in parallel with attention (as in GPT-NeoX); in Llama it reads the sum of x "
        "and the output of attention.",
        (Edit(llama_block, NORMED_2, "normed_2 = norm(x, norm_2_weight, eps)"),),
        axis="norm_place",
    ),
    Variant(
        "parallel_with_one_norm",
        "Attention and the feed-forward layer read the same normalised x (parallel with one norm, as in GPT-J); in "
        "Llama the second has its own norm and reads the sum of x and the output of attention.",
        (Edit(llama_block, NORMED_2, "normed_2 = normed_1"),),
        axis="norm_place",
    ),
)
BLOCK_VARIANTS = (
    *attention_variants("rotary_halves"),
    *ACTIVATIONS,
    *NORMS,
    EPS_OF_DTYPE,
    CLAMPED_NORM,
    *PLACES,
)

# the model -----------------------------------------------------------------------------------------------------------

STREAM = "stream = tokens * embedding_scale"
FULL_EVERY = "full_every = None"
IS_LOCAL = "is_local = full_every is None or (index + 1) % full_every != 0"
SCALE = "embedding_scale = 1.0"
ROPE_BASE = 'rope_base = getattr(config, "rope_base", 10000.0)'

MODEL_VARIANTS = (
    *BLOCK_VARIANTS,
    Variant(
        "alternate",
        "Every second layer sees all positions, the first and the others the window alone, as in Gemma 2.",
        (Edit(llama, FULL_EVERY, "full_every = 2"),),
        axis="window_layers",
    ),
    Variant(
        "alternate_from_full",
        "The first layer and every second one sees all positions, the others the window alone.",
        (Edit(llama, IS_LOCAL, "is_local = index % 2 != 0"),),
        axis="window_layers",
    ),
    Variant(
        "five_to_one",
        "Five layers see the window alone, the sixth all positions, as in Gemma 3.",
        (Edit(llama, FULL_EVERY, "full_every = 6"),),
        axis="window_layers",
    ),
    Variant(
        "root_of_width",
        "The embeddings are multiplied by the root of the width, as in Gemma.",
        (Edit(llama, SCALE, 'embedding_scale = weights["token_embedding"].shape[-1] ** 0.5'),),
        axis="embedding_scale",
    ),
    Variant(
        "normalised",
        "The embeddings are normalised before the first layer, without a gain, as in nanochat.",
        (Edit(llama, STREAM, "stream = norm(tokens * embedding_scale, None, eps)"),),
        axis="embedding_norm",
    ),
)
MODEL_NUMBERS = (
    *(form for form in ATTENTION_NUMBERS if form is not LOCAL_BASE),
    NumberForm(
        "final_softcap",
        "The logits are capped: {0} tanh(logit / {0}), as in Gemma 2.",
        lambda n: (Edit(llama, "softcap = None", f"softcap = {n!r}"),),
        candidates=(30.0, 15.0, 50.0),
        hints=("final", "logit"),
    ),
    replace(
        LOCAL_BASE,
        sentence="Layers that see the window alone rotate with the base {}, as in Gemma 3.",
        edits=lambda n: (
            Edit(llama, "local_base = None", f"local_base = {n!r}"),
            Edit(llama, ROPE_BASE, 'rope_base = -getattr(config, "rope_base", 10000.0)'),
            own_base(n),
        ),
    ),
    NumberForm(
        "embedding_scale",
        "The embeddings are multiplied by {}.",
        lambda n: (Edit(llama, SCALE, f"embedding_scale = {n!r}"),),
        candidates=(12.0,),
        default=1.0,
        hints=("embed", "multiplier"),
    ),
)
