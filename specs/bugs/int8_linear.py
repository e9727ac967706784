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
    KnownMistake("outliers_counted_twice", "The outlier columns are in the int8 product too: set them to 0 there, or they count twice.",
        forward, ORDINARY, "ordinary = rows"),
    KnownMistake("outliers_left_out", "The outlier columns are taken out of the int8 product and never multiplied: add them in high precision.",
        forward, OUT, "out = small"),
    KnownMistake("outliers_in_the_scale", "The scale of a row of x is taken before the outlier columns are set to 0: one outlier coarsens all others.",
        forward, X_CODED, "_, x_scale = row_codes(rows.detach())\nx_codes = torch.round(ordinary.detach() / x_scale)"),
    KnownMistake("no_outliers_at_all", "The threshold is not used: outliers are quantized like everything else.",
        int8_linear.outliers, BEYOND, "return torch.zeros_like(largest, dtype=torch.bool)"),
    KnownMistake("outliers_quantized_apart", "The outlier columns go through int8 in a product of their own; they must stay in high precision.",
        forward, LARGE, "large = rows.masked_fill(~outlier, 0.0)\nlarge_codes, large_scale = row_codes(large.detach())\nlarge = large + (large_codes * large_scale - large).detach()"),
    KnownMistake("everything_is_an_outlier", "Nothing goes through int8: every column is treated as an outlier.",
        int8_linear.outliers, BEYOND, "return torch.ones_like(largest, dtype=torch.bool)"),
    KnownMistake("positive_outliers_only", "Large negative numbers are outliers too: compare the absolute value.",
        int8_linear.outliers, LARGEST, "largest = rows.detach().amax(0)"),
    KnownMistake("outliers_of_the_first_row", "Outliers are looked for in the first row alone; a column counts if any row has one in it.",
        int8_linear.outliers, LARGEST, "largest = rows[0].detach().abs()"),
    KnownMistake("outliers_where_all_rows_have_one", "A column counts as an outlier only where every row is beyond the threshold; one row is enough.",
        int8_linear.outliers, LARGEST, "largest = rows.detach().abs().amin(0)"),
    KnownMistake("outliers_by_the_mean", "Columns are compared by their mean; it is the largest number that counts.",
        int8_linear.outliers, LARGEST, "largest = rows.detach().abs().mean(0)"),
    KnownMistake("outlier_rows_for_columns", "Rows of x that hold an outlier are kept in high precision; columns must be.",
        forward, OUTLIER, "outlier = (rows.detach().abs().amax(1) >= self.threshold)[:, None]"),
    KnownMistake("single_numbers_for_columns", "Single numbers beyond the threshold are taken out, not their columns: other rows of a column are rounded.",
        forward, OUTLIER, "outlier = rows.detach().abs() >= self.threshold"),
    KnownMistake("threshold_always_6", "The threshold that is asked for is not heard: it is 6.",
        int8_linear.outliers, BEYOND, "return largest >= 6.0"),
    KnownMistake("first_outliers_kept", "The outlier columns of the first call are used for every later one.",
        forward, OUTLIER, "outlier = self.__dict__.setdefault('outlier', self.outliers(rows))"),
    # the product
    KnownMistake("weight_dequantized_x_not_quantized", "x is not quantized: that is a layer with int8 weights alone; LLM.int8 multiplies codes by codes.",
        forward, SMALL, "small = unrounded", looks_like=("everything_is_an_outlier",)),
    KnownMistake("codes_cut_off", "The conversion to int8 cuts off; round first.", row_codes, STEPS, "steps = wide / scale"),
    KnownMistake("codes_of_x_cut_off", "The conversion of x to int8 cuts off, that of the weight does not; round first.",
        forward, X_CODED, "x_codes, x_scale = row_codes(ordinary.detach())\nx_codes = (ordinary.detach() / x_scale).to(torch.int8)"),
    KnownMistake("scale_without_absolute_value", "A row's scale is its largest number; it must be the largest absolute value.",
        row_codes, WIDE_LARGEST, "largest = wide.amax(1, keepdim=True)"),
    KnownMistake("sums_in_int8", "Products of codes are added in int8 and wrap around; add them in int32.",
        forward, PRODUCT, "product = x_codes @ self.codes.T"),
    KnownMistake("sums_in_int16", "Products of codes are added in int16 and wrap around from the third of 127 x 127 on; add them in int32.",
        forward, PRODUCT, "product = x_codes.to(torch.int16) @ self.codes.T.to(torch.int16)"),
    KnownMistake("sums_in_float16", "Products of codes are added in float16: beyond 2048 whole numbers are lost, beyond 65504 all.",
        forward, PRODUCT, "product = (x_codes.to(torch.float16) @ self.codes.T.to(torch.float16)).to(x.dtype)"),
    KnownMistake("divided_by_127", "The scales are divided by 127 once more: they are steps already.",
        forward, SCALES, "scales = x_scale * self.scale.T / 127"),
    KnownMistake("divided_by_128", "A step is the largest number over 127; with 128 on the way back everything is 0.8 % too small.",
        forward, SCALES, "scales = x_scale * self.scale.T * 127 / 128"),
    KnownMistake("scale_of_x_forgotten", "The product is not multiplied by the scale of x's row.", forward, SCALES, "scales = self.scale.T.expand(len(rows), -1)"),
    KnownMistake("scale_of_the_weight_forgotten", "The product is not multiplied by the scale of the weight's row.",
        forward, SCALES, "scales = x_scale.expand(-1, len(self.scale))"),
    KnownMistake("one_scale_for_x", "There is one scale for all of x; every row must have its own.",
        forward, X_CODED, "x_codes, x_scale = row_codes(ordinary.detach().reshape(1, -1))\nx_codes = x_codes.reshape(rows.shape)"),
    KnownMistake("one_scale_for_the_weight", "There is one scale for the whole weight; every row, which makes one output, must have its own.",
        int8_linear.__init__, CODED, "codes, scale = row_codes(weight.detach().reshape(1, -1))\ncodes, scale = codes.reshape(weight.shape), scale.expand(len(weight), 1)"),
    KnownMistake("columns_of_the_weight_scaled", "The weight has a scale per input; that cannot be taken out of the sum. It must be one per output.",
        int8_linear.__init__, CODED, "codes, scale = row_codes(weight.detach().T)\ncodes, scale = codes.T, scale.mean().expand(len(weight), 1)"),
    KnownMistake("scales_swapped", "The scale of x's row and that of the weight's row are divided by each other; they must be multiplied.",
        forward, SCALES, "scales = x_scale / self.scale.T"),
    KnownMistake("first_scale_of_x_kept", "The scales of the first call's rows are used for every later one.",
        forward, SCALES, "kept = self.__dict__.setdefault('x_scale', x_scale)\nscales = (kept if kept.shape == x_scale.shape else x_scale) * self.scale.T"),
    # gradient, bias
    KnownMistake("rounding_cuts_the_gradient", "Rounding has no slope: no gradient reaches x. Pass it on as if x had not been rounded.",
        forward, SMALL, "small = eight_bit"),
    KnownMistake("gradient_of_the_ordinary_alone", "The outlier columns pass no gradient on: they are detached.",
        forward, OUT, "out = small + large.detach() @ weight.T"),
    KnownMistake("gradient_of_the_codes", "The gradient is multiplied by the codes of the weight; the scales belong to it too.",
        forward, SMALL, "small = eight_bit + ordinary @ self.codes.T.to(x.dtype) - (ordinary @ self.codes.T.to(x.dtype)).detach()"),
    KnownMistake("weight_scale_forgotten_for_outliers", "The outlier columns are multiplied by the codes of the weight; dequantize them first.",
        int8_linear.dequantized, STANDS_FOR, "weight = self.codes * 1.0"),
    KnownMistake("bias_lost_for_one_row", "A single row takes a fast path that forgets the bias.",
        forward, BIAS, "out = out if len(rows) == 1 else out + self.bias",
        seen_in=("bitsandbytes-foundation/bitsandbytes@90b0ac57b0d8d8f996126deb8bba6b7dc75b4327", "TransformerLensOrg/TransformerLens@b155d080559dee4b681eea07697d9d157cfc51bf")),
    KnownMistake("bias_forgotten", "The bias is never added.", forward, BIAS, "pass"),
    KnownMistake("bias_twice", "The bias is added twice, to the int8 part and to the outlier part.", forward, BIAS, "out = out + 2 * self.bias"),
    KnownMistake("bias_rounded_to_codes", "The bias is quantized with the scale of the weight; it stays in high precision.",
        forward, BIAS, "out = out + torch.round(self.bias / self.scale[:, 0]) * self.scale[:, 0]"),
    KnownMistake("leading_axes_lost", "What comes back has one row per position; it must have the leading axes of x.", forward, RESULT, "return out"),
    KnownMistake("zero_rows_give_nan", "A row of zeros has the scale 0, and 0 / 0 is NaN.",
        row_codes, GUARD, "scale = torch.where(scale > 0, scale, torch.full_like(scale, torch.nan))"),
    KnownMistake("any_width_accepted", "An x of another width than the weight is cut to fit; refuse it.",
        forward, "rows = x.reshape(-1, x.shape[-1])", "rows = x.reshape(-1, x.shape[-1])[:, : self.codes.shape[1]]",
        also=(Edit(forward, "if x.shape[-1] != self.codes.shape[1]:", "if False:"),)),
)
