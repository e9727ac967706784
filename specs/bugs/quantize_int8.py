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
    KnownMistake("rounding_forgotten", "The conversion to int8 cuts off; round first. Numbers come back up to a whole step off, and too small.",
        quantize, STEPS, "steps = rows / scale"),
    KnownMistake("rounded_down", "floor() is no rounding: everything comes back too small by half a step on average.",
        quantize, STEPS, "steps = torch.floor(rows / scale)"),
    KnownMistake("cast_before_the_zero_point", "The steps become int8 before the zero point is added: up to 255 steps do not fit, and wrap around.",
        quantize, STEPS, "steps = torch.round(rows / scale).to(torch.int8).to(rows.dtype)"),
    KnownMistake("sign_lost", "Only the size is quantized; the sign is lost.", quantize, STEPS, "steps = torch.round(rows.abs() / scale)"),
    KnownMistake("multiplied_by_the_scale", "x is multiplied by the scale; it must be divided by it.", quantize, STEPS, "steps = torch.round(rows * scale)"),
    # the symmetric scale
    KnownMistake("scale_over_128", "max|x| / 128 puts the largest number on code 128, which int8 does not have: divide by 127.",
        symmetric_scale, SCALE, "scale = largest / 128"),
    KnownMistake("wraps_at_128", "max|x| / 128 puts the largest number on code 128, and without a clamp it wraps around to -128.",
        symmetric_scale, SCALE, "scale = largest / 128", also=(Edit(quantize, CLAMPED, "clamped = codes if symmetric else codes.clamp(lowest_code, 127)"),)),
    KnownMistake("scale_over_255", "max|x| / 255 is half the step there must be: numbers beyond half the range are cut off. Divide by 127.",
        symmetric_scale, SCALE, "scale = largest / 255"),
    KnownMistake("scale_is_the_largest", "The scale is max|x| itself: only the codes -1, 0 and 1 are used. Divide by 127.",
        symmetric_scale, SCALE, "scale = largest"),
    KnownMistake("maximum_without_absolute_value", "The largest number is taken in place of the largest absolute value: large negative ones are cut off.",
        symmetric_scale, LARGEST, "largest = rows.amax(shared, keepdim=bool(shared))"),
    KnownMistake("mean_for_maximum", "The scale comes from the mean of |x|; whatever is larger is cut off. It must come from the maximum.",
        symmetric_scale, LARGEST, "largest = rows.abs().mean(shared if shared else None, keepdim=bool(shared))"),
    KnownMistake("small_scales_lifted", "The guard against a scale of 0 lifts every scale to 1e-5 at least: small numbers all become 0.",
        symmetric_scale, GUARD, "scale = scale.clamp(min=1e-5)"),
    KnownMistake("constant_added_to_the_scale", "1e-8 added to every scale against division by 0 is as large as the scale itself where numbers are small.",
        symmetric_scale, GUARD, "scale = scale + 1e-8"),
    KnownMistake("one_guard_for_all", "One empty slice makes you replace every scale by 1: replace those that are 0 alone.",
        symmetric_scale, GUARD, "scale = scale if bool((scale > 0).all()) else torch.ones_like(scale)"),
    KnownMistake("scale_in_float16", "The scale is rounded to float16: below 6e-8 it becomes 0, and elsewhere it keeps three digits.",
        symmetric_scale, SCALE, "scale = (largest / 127).to(torch.float16).to(largest.dtype)", seen_in=("Comfy-Org/comfy-kitchen#60",)),
    # the affine scale
    KnownMistake("range_without_zero", "The range is not widened to hold 0: then 0 has no code, and the zero point is off where all numbers have one sign.",
        affine_scale, LOWEST, "pass", also=(Edit(affine_scale, HIGHEST, "pass"),)),
    KnownMistake("steps_256", "The range is divided into 256 steps; 256 codes have 255 steps between them.",
        affine_scale, RANGE, "scale = (highest - lowest) / 256"),
    KnownMistake("steps_127", "The range is divided into 127 steps, as in symmetric mode; 256 codes have 255.",
        affine_scale, RANGE, "scale = (highest - lowest) / 127"),
    KnownMistake("zero_point_cut_off", "The zero point is cut off to a whole number; it must be rounded.",
        affine_scale, PLACE, "place = torch.trunc(-128 - lowest / scale)"),
    KnownMistake("zero_point_not_whole", "The zero point is no whole number, so 0 has no code of its own and does not come back as 0.",
        affine_scale, PLACE, "place = -128 - lowest / scale", also=(Edit(affine_scale, ZERO, "zero = place.clamp(-128, 127)"),)),
    KnownMistake("zero_point_off_by_one", "The smallest number belongs on code -128, not on -127.",
        affine_scale, PLACE, "place = torch.round(-127 - lowest / scale)"),
    KnownMistake("zero_point_of_unsigned_codes", "This is the zero point of the codes 0..255; for -128..127 it is 128 less.",
        affine_scale, PLACE, "place = torch.round(-lowest / scale)"),
    KnownMistake("small_ranges_lifted", "The guard against a range of 0 lifts every scale to 1e-5 at least: small ranges collapse.",
        affine_scale, GUARD, "scale = scale.clamp(min=1e-5)"),
    KnownMistake("affine_scale_in_float16", "The scale of the affine mode is rounded to float16: below 6e-8 it becomes 0, and elsewhere it keeps three digits.",
        affine_scale, RANGE, "scale = ((highest - lowest) / 255).to(torch.float16).to(highest.dtype)"),
    KnownMistake("not_clamped", "The codes are not clamped: half-way values at the end of the range become 128 and wrap around to -128.",
        quantize, CLAMPED, "clamped = codes"),
    KnownMistake("unsigned_codes", "The codes are uint8 with an offset of 128; they must be int8.",
        quantize, CODES, "q = (clamped + 128).to(torch.uint8)", also=(Edit(dequantize, BACK, "steps = codes.to(scale.dtype) - zero.to(scale.dtype) - 128"),)),
    # modes and groups
    KnownMistake("always_symmetric", "symmetric=False is not heard: one-sided numbers get half the resolution.", quantize, "if symmetric:", "if True:"),
    KnownMistake("always_affine", "symmetric=True is not heard: the codes are shifted by a zero point.", quantize, "if symmetric:", "if False:"),
    KnownMistake("one_scale_for_all", "There is one scale for the whole tensor; every slice along the axis must have its own.",
        shared_axes, SLICES, "return ()"),
    KnownMistake("last_axis_always", "The scale is shared along the last axis, whatever axis is asked for.",
        shared_axes, SLICES, "return () if axis is None else (-1,)"),
    KnownMistake("axis_kept_in_place_of_shared", "Each index of the axis gets a scale; here every slice along the axis shares one.",
        quantize, SHARED, "shared = shared_axes(axis, block) if axis is None else tuple(i for i in range(x.dim()) if i != axis % x.dim())"),
    KnownMistake("filled_up_with_ones", "A short last block is filled up with ones, which then set its scale: fill it up with zeros.",
        as_blocks, FILLED, "filled = torch.cat([flat, flat.new_ones(missing)])"),
    KnownMistake("last_block_dropped", "What does not fill a block is left out: the last, shorter block must be quantized too.",
        as_blocks, FILLED, "filled = flat[: flat.numel() // block * block]"),
    KnownMistake("blocks_interleaved", "A block is made of every n-th number; it must be n numbers in a row.",
        as_blocks, "return filled.reshape(-1, block)", "return filled.reshape(block, -1).T", also=(Edit(from_blocks, "flat = rows.reshape(-1)", "flat = rows.T.reshape(-1)"),)),
    KnownMistake("filling_dropped_in_front", "The filling of the last block is cut off at the front; it stands at the end.",
        from_blocks, "kept = flat[:shape.numel()]", "kept = flat[flat.numel() - shape.numel():]"),
    KnownMistake("blocks_in_memory_order", "Blocks are taken in the order of memory: a transposed x comes back permuted.",
        as_blocks, "flat = x.reshape(-1)", "flat = x.mT.reshape(-1) if x.dim() > 1 and not x.is_contiguous() and x.mT.is_contiguous() else x.reshape(-1)"),
    # back
    KnownMistake("divided_by_the_scale", "dequantize() divides by the scale; it must multiply.", dequantize, VALUES, "values = steps / scale"),
    KnownMistake("double_scale", "dequantize() multiplies by the scale twice.", dequantize, VALUES, "values = steps * scale * scale"),
    KnownMistake("zero_point_added", "dequantize() adds the zero point; it must subtract it.",
        dequantize, BACK, "steps = codes.to(scale.dtype) + zero.to(scale.dtype)"),
    KnownMistake("zero_point_forgotten", "dequantize() does not take off the zero point.", dequantize, BACK, "steps = codes.to(scale.dtype)"),
    KnownMistake("difference_in_int8", "q - zero is taken in int8: up to 255 does not fit, and wraps around. Convert first.",
        dequantize, BACK, "steps = (codes - zero.to(torch.int8)).to(scale.dtype)"),
    KnownMistake("float16_comes_back", "The result is float16 whatever came in: nothing above 65504 or below 6e-8 comes back.",
        dequantize, VALUES, "values = (steps * scale).to(torch.float16)"),
    # precision, NaN, state
    KnownMistake("half_precision_inside", "16-bit inputs are divided in 16 bit: tiny scales become 0 and codes are off by one. Use float32 inside.",
        quantize, WIDE, "wide = x"),
    KnownMistake("nan_everywhere", "A NaN anywhere makes every number NaN or 0: refuse it with an error, or keep it in its own block.",
        quantize, REFUSED, "x = x if bool(torch.isfinite(x).all()) else torch.zeros_like(x)"),
    KnownMistake("first_scale_kept", "The scale of the first call is kept for every later tensor of the same shape.",
        quantize, SYMMETRIC, 'scale, zero = self.__dict__.setdefault((rows.shape, shared), symmetric_scale(rows, shared))'),
    KnownMistake("own_scale_used", "dequantize() uses the scale of the last quantize() of this object; it must use the one it is given.",
        quantize, CODES, "q = clamped.to(torch.int8)\nself.last_scale = scale",
        also=(Edit(dequantize, VALUES, 'values = steps * getattr(self, "last_scale", scale)'),),
        seen_in=("huggingface/peft@41091ecd31abc84bda9e899c4e80ec96f3fa99b2",)),
)
