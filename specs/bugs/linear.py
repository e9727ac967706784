"""Known mistakes in the linear layer."""

from harness.core.mistake import KnownMistake
from reference_model.linear import linear

TURNED = "turned = weight.transpose(0, 1)"
PRODUCT = "product = x @ turned"
RESULT = "return product if bias is None else product + bias"


def _gradient_of_the_weight_overwritten(x, weight, bias=None):
    import torch

    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            product = x @ weight.T
            return product if bias is None else product + bias

        @staticmethod
        def backward(ctx, g):
            x, weight = ctx.saved_tensors
            rows, slopes = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
            for row, slope in zip(rows, slopes, strict=True):
                for_weight = slope[:, None] * row  # = for +=: only the last row is left
            return g @ weight, for_weight, slopes.sum(0) if ctx.needs_input_grad[2] else None

    return Linear.apply(x, weight, bias)


def _gradient_of_the_bias_averaged(x, weight, bias=None):
    import torch

    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            product = x @ weight.T
            return product if bias is None else product + bias

        @staticmethod
        def backward(ctx, g):
            x, weight = ctx.saved_tensors
            rows, slopes = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
            return g @ weight, slopes.T @ rows, slopes.mean(0) if ctx.needs_input_grad[2] else None

    return Linear.apply(x, weight, bias)


MISTAKES = (
    # the weight
    KnownMistake("weight_transposed", "Your weight is [in, out], as in GPT-2's own Conv1D. It must be [out, in], as in torch.nn.Linear.",
        linear, TURNED, "turned = weight",
        seen_in=("karpathy/nanoGPT@d995c22", "rasbt/LLMs-from-scratch@27d52d6")),
    KnownMistake("transposed_until_it_fits", "The weight is transposed whenever its shape does not fit. An [in, out] weight must raise an error, or the wrong layout goes unnoticed.",
        linear, TURNED, "turned = weight.transpose(0, 1) if weight.shape[1] == x.shape[-1] else weight", aliases=("turned_until_it_fits",)),
    KnownMistake("square_weight_not_transposed", "The weight is transposed only where it does not fit as it is: where in = out it is used as [in, out].",
        linear, TURNED, "turned = weight if weight.shape[0] == x.shape[-1] else weight.transpose(0, 1)",
        seen_in=("rasbt/LLMs-from-scratch@27d52d6",), aliases=("turned_only_when_it_must",)),
    KnownMistake("weight_reshaped_not_transposed", "The weight is reshaped to [in, out] where it must be transposed. The entries end up in the wrong places.",
        linear, TURNED, "turned = weight.reshape(weight.shape[1], weight.shape[0])", aliases=("weight_viewed",)),
    KnownMistake("last_row_left_out", "The last row of the weight is not used: the last output feature is 0 before the bias.",
        linear, PRODUCT, "product = (x @ turned).index_fill(-1, turned.new_full((1,), turned.shape[1] - 1).long(), 0.0)"),
    KnownMistake("last_feature_left_out", "The last feature of x is left out of the sum.",
        linear, PRODUCT, "product = x[..., :-1] @ turned[:-1]"),
    KnownMistake("divided_by_the_width", "The sum over the features is divided by their number. It must not be.",
        linear, PRODUCT, "product = x @ turned / x.shape[-1]"),
    KnownMistake("divided_by_the_root_of_the_width", "The result is divided by the root of the width. That scale belongs in the initialisation of the weight.",
        linear, PRODUCT, "product = x @ turned / x.shape[-1] ** 0.5", aliases=("divided_by_the_root",)),
    # the bias
    KnownMistake("bias_forgotten", "The bias is not added.", linear, RESULT, "return product"),
    KnownMistake("bias_subtracted", "The bias is subtracted.", linear, RESULT, "return product if bias is None else product - bias"),
    KnownMistake("bias_twice", "The bias is added twice.", linear, RESULT, "return product if bias is None else product + 2 * bias"),
    KnownMistake("bias_added_to_x", "The bias is added to x where the widths allow it. Add it to the product.",
        linear, PRODUCT, "product = x @ turned if bias is None or x.shape[-1] != bias.shape[0] else (x + bias) @ turned - bias", aliases=("bias_before_the_weight",)),
    KnownMistake("bias_for_first_row_only", "The bias is added to the first row of the batch only.",
        linear, RESULT, "if bias is not None:\n    product[:1] = product[:1] + bias\nreturn product", aliases=("bias_once_for_all",)),
    KnownMistake("first_bias_for_all_features", "The first element of the bias is added to every feature.",
        linear, RESULT, "return product if bias is None else product + bias[0]", aliases=("bias_along_the_positions",)),
    # more than an affine map
    KnownMistake("activation_inside", "A ReLU follows the product. linear is the affine map only.",
        linear, RESULT, "return (product if bias is None else product + bias).relu()"),
    KnownMistake("positions_mixed_with_features", "x is flattened with its axes in the wrong order. This mixes positions with features.",
        linear, PRODUCT, "product = (x.transpose(-1, -2).reshape(x.shape) if x.dim() > 1 else x) @ turned", aliases=("positions_for_features",)),
    KnownMistake("batch_dimensions_flattened", "The batch dimensions are flattened: the result has two axes, whatever x has.",
        linear, RESULT, "return (product if bias is None else product + bias).reshape(-1, weight.shape[0])", aliases=("leading_axes_flattened",)),
    KnownMistake("only_three_axes_accepted", "Only an x of three axes is accepted. Any batch dimensions must work.",
        linear, PRODUCT, "batch, time, width = x.shape\nproduct = x @ turned", aliases=("three_axes_only",)),
    KnownMistake("residual_inside", "x is added where the widths are equal. linear is the affine map only.",
        linear, PRODUCT, "product = x @ turned + (x if x.shape[-1] == weight.shape[0] else 0)"),
    KnownMistake("x_centred", "The mean of x is subtracted first. linear is the affine map only.",
        linear, PRODUCT, "product = (x - x.mean(-1, keepdim=True)) @ turned", aliases=("x_normalised",)),
    # precision, gradients and side effects
    KnownMistake("in_bfloat16", "The product is computed in bfloat16, which keeps about two significant digits.",
        linear, PRODUCT, "product = (x.bfloat16() @ turned.bfloat16()).to(x.dtype)"),
    KnownMistake("in_float16", "The product is computed in float16, which keeps about three significant digits.",
        linear, PRODUCT, "product = (x.half() @ turned.half()).to(x.dtype)"),
    KnownMistake("x_detached", "x is detached: no gradient reaches the layers before it.", linear, PRODUCT, "product = x.detach() @ turned"),
    KnownMistake("weight_detached", "The weight is used through .data or detach(): it receives no gradient.",
        linear, TURNED, "turned = weight.detach().transpose(0, 1)"),
    KnownMistake("bias_detached", "The bias is used through .data or detach(): it receives no gradient.",
        linear, RESULT, "return product if bias is None else product + bias.detach()"),
    KnownMistake("gradient_of_the_weight_overwritten", "Your backward pass assigns the weight gradient row by row (= for +=): only the last row counts.",
        linear, instead=_gradient_of_the_weight_overwritten, seen_in=("karpathy/llm.c@dd8c9f5",), aliases=("slope_of_the_weight_overwritten",)),
    KnownMistake("gradient_of_the_bias_averaged", "Your backward pass averages the bias gradient over the rows. It must be their sum.",
        linear, instead=_gradient_of_the_bias_averaged, aliases=("slope_of_the_bias_averaged",)),
    KnownMistake("bias_added_in_place", "The bias is added to x in place where the shapes allow it: the caller's tensor changes.",
        linear, RESULT, "if bias is not None and x.shape == product.shape:\n    x.data.add_(bias.data)\n" + RESULT),
    KnownMistake("weight_scaled_in_place", "The weight is scaled in place: the caller's weight changes with every call.",
        linear, TURNED, "weight.data.mul_(1.0 + 1e-3)\nturned = weight.transpose(0, 1)", aliases=("weight_turned_in_place",)),
    KnownMistake("product_cached_across_calls", "The product of the first call is cached and reused in every later call with the same shape.",
        linear, PRODUCT, "product = linear.__dict__.setdefault((x.shape, weight.shape, x.dtype), x @ turned)", aliases=("product_kept",)),
    KnownMistake("weight_cached_across_calls", "The weight of the first call is cached and reused in every later call with the same shape.",
        linear, TURNED, "turned = linear.__dict__.setdefault((weight.shape, weight.dtype), weight.transpose(0, 1))", aliases=("weight_kept",)),
)
