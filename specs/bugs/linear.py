"""Known mistakes in the affine map."""

from harness.core.mistake import KnownMistake
from reference_model.linear import linear

TURNED = "turned = weight.transpose(0, 1)"
PRODUCT = "product = x @ turned"
RESULT = "return product if bias is None else product + bias"


def _slope_of_the_weight_overwritten(x, weight, bias=None):
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
                for_weight = slope[:, None] * row  # = for +=: the last row alone is left
            return g @ weight, for_weight, slopes.sum(0) if ctx.needs_input_grad[2] else None

    return Linear.apply(x, weight, bias)


def _slope_of_the_bias_averaged(x, weight, bias=None):
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
    KnownMistake("weight_transposed", "Your weight is [in, out], as GPT-2's own Conv1D keeps it; it is [out, in], as in torch.nn.Linear.",
        linear, TURNED, "turned = weight",
        seen_in=("karpathy/nanoGPT@d995c22", "rasbt/LLMs-from-scratch@27d52d6")),
    KnownMistake("turned_until_it_fits", "The weight is turned whenever its shape does not fit: an [in, out] weight must raise an error, or "
        "nobody ever notices that it lies the wrong way round.",
        linear, TURNED, "turned = weight.transpose(0, 1) if weight.shape[1] == x.shape[-1] else weight"),
    KnownMistake("turned_only_when_it_must", "The weight is turned only where it does not fit as it is: where in = out it is used as [in, out].",
        linear, TURNED, "turned = weight if weight.shape[0] == x.shape[-1] else weight.transpose(0, 1)",
        seen_in=("rasbt/LLMs-from-scratch@27d52d6",)),
    KnownMistake("weight_viewed", "The weight is viewed as [in, out] without being transposed: the numbers end up in other places.",
        linear, TURNED, "turned = weight.reshape(weight.shape[1], weight.shape[0])"),
    KnownMistake("last_row_left_out", "The last output feature does not get its row of the weight.",
        linear, PRODUCT, "product = (x @ turned).index_fill(-1, turned.new_full((1,), turned.shape[1] - 1).long(), 0.0)"),
    KnownMistake("last_feature_left_out", "The last feature of x is left out of the sum.",
        linear, PRODUCT, "product = x[..., :-1] @ turned[:-1]"),
    KnownMistake("divided_by_the_width", "The sum over the features is divided by their number.",
        linear, PRODUCT, "product = x @ turned / x.shape[-1]"),
    KnownMistake("divided_by_the_root", "The result is divided by the root of the width; that belongs into the initialisation of the weight.",
        linear, PRODUCT, "product = x @ turned / x.shape[-1] ** 0.5"),
    # the bias
    KnownMistake("bias_forgotten", "The bias is not added.", linear, RESULT, "return product"),
    KnownMistake("bias_subtracted", "The bias is subtracted.", linear, RESULT, "return product if bias is None else product - bias"),
    KnownMistake("bias_twice", "The bias is added twice.", linear, RESULT, "return product if bias is None else product + 2 * bias"),
    KnownMistake("bias_before_the_weight", "The bias is added to x, where the widths allow it; it belongs to the result.",
        linear, PRODUCT, "product = x @ turned if bias is None or x.shape[-1] != bias.shape[0] else (x + bias) @ turned - bias"),
    KnownMistake("bias_once_for_all", "The bias is added to the first row of the batch alone.",
        linear, RESULT, "if bias is not None:\n    product[:1] = product[:1] + bias\nreturn product"),
    KnownMistake("bias_along_the_positions", "The first number of the bias is added to every feature.",
        linear, RESULT, "return product if bias is None else product + bias[0]"),
    # more than an affine map
    KnownMistake("activation_inside", "There is a ReLU at the end; linear is the affine map alone.",
        linear, RESULT, "return (product if bias is None else product + bias).relu()"),
    KnownMistake("positions_for_features", "x is flattened with its axes in the wrong order, which mixes positions with features.",
        linear, PRODUCT, "product = (x.transpose(-1, -2).reshape(x.shape) if x.dim() > 1 else x) @ turned"),
    KnownMistake("leading_axes_flattened", "The leading axes come back flattened: the result has two axes whatever x has.",
        linear, RESULT, "return (product if bias is None else product + bias).reshape(-1, weight.shape[0])"),
    KnownMistake("three_axes_only", "It takes x with three axes only; leading axes are free.",
        linear, PRODUCT, "batch, time, width = x.shape\nproduct = x @ turned"),
    KnownMistake("residual_inside", "x is added where the widths are equal; linear is the affine map alone.",
        linear, PRODUCT, "product = x @ turned + (x if x.shape[-1] == weight.shape[0] else 0)"),
    KnownMistake("x_normalised", "x is centred first; linear is the affine map alone.",
        linear, PRODUCT, "product = (x - x.mean(-1, keepdim=True)) @ turned"),
    # precision, gradients and side effects
    KnownMistake("in_bfloat16", "The product is taken in bfloat16: two digits are left.",
        linear, PRODUCT, "product = (x.bfloat16() @ turned.bfloat16()).to(x.dtype)"),
    KnownMistake("in_float16", "The product is taken in float16: three digits are left.",
        linear, PRODUCT, "product = (x.half() @ turned.half()).to(x.dtype)"),
    KnownMistake("x_detached", "x is detached: no gradient reaches what came before.", linear, PRODUCT, "product = x.detach() @ turned"),
    KnownMistake("weight_detached", "The weight is used through .data or detach(): it receives no gradient.",
        linear, TURNED, "turned = weight.detach().transpose(0, 1)"),
    KnownMistake("bias_detached", "The bias is used through .data or detach(): it receives no gradient.",
        linear, RESULT, "return product if bias is None else product + bias.detach()"),
    KnownMistake("slope_of_the_weight_overwritten", "Your backward assigns the weight's gradient row by row (= for +=): the last row alone is left.",
        linear, instead=_slope_of_the_weight_overwritten, seen_in=("karpathy/llm.c@dd8c9f5",)),
    KnownMistake("slope_of_the_bias_averaged", "Your backward takes the mean over all rows for the bias; its gradient is their sum.",
        linear, instead=_slope_of_the_bias_averaged),
    KnownMistake("bias_added_in_place", "The bias is added to x in place where the widths allow it: the caller's tensor changes.",
        linear, RESULT, "if bias is not None and x.shape == product.shape:\n    x.data.add_(bias.data)\n" + RESULT),
    KnownMistake("weight_turned_in_place", "The weight is scaled in place: the caller's weight changes with every call.",
        linear, TURNED, "weight.data.mul_(1.0 + 1e-3)\nturned = weight.transpose(0, 1)"),
    KnownMistake("product_kept", "The product of the first call is kept for every later one of the same shape.",
        linear, PRODUCT, "product = linear.__dict__.setdefault((x.shape, weight.shape, x.dtype), x @ turned)"),
    KnownMistake("weight_kept", "The weight of the first call is kept for every later one of the same shape.",
        linear, TURNED, "turned = linear.__dict__.setdefault((weight.shape, weight.dtype), weight.transpose(0, 1))"),
)
