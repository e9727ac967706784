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
    KnownMistake("unbiased_variance", "You divide the variance by N - 1 (the default of x.var()). GPT-2 divides by N.",
        layer_norm, VARIANCE, "variance = (centred ** 2).sum(-1, keepdim=True) / (x.shape[-1] - 1)",
        seen_in=("NVIDIA/cudnn-frontend#432", "The Annotated Transformer, class LayerNorm")),
    KnownMistake("eps_outside_the_root", "eps is added to the standard deviation. Add it to the variance, inside the root.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance) + eps",
        seen_in=("tracel-ai/burn#2185", "hkproj/pytorch-transformer#31", "callummcdougall/ARENA_3.0#228")),
    KnownMistake("unbiased_and_eps_outside", "The divisor is x.std(-1) + eps: it divides by N - 1, and eps is outside the root.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance * x.shape[-1] / (x.shape[-1] - 1)) + eps",
        seen_in=("hkproj/pytorch-transformer#31",)),
    KnownMistake("eps_forgotten", "eps is not used: a constant row is divided by zero.", layer_norm, DEVIATION, "deviation = torch.sqrt(variance)"),
    KnownMistake("eps_fixed_at_1e_6", "eps is fixed at 1e-6. It is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-6)"),
    KnownMistake("eps_fixed_at_1e_3", "eps is fixed at 1e-3. It is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-3)", seen_in=("tf.keras.layers.LayerNormalization, its default",)),
    KnownMistake("eps_fixed_at_1e_8", "eps is fixed at 1e-8. It is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-8)"),
    KnownMistake("eps_fixed_at_1e_12", "eps is fixed at 1e-12, as in BERT. It is an argument, 1e-5 in GPT-2.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-12)", seen_in=("google-research/bert modeling.py layer_norm",)),
    KnownMistake("eps_fixed_at_1e_5", "eps is fixed at 1e-5. It is an argument.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 1e-5)"),
    KnownMistake("eps_twice", "eps is added to the variance twice.", layer_norm, DEVIATION, "deviation = torch.sqrt(variance + 2 * eps)"),
    KnownMistake("eps_squared", "eps is squared before it is added to the variance.",
        layer_norm, DEVIATION, "deviation = torch.sqrt(variance + eps ** 2)"),
    KnownMistake("divided_by_the_variance", "You divide by the variance. Divide by its root, the standard deviation.",
        layer_norm, DEVIATION, "deviation = variance + eps"),
    KnownMistake("over_the_time_axis", "Mean and variance also run over the time axis: later positions leak into earlier ones.",
        layer_norm, MEAN, "mean = wide.mean((-2, -1), keepdim=True) if x.dim() > 1 else wide.mean(-1, keepdim=True)"),
    KnownMistake("over_the_wrong_axis", "The mean runs over axis 1 (time). It must run over the last axis (features).",
        layer_norm, MEAN, "mean = wide.mean(1 if x.dim() > 1 else -1, keepdim=True)"),
    KnownMistake("mean_not_subtracted", "The mean is subtracted for the variance but not from x itself.",
        layer_norm, NORMALISED, "normalised = wide / deviation", aliases=("mean_not_removed",)),
    KnownMistake("root_mean_square", "This is RMSNorm: the mean is not subtracted. GPT-2 uses LayerNorm.",
        layer_norm, "centred = wide - mean", "centred = wide"),
    KnownMistake("absolute_deviation", "You divide by the mean absolute deviation. Divide by the standard deviation.",
        layer_norm, DEVIATION, "deviation = centred.abs().mean(-1, keepdim=True) + eps"),
    KnownMistake("scale_forgotten", "The scale (weight) is not applied.", layer_norm, SCALED, "scaled = normalised", aliases=("gain_forgotten",)),
    KnownMistake("bias_forgotten", "The bias is not added.", layer_norm, SHIFTED, "shifted = scaled"),
    KnownMistake("scale_plus_one", "The scale is used as 1 + weight. The weight is the scale itself, so the scale is 2 at the start.",
        layer_norm, SCALED, "scaled = normalised if weight is None else normalised * (1 + weight)",
        seen_in=("lucidrains/x-transformers@044a62f",), aliases=("gain_plus_one",)),
    KnownMistake("bias_before_scale", "The bias is added before the scale is applied. Add it after.",
        layer_norm, SHIFTED, "shifted = scaled if bias is None else scaled + bias * (1 if weight is None else weight)", aliases=("bias_before_gain",)),
    KnownMistake("scale_and_bias_exchanged", "weight and bias are exchanged.",
        layer_norm, "shifted = scaled if bias is None else scaled + bias",
        "shifted = scaled if bias is None else normalised * bias + weight", aliases=("gain_and_shift_exchanged",)),
    KnownMistake("scale_before_the_norm", "The scale (weight) is applied to x before the mean and variance are computed. Apply it to the normalised x.",
        layer_norm, "wide = x.to(torch.float32) if is_half else x", "wide = (x.to(torch.float32) if is_half else x) * weight", aliases=("gain_before_the_norm",)),
    KnownMistake("one_pass_variance", "E[x^2] - E[x]^2 cancels when the mean is large: at a mean of 1e4 nothing is left in float32.",
        layer_norm, VARIANCE, "variance = (wide ** 2).mean(-1, keepdim=True) - mean ** 2"),
    KnownMistake("half_precision_statistics", "Mean and variance of half-precision inputs are computed in half precision. Use float32.",
        layer_norm, "wide = x.to(torch.float32) if is_half else x", "wide = x"),
    KnownMistake("mean_detached", "The mean is detached: the gradient through it is lost.",
        layer_norm, "centred = wide - mean", "centred = wide - mean.detach()"),
    KnownMistake("deviation_detached", "The standard deviation is detached (or computed under no_grad): the gradient through the divisor is missing.",
        layer_norm, NORMALISED, "normalised = centred / deviation.detach()"),
    KnownMistake("in_place", "x -= mean changes the caller's tensor.",
        layer_norm, "centred = wide - mean", "centred = wide.sub_(mean)"),
    KnownMistake("variance_cached_across_calls", "The variance of the first call is cached and reused in every later call with the same shape.",
        layer_norm, VARIANCE,
        "variance = layer_norm.__dict__.setdefault((x.shape, x.dtype), (centred ** 2).mean(-1, keepdim=True))", aliases=("statistics_kept",)),
)
