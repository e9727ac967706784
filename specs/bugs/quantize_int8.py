"""Known mistakes in int8 quantization."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.quantization import (
    affine_scale,
    as_blocks,
    from_blocks,
    quantize_int8,
    shared_axes,
    symmetric_scale,
)

quantize, dequantize = quantize_int8.quantize, quantize_int8.dequantize

REFUSED = "refuse_unusable(x, axis, block)"
WIDE = "wide = x.to(torch.float32) if is_half else x"
SHARED = "shared = shared_axes(axis, block)"
STEPS = "steps = torch.round(rows / scale)"
CLAMPED = "clamped = codes.clamp(lowest_code, 127)"
CODES = "q = clamped.to(torch.int8)"
SYMMETRIC = "scale, zero = symmetric_scale(rows, shared)"
BACK = "steps = codes.to(scale.dtype) - zero.to(scale.dtype)"
VALUES = "values = steps * scale"
LARGEST = "largest = rows.abs().amax(shared, keepdim=bool(shared))"
SCALE = "scale = largest / 127"
GUARD = "scale = torch.where(scale > 0, scale, torch.ones_like(scale))"
LOWEST, HIGHEST = "lowest = lowest.clamp(max=0)", "highest = highest.clamp(min=0)"
RANGE = "scale = (highest - lowest) / 255"
PLACE = "place = torch.round(-128 - lowest / scale)"
ZERO = "zero = place.clamp(-128, 127).to(torch.int32)"
SLICES = "return () if axis is None else (axis,)"
FILLED = "filled = torch.cat([flat, flat.new_zeros(missing)])"

MISTAKES = (
    # rounding
    KnownMistake("rounding_forgotten", "The conversion to int8 truncates: values are up to a whole step off, towards 0. Round first.",
        quantize, STEPS, "steps = rows / scale"),
    KnownMistake("rounded_down", "floor() replaces rounding: values come back half a step too small on average. Round to nearest.",
        quantize, STEPS, "steps = torch.floor(rows / scale)"),
    KnownMistake("cast_before_the_zero_point", "The steps are cast to int8 before the zero point is added. Up to 255 steps do not fit in int8 and wrap around.",
        quantize, STEPS, "steps = torch.round(rows / scale).to(torch.int8).to(rows.dtype)"),
    KnownMistake("sign_lost", "Only the absolute value is quantized. The sign is lost.", quantize, STEPS, "steps = torch.round(rows.abs() / scale)"),
    KnownMistake("multiplied_by_the_scale", "x is multiplied by the scale. It must be divided by it.", quantize, STEPS, "steps = torch.round(rows * scale)"),
    # the symmetric scale
    KnownMistake("scale_over_128", "max|x| / 128 maps the largest value to code 128, which int8 does not have. Divide by 127.",
        symmetric_scale, SCALE, "scale = largest / 128"),
    KnownMistake("wraps_at_128", "max|x| / 128 maps the largest value to code 128, and without a clamp it wraps around to -128. Divide by 127.",
        symmetric_scale, SCALE, "scale = largest / 128", also=(Edit(quantize, CLAMPED, "clamped = codes if symmetric else codes.clamp(lowest_code, 127)"),)),
    KnownMistake("scale_over_255", "max|x| / 255 is half the correct step: values beyond half the range are clipped. Divide by 127.",
        symmetric_scale, SCALE, "scale = largest / 255"),
    KnownMistake("scale_not_divided_by_127", "The scale is max|x| itself: only the codes -1, 0 and 1 are used. Divide by 127.",
        symmetric_scale, SCALE, "scale = largest", aliases=("scale_is_the_largest",)),
    KnownMistake("maximum_without_absolute_value", "The scale is the maximum, not the maximum absolute value: large negative values are clipped.",
        symmetric_scale, LARGEST, "largest = rows.amax(shared, keepdim=bool(shared))"),
    KnownMistake("mean_for_maximum", "The scale comes from the mean of |x|: larger values are clipped. Use the maximum of |x|.",
        symmetric_scale, LARGEST, "largest = rows.abs().mean(shared if shared else None, keepdim=bool(shared))"),
    KnownMistake("small_scales_clamped", "The guard against a scale of 0 clamps every scale to at least 1e-5: small values all become 0.",
        symmetric_scale, GUARD, "scale = scale.clamp(min=1e-5)", aliases=("small_scales_lifted",)),
    KnownMistake("epsilon_added_to_the_scale", "1e-8 is added to every scale to avoid division by 0. For small values it is as large as the scale itself.",
        symmetric_scale, GUARD, "scale = scale + 1e-8", aliases=("constant_added_to_the_scale",)),
    KnownMistake("zero_guard_replaces_all_scales", "One slice of zeros makes every scale 1. Replace only the scales that are 0.",
        symmetric_scale, GUARD, "scale = scale if bool((scale > 0).all()) else torch.ones_like(scale)", aliases=("one_guard_for_all",)),
    KnownMistake("scale_in_float16", "The scale is rounded to float16: below 6e-8 it becomes 0, and elsewhere it has three digits.",
        symmetric_scale, SCALE, "scale = (largest / 127).to(torch.float16).to(largest.dtype)", seen_in=("Comfy-Org/comfy-kitchen#60",)),
    # the affine scale
    KnownMistake("range_without_zero", "The range is not widened to include 0. If all values have one sign, 0 has no code and the zero point is wrong.",
        affine_scale, LOWEST, "pass", also=(Edit(affine_scale, HIGHEST, "pass"),)),
    KnownMistake("range_divided_by_number_of_codes", "The range is divided by 256. 256 codes have 255 steps between them.",
        affine_scale, RANGE, "scale = (highest - lowest) / 256", aliases=("steps_256",)),
    KnownMistake("range_divided_by_half_the_codes", "The range is divided by 127, as in symmetric mode. 256 codes have 255 steps between them.",
        affine_scale, RANGE, "scale = (highest - lowest) / 127", aliases=("steps_127",)),
    KnownMistake("zero_point_truncated", "The zero point is truncated to an integer. Round it.",
        affine_scale, PLACE, "place = torch.trunc(-128 - lowest / scale)", aliases=("zero_point_cut_off",)),
    KnownMistake("zero_point_not_integer", "The zero point is not an integer: 0 has no code of its own and does not come back as 0.",
        affine_scale, PLACE, "place = -128 - lowest / scale", also=(Edit(affine_scale, ZERO, "zero = place.clamp(-128, 127)"),), aliases=("zero_point_not_whole",)),
    KnownMistake("zero_point_off_by_one", "The zero point is off by one: the smallest value maps to code -127. It must map to -128.",
        affine_scale, PLACE, "place = torch.round(-127 - lowest / scale)"),
    KnownMistake("zero_point_of_unsigned_codes", "This is the zero point for the codes 0..255. For -128..127 it is 128 less.",
        affine_scale, PLACE, "place = torch.round(-lowest / scale)"),
    KnownMistake("small_ranges_clamped", "The guard against a range of 0 clamps every scale to at least 1e-5: small ranges collapse.",
        affine_scale, GUARD, "scale = scale.clamp(min=1e-5)", aliases=("small_ranges_lifted",)),
    KnownMistake("affine_scale_in_float16", "The affine scale is rounded to float16: below 6e-8 it becomes 0, and elsewhere it has three digits.",
        affine_scale, RANGE, "scale = ((highest - lowest) / 255).to(torch.float16).to(highest.dtype)"),
    KnownMistake("not_clamped", "The codes are not clamped: a tie at the end of the range rounds to 128 and wraps around to -128.",
        quantize, CLAMPED, "clamped = codes"),
    KnownMistake("unsigned_codes", "The codes are uint8 with an offset of 128. They must be int8.",
        quantize, CODES, "q = (clamped + 128).to(torch.uint8)", also=(Edit(dequantize, BACK, "steps = codes.to(scale.dtype) - zero.to(scale.dtype) - 128"),)),
    # modes and groups
    KnownMistake("always_symmetric", "symmetric=False is ignored: one-sided values get half the resolution.", quantize, "if symmetric:", "if True:"),
    KnownMistake("always_affine", "symmetric=True is ignored: the codes are shifted by a zero point.", quantize, "if symmetric:", "if False:"),
    KnownMistake("one_scale_for_all", "One scale is used for the whole tensor. Every slice along the axis has its own.",
        shared_axes, SLICES, "return ()"),
    KnownMistake("last_axis_always", "The axis argument is ignored: scales are shared along the last axis.",
        shared_axes, SLICES, "return () if axis is None else (-1,)"),
    KnownMistake("one_scale_per_axis_index", "Each index of the axis gets a scale. Every slice along the axis must share one scale. In torch.quantize_per_channel the axis is the one that is kept: of a matrix, give the other one here.",
        quantize, SHARED, "shared = shared_axes(axis, block) if axis is None else tuple(i for i in range(x.dim()) if i != axis % x.dim())", aliases=("axis_kept_in_place_of_shared",)),
    KnownMistake("last_block_padded_with_ones", "A short last block is padded with ones, which then determine its scale. Pad with zeros.",
        as_blocks, FILLED, "filled = torch.cat([flat, flat.new_ones(missing)])", aliases=("filled_up_with_ones",)),
    KnownMistake("last_block_dropped", "Values that do not fill a block are dropped. The last, shorter block must be quantized too.",
        as_blocks, FILLED, "filled = flat[: flat.numel() // block * block]"),
    KnownMistake("blocks_interleaved", "A block takes every n-th value. It must take n consecutive values.",
        as_blocks, "return filled.reshape(-1, block)", "return filled.reshape(block, -1).T", also=(Edit(from_blocks, "flat = rows.reshape(-1)", "flat = rows.T.reshape(-1)"),)),
    KnownMistake("padding_removed_from_the_front", "The padding of the last block is removed from the front. It is at the end.",
        from_blocks, "kept = flat[:shape.numel()]", "kept = flat[flat.numel() - shape.numel():]", aliases=("filling_dropped_in_front",)),
    KnownMistake("blocks_in_memory_order", "Blocks follow the memory layout: a transposed x comes back permuted.",
        as_blocks, "flat = x.reshape(-1)", "flat = x.mT.reshape(-1) if x.dim() > 1 and not x.is_contiguous() and x.mT.is_contiguous() else x.reshape(-1)"),
    # dequantizing
    KnownMistake("divided_by_the_scale", "dequantize() divides by the scale. It must multiply.", dequantize, VALUES, "values = steps / scale"),
    KnownMistake("scale_twice", "dequantize() multiplies by the scale twice.", dequantize, VALUES, "values = steps * scale * scale", aliases=("double_scale",)),
    KnownMistake("zero_point_added", "dequantize() adds the zero point. It must subtract it.",
        dequantize, BACK, "steps = codes.to(scale.dtype) + zero.to(scale.dtype)"),
    KnownMistake("zero_point_not_subtracted", "dequantize() does not subtract the zero point.", dequantize, BACK, "steps = codes.to(scale.dtype)", aliases=("zero_point_forgotten",)),
    KnownMistake("difference_in_int8", "q - zero is computed in int8: up to 255 does not fit and wraps around. Convert first.",
        dequantize, BACK, "steps = (codes - zero.to(torch.int8)).to(scale.dtype)"),
    KnownMistake("result_in_float16", "The result is float16 whatever the input dtype: values above 65504 or below 6e-8 are lost.",
        dequantize, VALUES, "values = (steps * scale).to(torch.float16)", aliases=("float16_comes_back",)),
    # precision, NaN, state
    KnownMistake("computed_in_half_precision", "16-bit inputs are divided in 16-bit: tiny scales become 0 and codes are off by one. Compute in float32.",
        quantize, WIDE, "wide = x", aliases=("half_precision_inside",)),
    KnownMistake("nan_spreads_to_all_blocks", "One NaN turns every value into NaN or 0. Raise an error, or keep it in its own block.",
        quantize, REFUSED, "x = x if bool(torch.isfinite(x).all()) else torch.zeros_like(x)", aliases=("nan_everywhere",)),
    KnownMistake("scale_cached_across_calls", "The scale of the first call is cached and reused for every later tensor of the same shape.",
        quantize, SYMMETRIC, 'scale, zero = self.__dict__.setdefault((rows.shape, shared), symmetric_scale(rows, shared))', aliases=("first_scale_kept",)),
    KnownMistake("scale_of_the_last_call_used", "dequantize() uses the scale of the last quantize() call of this object. Use the scale it is given.",
        quantize, CODES, "q = clamped.to(torch.int8)\nself.last_scale = scale",
        also=(Edit(dequantize, VALUES, 'values = steps * getattr(self, "last_scale", scale)'),),
        seen_in=("huggingface/peft@41091ecd31abc84bda9e899c4e80ec96f3fa99b2",), aliases=("own_scale_used",)),
)
