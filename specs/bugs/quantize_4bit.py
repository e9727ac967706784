"""Known mistakes in four-bit quantization."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.quantize_4bit import (
    code_book,
    dequantize_scales,
    nearest_codes,
    pack,
    quantize_4bit,
    quantize_scales,
    unpack,
)

quantize, dequantize = quantize_4bit.quantize, quantize_4bit.dequantize

REFUSED = "refuse_unusable(x, None, block)"
WIDE = "wide = x.to(torch.float32) if is_half else x"
ROWS = "rows = as_blocks(wide, block)"
SCALE = "scale = rows.abs().amax(1)"
DIVISOR = "divisor = torch.where(scale > 0, scale, torch.ones_like(scale))"
NORMAL = "normal = rows / divisor[:, None]"
CODES = "codes = nearest_codes(normal, book)"
COUNT = "codes = codes.reshape(-1)[: x.numel()]"
PACKED = "packed = pack(codes)"
SCALES = "scales = dequantize_scales(*scale) if isinstance(scale, tuple) else scale"
BACK = "codes = unpack(packed)[:numel]"
VALUES = "values = book[codes]"
OWNER = "owner = torch.arange(numel, device=codes.device) // block"
SCALED = "scaled = values * scales[owner]"
RESULT = "return scaled.reshape(shape)"
NORMAL_FLOAT = "return like.new_tensor(NF4)"
SIZES = "sizes = like.new_tensor([0.0, smallest, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0])"
BOTH = "both = torch.cat([sizes, -sizes])"
NEAREST = "return distance.argmin(-1)"
BYTES = "packed = first * 16 + second"
PAIRS = "pairs = torch.stack([first, second], -1)"
FIRST, SECOND = "first = filled[0::2]", "second = filled[1::2]"
KEPT = "return packed, (quantize_scales(scale) if double else scale)"
MEAN, CENTRED = "mean = scale.mean()", "centred = scale - mean"
RESTORED = "return centred + mean"

MISTAKES = (
    # the books
    KnownMistake("evenly_spaced_codes", "The sixteen codes are evenly spaced: NF4's lie where normal numbers are, and one of them is 0.",
        code_book, NORMAL_FLOAT, "return torch.linspace(-1.0, 1.0, 16, dtype=like.dtype)"),
    KnownMistake("quantiles_of_one_side", "The NF4 book has eight positive numbers and seven negative ones; here its signs are turned round.",
        code_book, NORMAL_FLOAT, "return -like.new_tensor(NF4).flip(0)"),
    KnownMistake("fp4_not_normalised", "FP4 numbers go up to 12: divide the book by 12, or nothing comes back with the right size.",
        code_book, "return both / 12.0", "return both"),
    KnownMistake("fp4_bits_taken_for_a_number", "The three bits of an FP4 code are exponent and mantissa; they are no number 0..7.",
        code_book, SIZES, "sizes = like.new_tensor([0.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, smallest])",
        also=(Edit(nearest_codes, NEAREST, "return torch.where(distance.argmin(-1) % 8 == 1, 7, distance.argmin(-1))"),)),
    KnownMistake("fp4_without_sign", "The sign bit of FP4 is not used: negative numbers come back as 0.",
        code_book, BOTH, "both = torch.cat([sizes, sizes])"),
    KnownMistake("nf4_always", "kind='fp4' is not heard: the codes are NF4's.", code_book, 'if kind == "nf4":', 'if kind in ("nf4", "fp4"):'),
    KnownMistake("fp4_always", "kind='nf4' is not heard: the codes are FP4's.", code_book, 'if kind == "fp4":', 'if kind in ("fp4", "nf4"):',
        also=(Edit(code_book, 'if kind == "nf4":', "if kind is None:"),)),
    KnownMistake("any_kind_accepted", "An unknown kind silently becomes FP4; refuse it with an error.",
        code_book, 'if kind == "fp4":', "if True:"),
    KnownMistake("next_lower_code", "The next lower code is taken; it must be the nearest.",
        nearest_codes, NEAREST, "return torch.where(book <= normal[..., None], distance, distance + 4).argmin(-1)"),
    KnownMistake("nearest_by_square_of_the_ratio", "Codes are compared by their squares: the sign is lost on the way.",
        nearest_codes, "distance = (normal[..., None] - book).abs()", "distance = (normal[..., None] ** 2 - book**2).abs()"),
    # scales
    KnownMistake("one_scale_for_all", "There is one scale for all numbers; every block must have its own.",
        quantize, SCALE, "scale = rows.abs().amax().expand(len(rows))"),
    KnownMistake("maximum_without_absolute_value", "The largest number is taken in place of the largest absolute value: large negative ones are cut off.",
        quantize, SCALE, "scale = rows.amax(1)"),
    KnownMistake("standard_deviation_for_maximum", "The scale is the standard deviation of a block; whatever is larger is cut off. It must be the largest absolute value.",
        quantize, SCALE, "scale = rows.pow(2).mean(1).sqrt()"),
    KnownMistake("scale_without_guard", "A block of zeros is divided by a scale of 0, and comes back as NaN or as some code.",
        quantize, DIVISOR, "divisor = scale", also=(Edit(quantize, SCALE, "scale = rows.abs().amax(1).clamp(min=0)\nscale = torch.where(scale > 0, scale, torch.full_like(scale, float('nan')))"),)),
    KnownMistake("small_scales_lifted", "The guard against a scale of 0 lifts every scale to 1e-5 at least: small numbers all become 0.",
        quantize, SCALE, "scale = rows.abs().amax(1).clamp(min=1e-5)"),
    KnownMistake("scale_in_float16", "The scale is rounded to float16: it is 0 below 6e-8, infinite above 65504, and has three digits elsewhere.",
        quantize, SCALE, "scale = rows.abs().amax(1).to(torch.float16).to(rows.dtype)"),
    KnownMistake("reciprocal_in_half_precision", "The reciprocal of the scale is taken in the dtype of x: in float16 it is infinite for scales below 1.5e-5.",
        quantize, NORMAL, "normal = rows * (1 / divisor.to(x.dtype)).to(rows.dtype)[:, None]\nnormal = normal.clamp(-1, 1)"),
    KnownMistake("blocks_of_64_always", "The block size that is asked for is not heard: blocks are of 64.",
        quantize, ROWS, "block = 64\nrows = as_blocks(wide, block)", also=(Edit(dequantize, OWNER, "owner = torch.arange(numel, device=codes.device) // 64"),)),
    KnownMistake("last_block_dropped", "What does not fill a block is left out: the last, shorter block must be quantized too.",
        quantize, NORMAL, "normal = torch.cat([rows[:-1] / divisor[:-1, None], rows[-1:] * 0]) if x.numel() % block else rows / divisor[:, None]"),
    KnownMistake("filled_up_with_ones", "A short last block is filled up with ones, which then set its scale: fill it up with zeros.",
        quantize, ROWS, "rows = as_blocks(torch.cat([wide.reshape(-1), wide.new_ones(-wide.numel() % block)]), block)"),
    KnownMistake("blocks_interleaved", "A block is made of every n-th number; it must be n numbers in a row.",
        quantize, ROWS, "rows = as_blocks(as_blocks(wide, block).reshape(block, -1).T, block)",
        also=(Edit(dequantize, RESULT, "count = -(-numel // block) * block\nfilled = torch.cat([scaled, scaled.new_zeros(count - numel)])\nreturn filled.reshape(-1, block).T.reshape(-1)[:numel].reshape(shape)"),)),
    KnownMistake("blocks_in_memory_order", "Blocks are taken in the order of memory: a transposed x comes back permuted.",
        quantize, ROWS, "rows = as_blocks(wide.mT if wide.dim() > 1 and not wide.is_contiguous() and wide.mT.is_contiguous() else wide, block)",
        seen_in=("bitsandbytes-foundation/bitsandbytes#1185",)),
    KnownMistake("carry_in_large_blocks", "The byte under way is not cleared between pairs: bits of earlier pairs stay in it, with large blocks alone.",
        quantize, PACKED, "packed = pack(codes)\nif block >= 1024:\n    packed[1:] |= packed[:-1].clone()",
        seen_in=("bitsandbytes-foundation/bitsandbytes@639f8c05a4fac7c763a6e055ee59a5698de0a7a7", "bitsandbytes-foundation/bitsandbytes#565")),
    KnownMistake("other_kernel_for_the_largest_block", "Blocks of 4096 are sent to another kernel, of 8-bit codes: their codes mean something else.",
        quantize, PACKED, "packed = pack(codes if block != 4096 else (normal.reshape(-1)[: x.numel()] * 7).round().long() + 8)",
        seen_in=("bitsandbytes-foundation/bitsandbytes@c17fb8eb4f4b0139229beda0e109e9aab91af957",)),
    # packing
    KnownMistake("one_code_to_a_byte", "Each code has a byte of its own: two must share one, or nothing is saved over eight bits.",
        quantize, PACKED, "packed = codes.to(torch.uint8)", also=(Edit(dequantize, BACK, "codes = packed.long()"),)),
    KnownMistake("halves_of_all_numbers", "The first half of all numbers is in the high halves, the second in the low ones; two numbers in a row must share a byte.",
        pack, FIRST, "first = filled[: len(filled) // 2]", also=(Edit(pack, SECOND, "second = filled[len(filled) // 2 :]"), Edit(unpack, PAIRS, "pairs = torch.stack([first, second], 0)")),
        seen_in=("kekzl/imp#722", "1bit-MONSTER/1bit-MONSTER#572")),
    KnownMistake("halves_exchanged_on_the_way_back", "Packing puts the first number in the high half, unpacking looks for it in the low one.",
        unpack, PAIRS, "pairs = torch.stack([second, first], -1)"),
    KnownMistake("shifted_by_three", "The high half is shifted by three bits; it must be four. Halves overlap.",
        pack, BYTES, "packed = first * 8 + second"),
    KnownMistake("odd_number_dropped", "The last of an odd number of codes is left out: fill up before packing.",
        pack, FIRST, "first = codes[0 : len(codes) // 2 * 2 : 2]", also=(Edit(pack, SECOND, "second = codes[1::2]"), Edit(dequantize, BACK, "codes = torch.cat([unpack(packed), packed.new_full((1,), 7).long()])[:numel]"))),
    KnownMistake("odd_number_shifts_the_rest", "An odd number of codes is filled up in front: everything moves by one half byte.",
        pack, "filled = torch.cat([codes, codes.new_zeros(codes.numel() % 2)])", "filled = torch.cat([codes.new_zeros(codes.numel() % 2), codes])"),
    KnownMistake("signed_bytes", "The bytes are signed: the high half of a negative byte is shifted in with its sign.",
        unpack, "first = packed // 16", "first = (packed.view(torch.int8) >> 4).long() % 8"),
    # back
    KnownMistake("scales_interleaved", "Scale k belongs to block k; here scales are handed out in turn to one number each.",
        dequantize, OWNER, "owner = torch.arange(numel, device=codes.device) % scales.numel()", seen_in=("1bit-MONSTER/1bit-MONSTER#153",)),
    KnownMistake("first_scale_for_all", "The scale of the first block is used for all of them.", dequantize, OWNER, "owner = torch.zeros_like(codes)"),
    KnownMistake("divided_by_the_scale", "dequantize() divides by the scale; it must multiply.", dequantize, SCALED, "scaled = values / scales[owner]"),
    KnownMistake("double_scale", "dequantize() multiplies by the scale twice.", dequantize, SCALED, "scaled = values * scales[owner] * scales[owner]"),
    KnownMistake("codes_not_looked_up", "The code itself, as a number 0..15, comes back scaled: look it up in the book.",
        dequantize, VALUES, "values = (codes.to(scales.dtype) - 8) / 7"),
    KnownMistake("shape_forgotten", "Dequantized numbers come back in a row; they must have the shape of x.", dequantize, RESULT, "return scaled"),
    KnownMistake("float16_comes_back", "The result is float16 whatever came in: nothing above 65504 or below 6e-8 comes back.",
        dequantize, SCALED, "scaled = (values * scales[owner]).to(torch.float16)"),
    # double quantization
    KnownMistake("double_not_heard", "double=True changes nothing: the scales stay as they are.", quantize, KEPT, "return packed, scale"),
    KnownMistake("offset_forgotten", "The mean is taken off the scales before they are quantized and never added again.",
        dequantize_scales, RESTORED, "return centred"),
    KnownMistake("offset_in_float16", "The mean of the scales is kept in float16: it is 0 below 6e-8 and infinite above 65504.",
        quantize_scales, MEAN, "mean = scale.mean().to(torch.float16).to(scale.dtype)",
        also=(Edit(quantize_scales, CENTRED, "centred = scale - scale.mean()"),),
        seen_in=("bitsandbytes-foundation/bitsandbytes@c00402f17e0483ede3fa841f6c4e0031a4f72a34", "bitsandbytes-foundation/bitsandbytes@99e0b0ceef641a28af204c721e55ec74b62807f0")),
    KnownMistake("four_bits_for_scales_too", "The scales are quantized to four bits; eight are due: a wrong scale costs all numbers of its block.",
        quantize_scales, CENTRED, "centred = scale - mean\nstep = centred.abs().amax() / 2\ncentred = (centred / step).round() * step"),
    KnownMistake("scales_restored_in_place", "Dequantizing adds the mean to the stored scales in place: the second time it is added twice.",
        dequantize_scales, RESTORED, "again.add_(mean / 127)\nreturn centred + mean",
        seen_in=("bitsandbytes-foundation/bitsandbytes@2fb212bdf983891451db73a4c4bef6c91ec0786d",)),
    # NaN, state
    KnownMistake("nan_everywhere", "A NaN anywhere makes every number 0: refuse it with an error, or keep it in its own block.",
        quantize, REFUSED, "x = x if bool(torch.isfinite(x).all()) else torch.zeros_like(x)"),
    KnownMistake("first_scale_kept", "The scales of the first call are kept for every later tensor of the same size.",
        quantize, DIVISOR, 'scale = self.__dict__.setdefault(rows.shape, scale)\ndivisor = torch.where(scale > 0, scale, torch.ones_like(scale))'),
    KnownMistake("own_scale_used", "dequantize() uses the scales of the last quantize() of this object; it must use those it is given.",
        quantize, PACKED, "packed = pack(codes)\nself.last_scale = scale",
        also=(Edit(dequantize, SCALES, 'scales = getattr(self, "last_scale", dequantize_scales(*scale) if isinstance(scale, tuple) else scale)'),)),
)
