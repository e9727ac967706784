"""Known mistakes in layer normalisation."""

from harness.core.mistake import KnownMistake
from reference_model.layer_norm import layer_norm

MEAN = "mean = wide.mean(-1, keepdim=True)"
VARIANCE = "variance = (centred ** 2).mean(-1, keepdim=True)"
DEVIATION = "deviation = torch.sqrt(variance + eps)"
NORMALISED = "normalised = centred / deviation"
SCALED = "scaled = normalised if weight is None else normalised * weight"
SHIFTED = "shifted = scaled if bias is None else scaled + bias"
RESULT = "return shifted.to(x.dtype)"

MISTAKES = (
    KnownMistake("unbiased_variance", "You divide the variance by N-1 (x.var() does so by default); GPT-2 divides by N.",
        layer_norm, VARIANCE, "variance = (centred ** 2).sum(-1, keepdim=True) / (x.shape[-1] - 1)",
        seen_in=("NVIDIA/cudnn-frontend#432", "The Annotated Transformer, class LayerNorm")),
    KnownMistake("eps_outside_the_root", "eps is added to the standard deviation; it belongs inside the root, with the variance.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance) + eps",
        seen_in=("tracel-ai/burn#2185", "hkproj/pytorch-transformer#31", "callummcdougall/ARENA_3.0#228")),
    KnownMistake("unbiased_and_eps_outside", "x.std(-1) + eps: the deviation divides by N-1 and eps stands outside the root.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance * x.shape[-1] / (x.shape[-1] - 1)) + eps",
        seen_in=("hkproj/pytorch-transformer#31",)),
    KnownMistake("eps_forgotten", "eps is not used: a constant row divides by zero.", layer_norm, DEVIATION, "deviation = torch.sqrt(variance)"),
    KnownMistake("eps_fixed_at_1e_6", "eps is fixed at 1e-6; it is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-6)"),
    KnownMistake("eps_fixed_at_1e_3", "eps is fixed at 1e-3; it is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-3)", seen_in=("tf.keras.layers.LayerNormalization, its default",)),
    KnownMistake("eps_fixed_at_1e_8", "eps is fixed at 1e-8; it is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-8)"),
    KnownMistake("eps_fixed_at_1e_12", "eps is fixed at 1e-12, as in BERT; it is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-12)", seen_in=("google-research/bert modeling.py layer_norm",)),
    KnownMistake("eps_fixed_at_1e_5", "eps is fixed at 1e-5; the argument is not used.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-5)"),
    KnownMistake("eps_twice", "eps is added to the variance twice.", layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 2 * eps)"),
    KnownMistake("eps_squared", "eps is squared before it is added to the variance.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + eps ** 2)"),
    KnownMistake("divided_by_the_variance", "You divide by the variance; it is the standard deviation, its root.",
        layer_norm, DEVIATION, "deviation = variance + eps"),
    KnownMistake("over_the_time_axis", "Mean and variance run over the time axis too: later positions leak into earlier ones.",
        layer_norm, MEAN, "mean = wide.mean((-2, -1), keepdim=True) if x.dim() > 1 else wide.mean(-1, keepdim=True)"),
    KnownMistake("over_the_wrong_axis", "The mean runs over axis 1 (time); it must run over the last axis (features).",
        layer_norm, MEAN, "mean = wide.mean(1 if x.dim() > 1 else -1, keepdim=True)"),
    KnownMistake("mean_not_removed", "The mean is removed for the variance but not from x itself.",
        layer_norm, NORMALISED, "normalised = wide / deviation"),
    KnownMistake("root_mean_square", "This is RMSNorm: the mean is not removed. GPT-2 uses LayerNorm.",
        layer_norm, "centred = wide - mean", "centred = wide"),
    KnownMistake("absolute_deviation", "You use the mean absolute deviation in place of the standard deviation.",
        layer_norm, DEVIATION, "deviation = centred.abs().mean(-1, keepdim=True) + eps"),
    KnownMistake("gain_forgotten", "The gain (weight) is not applied.", layer_norm, SCALED, "scaled = normalised"),
    KnownMistake("bias_forgotten", "The shift (bias) is not applied.", layer_norm, SHIFTED, "shifted = scaled"),
    KnownMistake("gain_plus_one", "The gain is used as 1 + weight, but it is stored as the gain itself: 2 at the start.",
        layer_norm, SCALED, "scaled = normalised if weight is None else normalised * (1 + weight)",
        seen_in=("lucidrains/x-transformers@044a62f",)),
    KnownMistake("bias_before_gain", "The shift is added before the gain is applied; it must come after.",
        layer_norm, SHIFTED, "shifted = scaled if bias is None else scaled + bias * (1 if weight is None else weight)"),
    KnownMistake("gain_and_shift_exchanged", "weight and bias have changed places.",
        layer_norm, "shifted = scaled if bias is None else scaled + bias",
        "shifted = scaled if bias is None else normalised * bias + weight"),
    KnownMistake("gain_before_the_norm", "The gain is applied to x before the statistics are taken.",
        layer_norm, "wide = x.to(torch.float32) if is_half else x", "wide = (x.to(torch.float32) if is_half else x) * weight"),
    KnownMistake("one_pass_variance", "E[x^2] - E[x]^2 cancels when the mean is large: in float32 nothing is left at mean 1e4.",
        layer_norm, VARIANCE, "variance = (wide ** 2).mean(-1, keepdim=True) - mean ** 2"),
    KnownMistake("half_precision_statistics", "Mean and variance of half-precision inputs are summed in half precision.",
        layer_norm, "wide = x.to(torch.float32) if is_half else x", "wide = x"),
    KnownMistake("mean_detached", "The mean is detached: its share of the gradient is lost.",
        layer_norm, "centred = wide - mean", "centred = wide - mean.detach()"),
    KnownMistake("deviation_detached", "The deviation is detached (or taken under no_grad): the gradient no longer sees the division.",
        layer_norm, NORMALISED, "normalised = centred / deviation.detach()"),
    KnownMistake("in_place", "x -= mean changes the caller's tensor.",
        layer_norm, "centred = wide - mean", "centred = wide.sub_(mean)"),
    KnownMistake("statistics_kept", "The statistics of the first call are kept for every later one of the same shape.",
        layer_norm, VARIANCE,
        "variance = layer_norm.__dict__.setdefault((x.shape, x.dtype), (centred ** 2).mean(-1, keepdim=True))"),
)
