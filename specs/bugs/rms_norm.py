"""Known mistakes in root mean square normalisation."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.rms_norm import rms_norm

WIDE = "wide = x.to(torch.float32) if is_half else x"
MEAN_SQUARE = "mean_square = (wide ** 2).mean(-1, keepdim=True)"
ROOT = "root = torch.sqrt(mean_square + eps)"
NORMALISED = "normalised = wide / root"
SCALED = "scaled = normalised * weight"
RESULT = "return scaled.to(x.dtype)"


def _incoming_gradient_overwritten(x, weight, eps):
    class RmsNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            root = torch.sqrt((x.float() if x.dtype.itemsize == 2 else x).pow(2).mean(-1, keepdim=True) + eps)
            ctx.save_for_backward(x, weight, root)
            return (x / root * weight).to(x.dtype)

        @staticmethod
        def backward(ctx, g):
            x, weight, root = ctx.saved_tensors
            normalised = (x / root).to(x.dtype)
            for_weight = (g * normalised).reshape(-1, g.shape[-1]).sum(0)
            inner = g.mul_(weight)  # dX overwrites the storage of dY
            inner.sub_(normalised * (inner * normalised).mean(-1, keepdim=True)).div_(root)
            return inner, for_weight

    return RmsNorm.apply(x, weight)


def _gradient_sum_for_mean(x, weight, eps):
    class RmsNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            root = torch.sqrt((x.float() if x.dtype.itemsize == 2 else x).pow(2).mean(-1, keepdim=True) + eps)
            ctx.save_for_backward(x, weight, root)
            return (x / root * weight).to(x.dtype)

        @staticmethod
        def backward(ctx, g):
            x, weight, root = ctx.saved_tensors
            normalised = (x / root).to(x.dtype)
            inner = g * weight
            inner = inner - normalised * (inner * normalised).sum(-1, keepdim=True)  # the mean is right
            return (inner / root).to(x.dtype), (g * normalised).reshape(-1, g.shape[-1]).sum(0)

    return RmsNorm.apply(x, weight)


MISTAKES = (
    # the divisor
    KnownMistake("euclidean_norm_for_rms", "x is divided by its Euclidean norm. Divide by the root mean square, which is that norm divided by sqrt(D).",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).sum(-1, keepdim=True)", aliases=("norm_for_root_mean_square",)),
    KnownMistake("euclidean_norm_plus_eps", "x is divided by its Euclidean norm plus eps. The factor sqrt(D) is missing, and eps is outside the root.",
        rms_norm, ROOT, "root = torch.linalg.vector_norm(wide, dim=-1, keepdim=True) + eps", aliases=("norm_plus_eps",)),
    KnownMistake("euclidean_norm_over_width", "The Euclidean norm is divided by D. Divide it by sqrt(D).",
        rms_norm, ROOT, "root = torch.sqrt(mean_square / x.shape[-1] + eps)", aliases=("norm_over_the_width",)),
    KnownMistake("divided_by_n_minus_one", "The sum of squares is divided by N - 1, as in an unbiased variance. Divide by N: it is a mean.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).sum(-1, keepdim=True) / (x.shape[-1] - 1)"),
    KnownMistake("divided_by_the_mean_square", "x is divided by the mean square. Divide by its square root.", rms_norm, ROOT, "root = mean_square + eps"),
    KnownMistake("root_taken_twice", "The square root is taken twice.", rms_norm, NORMALISED, "normalised = wide / torch.sqrt(root)"),
    KnownMistake("multiplied_by_the_root", "x is multiplied by the root mean square. It must be divided by it.",
        rms_norm, NORMALISED, "normalised = wide * root"),
    KnownMistake("mean_absolute_value", "x is divided by the mean absolute value. Divide by the root mean square.",
        rms_norm, ROOT, "root = wide.abs().mean(-1, keepdim=True) + eps", aliases=("absolute_mean",)),
    KnownMistake("maximum_absolute_value", "x is divided by the maximum absolute value. Divide by the root mean square.",
        rms_norm, ROOT, "root = wide.abs().amax(-1, keepdim=True) + eps", aliases=("largest_value",)),
    KnownMistake("mean_subtracted", "The mean is subtracted first: this is LayerNorm. RMSNorm does not subtract it.",
        rms_norm, WIDE, "wide = x.to(torch.float32) if is_half else x\nwide = wide - wide.mean(-1, keepdim=True)", aliases=("mean_removed",)),
    KnownMistake("standard_deviation_for_rms", "x is divided by the standard deviation. The root mean square does not subtract the mean.",
        rms_norm, MEAN_SQUARE, "mean_square = wide.var(-1, keepdim=True, unbiased=False)", aliases=("mean_removed_from_the_square",)),
    KnownMistake("mean_subtracted_from_x_only", "The mean is subtracted from x, but not in the divisor. RMSNorm subtracts it in neither.",
        rms_norm, NORMALISED, "normalised = (wide - wide.mean(-1, keepdim=True)) / root", aliases=("mean_removed_from_x_alone",)),
    KnownMistake("square_of_the_mean", "The square of the mean is taken. RMSNorm uses the mean of the squares.",
        rms_norm, MEAN_SQUARE, "mean_square = wide.mean(-1, keepdim=True) ** 2"),
    KnownMistake("sign_lost", "The absolute values of x are normalised. The signs of x are lost.",
        rms_norm, NORMALISED, "normalised = wide.abs() / root", aliases=("absolute_values",)),
    # eps
    KnownMistake("eps_outside_the_root", "eps is added to the root. Add it to the mean square, inside the root.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square) + eps",
        seen_in=("bzhangGo/rmsnorm rmsnorm_torch.py",)),
    KnownMistake("eps_forgotten", "eps is not used: a row of zeros is divided by zero.", rms_norm, ROOT, "root = torch.sqrt(mean_square)"),
    KnownMistake("eps_as_a_floor", "The mean square is clamped to at least eps. eps must be added to it, always.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square.clamp(min=eps))"),
    KnownMistake("eps_fixed_at_1e_6", "eps is fixed at 1e-6. It is an argument.", rms_norm, ROOT, "root = torch.sqrt(mean_square + 1e-6)"),
    KnownMistake("eps_fixed_at_1e_5", "eps is fixed at 1e-5. It is an argument.", rms_norm, ROOT, "root = torch.sqrt(mean_square + 1e-5)"),
    KnownMistake("eps_fixed_at_1e_8", "eps is fixed at 1e-8. It is an argument.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square + 1e-8)"),
    KnownMistake("eps_of_the_dtype", "eps is the machine epsilon of the dtype, which torch.nn.RMSNorm uses by default. It is an argument.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square + torch.finfo(x.dtype).eps)"),
    KnownMistake("eps_before_the_mean", "eps is added to the sum of squares, so it is divided by D. Add it to the mean square.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square + eps / x.shape[-1])"),
    KnownMistake("eps_squared", "eps is squared before it is added. Add eps itself.", rms_norm, ROOT, "root = torch.sqrt(mean_square + eps ** 2)"),
    KnownMistake("eps_added_to_x", "eps is also added to x. It belongs only under the root.", rms_norm, NORMALISED, "normalised = (wide + eps) / root"),
    # axes
    KnownMistake("over_the_time_axis", "The mean also runs over the time axis: later positions leak into earlier ones. It must run over the features only.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).mean((-2, -1) if x.dim() > 1 else -1, keepdim=True)"),
    KnownMistake("over_the_whole_tensor", "One root mean square is computed for the whole tensor. Each position has its own.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).mean()", aliases=("over_everything",)),
    KnownMistake("over_the_wrong_axis", "The mean runs over axis 1 (time). It must run over the last axis (features).",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).mean(1 if x.dim() > 1 else -1, keepdim=True)"),
    KnownMistake("first_half_of_the_features", "The mean square uses only the first half of the features (the paper's pRMSNorm). It must use all features.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide[..., : (x.shape[-1] + 1) // 2] ** 2).mean(-1, keepdim=True)", aliases=("half_of_the_features",)),
    # the scale
    KnownMistake("scale_forgotten", "The scale (weight) is not applied.", rms_norm, SCALED, "scaled = normalised", aliases=("gain_forgotten",)),
    KnownMistake("scale_before_the_norm", "The scale (weight) is applied to x before the mean square is computed. Apply it to the normalised x.",
        rms_norm, WIDE, "wide = (x.to(torch.float32) if is_half else x) * weight", also=(Edit(rms_norm, SCALED, "scaled = normalised"),), aliases=("gain_before_the_norm",)),
    KnownMistake("scale_divided", "The result is divided by the scale (weight). Multiply by it.", rms_norm, SCALED, "scaled = normalised / weight", aliases=("gain_divided",)),
    KnownMistake("scale_added", "The scale (weight) is added. Multiply by it.", rms_norm, SCALED, "scaled = normalised + weight", aliases=("gain_added",)),
    KnownMistake("scale_twice", "The scale (weight) is applied twice.", rms_norm, SCALED, "scaled = normalised * weight * weight", aliases=("gain_squared",)),
    # precision, gradients and side effects
    KnownMistake("half_precision_statistics", "The mean square of half-precision inputs is computed in half precision. In float16 it overflows where |x| reaches 256. Use float32.",
        rms_norm, WIDE, "wide = x"),
    KnownMistake("squared_before_the_cast", "The squares are computed in half precision and only then cast to float32. In float16 they overflow where |x| reaches 256.",
        rms_norm, MEAN_SQUARE, "mean_square = (x ** 2).to(wide.dtype).mean(-1, keepdim=True)",
        unnamed_because="it shows only in 16-bit dtypes, where it differs from half_precision_statistics by less than one rounding"),
    KnownMistake("root_in_bfloat16", "The root is rounded to bfloat16, which keeps about two significant digits.",
        rms_norm, NORMALISED, "normalised = wide / root.to(torch.bfloat16).to(wide.dtype)"),
    KnownMistake("root_detached", "The root is detached (or computed under no_grad): the gradient through the divisor is missing.",
        rms_norm, NORMALISED, "normalised = wide / root.detach()"),
    KnownMistake("weight_detached", "The weight is used through .data or detach(): it receives no gradient.",
        rms_norm, SCALED, "scaled = normalised * weight.detach()"),
    KnownMistake("gradient_sum_for_mean", "The backward pass sums over the features. It must take their mean.",
        rms_norm, instead=_gradient_sum_for_mean, aliases=("slope_without_the_mean",)),
    KnownMistake("incoming_gradient_overwritten", "The backward pass writes dX into the storage of dY. Another branch that uses dY, such as a residual stream, then reads dX.",
        rms_norm, instead=_incoming_gradient_overwritten,
        seen_in=("linkedin/Liger-Kernel@563e5e5", "linkedin/Liger-Kernel@d02ee20"), aliases=("gradient_written_into_the_incoming_one",)),
    KnownMistake("in_place", "x /= root changes the caller's tensor.",
        rms_norm, NORMALISED, "normalised = wide / root\nx.data.copy_(normalised)"),
    KnownMistake("root_cached_across_calls", "The root of the first call is cached and reused in every later call with the same shape.",
        rms_norm, ROOT, "root = rms_norm.__dict__.setdefault((x.shape, x.dtype), torch.sqrt(mean_square + eps))", aliases=("root_kept",)),
)
