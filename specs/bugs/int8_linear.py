"""Known mistakes in the int8 linear layer."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.int8_linear import int8_linear, row_codes

forward = int8_linear.forward

CODED = "codes, scale = row_codes(weight.detach())"
OUTLIER = "outlier = self.outliers(rows)"
ORDINARY, LARGE = "ordinary = rows.masked_fill(outlier, 0.0)", "large = rows.masked_fill(~outlier, 0.0)"
WEIGHT = "weight = self.dequantized(x.dtype)"
X_CODED = "x_codes, x_scale = row_codes(ordinary.detach())"
GUARD = "scale = torch.where(scale > 0, scale, torch.ones_like(scale))"
STEPS = "steps = torch.round(wide / scale)"
WIDE_LARGEST = "largest = wide.abs().amax(1, keepdim=True)"
PRODUCT = "product = x_codes.to(torch.int32) @ self.codes.T.to(torch.int32)"
SCALES = "scales = x_scale * self.scale.T"
EIGHT_BIT = "eight_bit = (product * scales).to(x.dtype)"
SMALL = "small = unrounded + (eight_bit - unrounded).detach()"
OUT = "out = small + large @ weight.T"
BIAS = "out = out + self.bias"
RESULT = "return out.reshape(*x.shape[:-1], -1)"
LARGEST = "largest = rows.detach().abs().amax(0)"
BEYOND = "return largest >= self.threshold"
STANDS_FOR = "weight = self.codes * self.scale"

MISTAKES = (
    # outliers
    KnownMistake("outliers_counted_twice", "The outlier columns are in the int8 product too, so they count twice. Set them to 0 there.",
        forward, ORDINARY, "ordinary = rows"),
    KnownMistake("outliers_left_out", "The outlier columns are removed from the int8 product and never multiplied. Add their product in high precision.",
        forward, OUT, "out = small"),
    KnownMistake("outliers_in_the_scale", "The scale of a row of x is computed before the outlier columns are set to 0: one outlier makes the steps of all other values coarse.",
        forward, X_CODED, "_, x_scale = row_codes(rows.detach())\nx_codes = torch.round(ordinary.detach() / x_scale)"),
    KnownMistake("outliers_never_detected", "The threshold is not used: outliers are quantized like everything else.",
        int8_linear.outliers, BEYOND, "return torch.zeros_like(largest, dtype=torch.bool)", aliases=("no_outliers_at_all",)),
    KnownMistake("outliers_quantized_separately", "The outlier columns go through int8 in a product of their own. They must stay in high precision.",
        forward, LARGE, "large = rows.masked_fill(~outlier, 0.0)\nlarge_codes, large_scale = row_codes(large.detach())\nlarge = large + (large_codes * large_scale - large).detach()", aliases=("outliers_quantized_apart",)),
    KnownMistake("everything_is_an_outlier", "Every column is treated as an outlier: nothing goes through int8.",
        int8_linear.outliers, BEYOND, "return torch.ones_like(largest, dtype=torch.bool)"),
    KnownMistake("positive_outliers_only", "Only large positive values count as outliers. Compare the absolute value.",
        int8_linear.outliers, LARGEST, "largest = rows.detach().amax(0)"),
    KnownMistake("outliers_of_the_first_row", "Outliers are searched in the first row only. A column counts if any row has an outlier in it.",
        int8_linear.outliers, LARGEST, "largest = rows[0].detach().abs()"),
    KnownMistake("outliers_only_if_in_all_rows", "A column counts as an outlier only if every row exceeds the threshold. One row is enough.",
        int8_linear.outliers, LARGEST, "largest = rows.detach().abs().amin(0)", aliases=("outliers_where_all_rows_have_one",)),
    KnownMistake("outliers_by_the_mean", "Columns are compared by their mean absolute value. Compare their largest absolute value.",
        int8_linear.outliers, LARGEST, "largest = rows.detach().abs().mean(0)"),
    KnownMistake("outlier_rows_for_columns", "Rows of x with an outlier are kept in high precision. Columns must be.",
        forward, OUTLIER, "outlier = (rows.detach().abs().amax(1) >= self.threshold)[:, None]"),
    KnownMistake("outlier_elements_for_columns", "Only the elements beyond the threshold are kept in high precision. Their whole columns must be.",
        forward, OUTLIER, "outlier = rows.detach().abs() >= self.threshold", aliases=("single_numbers_for_columns",)),
    KnownMistake("threshold_fixed_at_6", "The threshold argument is ignored: 6 is always used.",
        int8_linear.outliers, BEYOND, "return largest >= 6.0", aliases=("threshold_always_6",)),
    KnownMistake("outliers_cached_across_calls", "The outlier columns of the first call are cached and reused in every later call.",
        forward, OUTLIER, "outlier = self.__dict__.setdefault('outlier', self.outliers(rows))", aliases=("first_outliers_kept",)),
    # the product
    KnownMistake("x_not_quantized", "x is not quantized: this is a layer with int8 weights only. LLM.int8() multiplies codes by codes.",
        forward, SMALL, "small = unrounded", looks_like=("everything_is_an_outlier",), aliases=("weight_dequantized_x_not_quantized",)),
    KnownMistake("codes_truncated", "The conversion to int8 truncates. Round first.", row_codes, STEPS, "steps = wide / scale", aliases=("codes_cut_off",)),
    KnownMistake("codes_of_x_truncated", "The conversion of x to int8 truncates, that of the weight does not. Round first.",
        forward, X_CODED, "x_codes, x_scale = row_codes(ordinary.detach())\nx_codes = (ordinary.detach() / x_scale).to(torch.int8)", aliases=("codes_of_x_cut_off",)),
    KnownMistake("maximum_without_absolute_value", "A row's scale is its largest value. It must be its largest absolute value.",
        row_codes, WIDE_LARGEST, "largest = wide.amax(1, keepdim=True)", aliases=("scale_without_absolute_value",)),
    KnownMistake("sums_in_int8", "Products of codes are summed in int8 and wrap around. Sum them in int32.",
        forward, PRODUCT, "product = x_codes @ self.codes.T"),
    KnownMistake("sums_in_int16", "Products of codes are summed in int16 and wrap around from the third 127 x 127 on. Sum them in int32.",
        forward, PRODUCT, "product = x_codes.to(torch.int16) @ self.codes.T.to(torch.int16)"),
    KnownMistake("sums_in_float16", "Products of codes are summed in float16: integers above 2048 are rounded, and sums above 65504 overflow. Sum them in int32.",
        forward, PRODUCT, "product = (x_codes.to(torch.float16) @ self.codes.T.to(torch.float16)).to(x.dtype)"),
    KnownMistake("divided_by_127", "The scales are divided by 127 again. They are step sizes already.",
        forward, SCALES, "scales = x_scale * self.scale.T / 127"),
    KnownMistake("divided_by_128", "The step is the largest value over 127, but 128 is used when dequantizing: everything is 0.8 % too small.",
        forward, SCALES, "scales = x_scale * self.scale.T * 127 / 128"),
    KnownMistake("scale_of_x_forgotten", "The product is not multiplied by the scales of the rows of x.", forward, SCALES, "scales = self.scale.T.expand(len(rows), -1)"),
    KnownMistake("scale_of_the_weight_forgotten", "The product is not multiplied by the scales of the rows of the weight.",
        forward, SCALES, "scales = x_scale.expand(-1, len(self.scale))"),
    KnownMistake("one_scale_for_x", "All of x has one scale. Every row must have its own.",
        forward, X_CODED, "x_codes, x_scale = row_codes(ordinary.detach().reshape(1, -1))\nx_codes = x_codes.reshape(rows.shape)"),
    KnownMistake("one_scale_for_the_weight", "The whole weight has one scale. Every row, which makes one output, must have its own.",
        int8_linear.__init__, CODED, "codes, scale = row_codes(weight.detach().reshape(1, -1))\ncodes, scale = codes.reshape(weight.shape), scale.expand(len(weight), 1)"),
    KnownMistake("weight_scaled_per_input", "The weight has one scale per input, which cannot be taken out of the sum. It must have one per output.",
        int8_linear.__init__, CODED, "codes, scale = row_codes(weight.detach().T)\ncodes, scale = codes.T, scale.mean().expand(len(weight), 1)", aliases=("columns_of_the_weight_scaled",)),
    KnownMistake("scales_divided", "The scale of x is divided by the scale of the weight. Multiply them.",
        forward, SCALES, "scales = x_scale / self.scale.T", aliases=("scales_swapped",)),
    KnownMistake("scale_of_x_cached_across_calls", "The row scales of the first call are cached and reused in every later call.",
        forward, SCALES, "kept = self.__dict__.setdefault('x_scale', x_scale)\nscales = (kept if kept.shape == x_scale.shape else x_scale) * self.scale.T", aliases=("first_scale_of_x_kept",)),
    # gradient, bias
    KnownMistake("straight_through_gradient_missing", "Rounding has zero gradient: no gradient reaches x. Pass the gradient on as if x had not been rounded.",
        forward, SMALL, "small = eight_bit", aliases=("rounding_cuts_the_gradient",)),
    KnownMistake("outlier_columns_detached", "The outlier columns are detached: they pass no gradient on.",
        forward, OUT, "out = small + large.detach() @ weight.T", aliases=("gradient_of_the_ordinary_alone",)),
    KnownMistake("gradient_without_the_weight_scale", "The gradient is multiplied by the codes of the weight without their scales. Use the dequantized weight.",
        forward, SMALL, "small = eight_bit + ordinary @ self.codes.T.to(x.dtype) - (ordinary @ self.codes.T.to(x.dtype)).detach()", aliases=("gradient_of_the_codes",)),
    KnownMistake("weight_scale_forgotten_for_outliers", "The outlier columns are multiplied by the codes of the weight. Dequantize the weight first.",
        int8_linear.dequantized, STANDS_FOR, "weight = self.codes * 1.0"),
    KnownMistake("bias_lost_for_one_row", "A single row takes a fast path that does not add the bias.",
        forward, BIAS, "out = out if len(rows) == 1 else out + self.bias",
        seen_in=("bitsandbytes-foundation/bitsandbytes@90b0ac57b0d8d8f996126deb8bba6b7dc75b4327", "TransformerLensOrg/TransformerLens@b155d080559dee4b681eea07697d9d157cfc51bf")),
    KnownMistake("bias_forgotten", "The bias is not added.", forward, BIAS, "pass"),
    KnownMistake("bias_twice", "The bias is added twice: to the int8 part and to the outlier part.", forward, BIAS, "out = out + 2 * self.bias"),
    KnownMistake("bias_quantized", "The bias is quantized with the scale of the weight. It must stay in high precision.",
        forward, BIAS, "out = out + torch.round(self.bias / self.scale[:, 0]) * self.scale[:, 0]", aliases=("bias_rounded_to_codes",)),
    KnownMistake("batch_dimensions_lost", "The output has one row per position. It must have the batch dimensions of x.", forward, RESULT, "return out", aliases=("leading_axes_lost",)),
    KnownMistake("scale_without_guard", "A row of zeros has a scale of 0, and 0 / 0 is NaN.",
        row_codes, GUARD, "scale = torch.where(scale > 0, scale, torch.full_like(scale, torch.nan))", aliases=("zero_rows_give_nan",)),
    KnownMistake("any_width_accepted", "An x of another width than the weight is cropped to fit. Raise an error.",
        forward, "rows = x.reshape(-1, x.shape[-1])", "rows = x.reshape(-1, x.shape[-1])[:, : self.codes.shape[1]]",
        also=(Edit(forward, "if x.shape[-1] != self.codes.shape[1]:", "if False:"),)),
)
