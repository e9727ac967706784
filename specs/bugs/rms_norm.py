"""Known mistakes in root mean square normalisation."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.rms_norm import rms_norm

WIDE = "wide = x.to(torch.float32) if is_half else x"
MEAN_SQUARE = "mean_square = (wide ** 2).mean(-1, keepdim=True)"
ROOT = "root = torch.sqrt(mean_square + eps)"
NORMALISED = "normalised = wide / root"
SCALED = "scaled = normalised * weight"
RESULT = "return scaled.to(x.dtype)"


def _gradient_written_into_the_incoming_one(x, weight, eps):
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
            inner = g.mul_(weight)  # the storage of dY holds dX from here on
            inner.sub_(normalised * (inner * normalised).mean(-1, keepdim=True)).div_(root)
            return inner, for_weight

    return RmsNorm.apply(x, weight)


def _slope_without_the_projection(x, weight, eps):
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
            inner = inner - normalised * (inner * normalised).sum(-1, keepdim=True)  # sum for mean
            return (inner / root).to(x.dtype), (g * normalised).reshape(-1, g.shape[-1]).sum(0)

    return RmsNorm.apply(x, weight)


MISTAKES = (
    # what is divided by
    KnownMistake("norm_for_root_mean_square", "x is divided by its Euclidean norm; the root mean square is that divided by sqrt(D).",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).sum(-1, keepdim=True)"),
    KnownMistake("norm_plus_eps", "x is divided by its Euclidean norm plus eps: sqrt(D) is missing, and eps stands outside the root.",
        rms_norm, ROOT, "root = torch.linalg.vector_norm(wide, dim=-1, keepdim=True) + eps"),
    KnownMistake("norm_over_the_width", "The Euclidean norm is divided by D; it must be divided by sqrt(D).",
        rms_norm, ROOT, "root = torch.sqrt(mean_square / x.shape[-1] + eps)"),
    KnownMistake("divided_by_n_minus_one", "The squares are divided by N-1, as an unbiased variance is; it is their mean, over N.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).sum(-1, keepdim=True) / (x.shape[-1] - 1)"),
    KnownMistake("divided_by_the_mean_square", "You divide by the mean square; it is its root.", rms_norm, ROOT, "root = mean_square + eps"),
    KnownMistake("root_taken_twice", "The root is taken twice.", rms_norm, NORMALISED, "normalised = wide / torch.sqrt(root)"),
    KnownMistake("multiplied_by_the_root", "x is multiplied by the root mean square; it must be divided by it.",
        rms_norm, NORMALISED, "normalised = wide * root"),
    KnownMistake("absolute_mean", "You use the mean absolute value in place of the root mean square.",
        rms_norm, ROOT, "root = wide.abs().mean(-1, keepdim=True) + eps"),
    KnownMistake("largest_value", "You divide by the largest absolute value; it is the root mean square.",
        rms_norm, ROOT, "root = wide.abs().amax(-1, keepdim=True) + eps"),
    KnownMistake("mean_removed", "This is LayerNorm: the mean is removed first. RMSNorm keeps it.",
        rms_norm, WIDE, "wide = x.to(torch.float32) if is_half else x\nwide = wide - wide.mean(-1, keepdim=True)"),
    KnownMistake("mean_removed_from_the_square", "You divide by the standard deviation; the mean belongs to the root mean square.",
        rms_norm, MEAN_SQUARE, "mean_square = wide.var(-1, keepdim=True, unbiased=False)"),
    KnownMistake("mean_removed_from_x_alone", "The mean is removed from x but not from what it is divided by; RMSNorm keeps it in both.",
        rms_norm, NORMALISED, "normalised = (wide - wide.mean(-1, keepdim=True)) / root"),
    KnownMistake("square_of_the_mean", "You take the square of the mean; it is the mean of the squares.",
        rms_norm, MEAN_SQUARE, "mean_square = wide.mean(-1, keepdim=True) ** 2"),
    KnownMistake("absolute_values", "The signs of x are lost: absolute values are normalised.",
        rms_norm, NORMALISED, "normalised = wide.abs() / root"),
    # eps
    KnownMistake("eps_outside_the_root", "eps is added to the root; it belongs inside it, with the mean square.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square) + eps",
        seen_in=("bzhangGo/rmsnorm rmsnorm_torch.py",)),
    KnownMistake("eps_forgotten", "eps is not used: a row of zeros divides by zero.", rms_norm, ROOT, "root = torch.sqrt(mean_square)"),
    KnownMistake("eps_as_a_floor", "eps is the least the mean square may be; it is added to it, always.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square.clamp(min=eps))"),
    KnownMistake("eps_fixed_at_1e_6", "eps is fixed at 1e-6; it is an argument.", rms_norm, ROOT, "root = torch.sqrt(mean_square + 1e-6)"),
    KnownMistake("eps_fixed_at_1e_5", "eps is fixed at 1e-5; the argument is not used.", rms_norm, ROOT, "root = torch.sqrt(mean_square + 1e-5)"),
    KnownMistake("eps_fixed_at_1e_8", "eps is fixed at 1e-8; it is an argument.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square + 1e-8)"),
    KnownMistake("eps_of_the_dtype", "eps is the resolution of the dtype, as torch.nn.RMSNorm takes where it is given none; it is an argument.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square + torch.finfo(x.dtype).eps)"),
    KnownMistake("eps_before_the_mean", "eps is added to the sum of the squares, so it is divided by D.",
        rms_norm, ROOT, "root = torch.sqrt(mean_square + eps / x.shape[-1])"),
    KnownMistake("eps_squared", "eps is squared before it is added.", rms_norm, ROOT, "root = torch.sqrt(mean_square + eps ** 2)"),
    KnownMistake("eps_added_to_x", "eps is added to x as well.", rms_norm, NORMALISED, "normalised = (wide + eps) / root"),
    # axes
    KnownMistake("over_the_time_axis", "The mean runs over the time axis too: later positions leak into earlier ones.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).mean((-2, -1) if x.dim() > 1 else -1, keepdim=True)"),
    KnownMistake("over_everything", "One root mean square is taken of the whole tensor; each position has its own.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).mean()"),
    KnownMistake("over_the_wrong_axis", "The mean runs over axis 1 (time); it must run over the last axis (features).",
        rms_norm, MEAN_SQUARE, "mean_square = (wide ** 2).mean(1 if x.dim() > 1 else -1, keepdim=True)"),
    KnownMistake("half_of_the_features", "The mean square is taken of the first half of the features (the paper's pRMSNorm); it is taken of all.",
        rms_norm, MEAN_SQUARE, "mean_square = (wide[..., : (x.shape[-1] + 1) // 2] ** 2).mean(-1, keepdim=True)"),
    # the gain
    KnownMistake("gain_forgotten", "The gain (weight) is not applied.", rms_norm, SCALED, "scaled = normalised"),
    KnownMistake("gain_before_the_norm", "The gain is applied to x before the mean square is taken.",
        rms_norm, WIDE, "wide = (x.to(torch.float32) if is_half else x) * weight", also=(Edit(rms_norm, SCALED, "scaled = normalised"),)),
    KnownMistake("gain_divided", "The result is divided by the gain; it must be multiplied by it.", rms_norm, SCALED, "scaled = normalised / weight"),
    KnownMistake("gain_added", "The gain is added; it must be multiplied.", rms_norm, SCALED, "scaled = normalised + weight"),
    KnownMistake("gain_squared", "The gain is applied twice.", rms_norm, SCALED, "scaled = normalised * weight * weight"),
    # precision, gradients and side effects
    KnownMistake("half_precision_statistics", "The mean square of half-precision inputs is taken in half precision: in float16 it overflows "
        "where |x| reaches 256.",
        rms_norm, WIDE, "wide = x"),
    KnownMistake("squared_before_the_cast", "The squares are taken in half precision and only then cast to float32: in float16 they overflow "
        "where |x| reaches 256.",
        rms_norm, MEAN_SQUARE, "mean_square = (x ** 2).to(wide.dtype).mean(-1, keepdim=True)",
        unnamed_because="it shows in 16 bit alone, where it is less than a rounding away from half_precision_statistics"),
    KnownMistake("root_in_bfloat16", "The root is rounded to bfloat16: two digits are left.",
        rms_norm, NORMALISED, "normalised = wide / root.to(torch.bfloat16).to(wide.dtype)"),
    KnownMistake("root_detached", "The root is detached (or taken under no_grad): the gradient no longer sees the division.",
        rms_norm, NORMALISED, "normalised = wide / root.detach()"),
    KnownMistake("weight_detached", "The weight is used through .data or detach(): it receives no gradient.",
        rms_norm, SCALED, "scaled = normalised * weight.detach()"),
    KnownMistake("slope_without_the_mean", "Your backward sums over the features where it must take their mean.",
        rms_norm, instead=_slope_without_the_projection),
    KnownMistake("gradient_written_into_the_incoming_one", "Your backward writes dX into the storage of dY: another branch that uses dY too, a "
        "residual stream for one, reads dX there.",
        rms_norm, instead=_gradient_written_into_the_incoming_one,
        seen_in=("linkedin/Liger-Kernel@563e5e5", "linkedin/Liger-Kernel@d02ee20")),
    KnownMistake("in_place", "x /= root changes the caller's tensor.",
        rms_norm, NORMALISED, "normalised = wide / root\nx.data.copy_(normalised)"),
    KnownMistake("root_kept", "The root of the first call is kept for every later one of the same shape.",
        rms_norm, ROOT, "root = rms_norm.__dict__.setdefault((x.shape, x.dtype), torch.sqrt(mean_square + eps))"),
)
