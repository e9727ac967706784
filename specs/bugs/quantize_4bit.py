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
    # the codebooks
    KnownMistake("evenly_spaced_codes", "The 16 code values are evenly spaced. NF4 places them at quantiles of the normal distribution, and one of them is 0.",
        code_book, NORMAL_FLOAT, "return torch.linspace(-1.0, 1.0, 16, dtype=like.dtype)"),
    KnownMistake("nf4_codebook_negated", "The NF4 codebook is negated. It has eight positive and seven negative values, not the reverse.",
        code_book, NORMAL_FLOAT, "return -like.new_tensor(NF4).flip(0)", aliases=("quantiles_of_one_side",)),
    KnownMistake("fp4_not_normalised", "The FP4 values go up to 12. Divide the codebook by 12, or every dequantized value has the wrong scale.",
        code_book, "return both / 12.0", "return both"),
    KnownMistake("fp4_bits_read_as_an_integer", "The three bits of an FP4 code are read as an integer 0..7. They are exponent and mantissa.",
        code_book, SIZES, "sizes = like.new_tensor([0.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, smallest])",
        also=(Edit(nearest_codes, NEAREST, "return torch.where(distance.argmin(-1) % 8 == 1, 7, distance.argmin(-1))"),), aliases=("fp4_bits_taken_for_a_number",)),
    KnownMistake("fp4_sign_ignored", "The sign bit of FP4 is not used: negative values come back as 0.",
        code_book, BOTH, "both = torch.cat([sizes, sizes])", aliases=("fp4_without_sign",)),
    KnownMistake("nf4_always", "kind=\"fp4\" is ignored: the NF4 codebook is always used.", code_book, 'if kind == "nf4":', 'if kind in ("nf4", "fp4"):'),
    KnownMistake("fp4_always", "kind=\"nf4\" is ignored: the FP4 codebook is always used.", code_book, 'if kind == "fp4":', 'if kind in ("fp4", "nf4"):',
        also=(Edit(code_book, 'if kind == "nf4":', "if kind is None:"),)),
    KnownMistake("unknown_kind_accepted", "An unknown kind is silently treated as FP4. Raise an error.",
        code_book, 'if kind == "fp4":', "if True:", aliases=("any_kind_accepted",)),
    KnownMistake("next_lower_code", "A value is mapped to the next lower code. It must be mapped to the nearest code.",
        nearest_codes, NEAREST, "return torch.where(book <= normal[..., None], distance, distance + 4).argmin(-1)"),
    KnownMistake("nearest_by_squared_value", "The nearest code is found by comparing squares. This loses the sign.",
        nearest_codes, "distance = (normal[..., None] - book).abs()", "distance = (normal[..., None] ** 2 - book**2).abs()", aliases=("nearest_by_square_of_the_ratio",)),
    # scales
    KnownMistake("one_scale_for_all", "One scale is used for the whole tensor. Every block has its own.",
        quantize, SCALE, "scale = rows.abs().amax().expand(len(rows))"),
    KnownMistake("maximum_without_absolute_value", "The scale is the maximum, not the maximum absolute value: large negative values are clipped.",
        quantize, SCALE, "scale = rows.amax(1)"),
    KnownMistake("root_mean_square_for_maximum", "The scale is the root mean square of a block: larger values are clipped. Use the maximum absolute value.",
        quantize, SCALE, "scale = rows.pow(2).mean(1).sqrt()", aliases=("standard_deviation_for_maximum",)),
    KnownMistake("scale_without_guard", "A block of zeros is divided by a scale of 0. It comes back as NaN or as an arbitrary code.",
        quantize, DIVISOR, "divisor = scale", also=(Edit(quantize, SCALE, "scale = rows.abs().amax(1).clamp(min=0)\nscale = torch.where(scale > 0, scale, torch.full_like(scale, float('nan')))"),)),
    KnownMistake("small_scales_clamped", "The guard against a scale of 0 clamps every scale to at least 1e-5: small values all become 0.",
        quantize, SCALE, "scale = rows.abs().amax(1).clamp(min=1e-5)", aliases=("small_scales_lifted",)),
    KnownMistake("scale_in_float16", "The scale is rounded to float16: it is 0 below 6e-8, infinite above 65504, and has three digits elsewhere.",
        quantize, SCALE, "scale = rows.abs().amax(1).to(torch.float16).to(rows.dtype)"),
    KnownMistake("reciprocal_in_half_precision", "The reciprocal of the scale is computed in the dtype of x. In float16 it is infinite for scales below 1.5e-5.",
        quantize, NORMAL, "normal = rows * (1 / divisor.to(x.dtype)).to(rows.dtype)[:, None]\nnormal = normal.clamp(-1, 1)"),
    KnownMistake("block_size_fixed_at_64", "The block argument is ignored: the block size is always 64.",
        quantize, ROWS, "block = 64\nrows = as_blocks(wide, block)", also=(Edit(dequantize, OWNER, "owner = torch.arange(numel, device=codes.device) // 64"),), aliases=("blocks_of_64_always",)),
    KnownMistake("last_block_dropped", "Values that do not fill a block are dropped. The last, shorter block must be quantized too.",
        quantize, NORMAL, "normal = torch.cat([rows[:-1] / divisor[:-1, None], rows[-1:] * 0]) if x.numel() % block else rows / divisor[:, None]"),
    KnownMistake("last_block_padded_with_ones", "A short last block is padded with ones, which then determine its scale. Pad with zeros.",
        quantize, ROWS, "rows = as_blocks(torch.cat([wide.reshape(-1), wide.new_ones(-wide.numel() % block)]), block)", aliases=("filled_up_with_ones",)),
    KnownMistake("blocks_interleaved", "A block takes every n-th value. It must take n consecutive values.",
        quantize, ROWS, "rows = as_blocks(as_blocks(wide, block).reshape(block, -1).T, block)",
        also=(Edit(dequantize, RESULT, "count = -(-numel // block) * block\nfilled = torch.cat([scaled, scaled.new_zeros(count - numel)])\nreturn filled.reshape(-1, block).T.reshape(-1)[:numel].reshape(shape)"),)),
    KnownMistake("blocks_in_memory_order", "Blocks follow the memory layout: a transposed x comes back permuted.",
        quantize, ROWS, "rows = as_blocks(wide.mT if wide.dim() > 1 and not wide.is_contiguous() and wide.mT.is_contiguous() else wide, block)",
        seen_in=("bitsandbytes-foundation/bitsandbytes#1185",)),
    KnownMistake("packed_byte_not_cleared", "The byte being packed is not cleared between pairs: bits of earlier pairs stay in it. This affects only large blocks.",
        quantize, PACKED, "packed = pack(codes)\nif block >= 1024:\n    packed[1:] |= packed[:-1].clone()",
        seen_in=("bitsandbytes-foundation/bitsandbytes@639f8c05a4fac7c763a6e055ee59a5698de0a7a7", "bitsandbytes-foundation/bitsandbytes#565"), aliases=("carry_in_large_blocks",)),
    KnownMistake("wrong_kernel_for_block_size_4096", "Block size 4096 runs another kernel, the one for 8-bit codes. Its codes have another meaning.",
        quantize, PACKED, "packed = pack(codes if block != 4096 else (normal.reshape(-1)[: x.numel()] * 7).round().long() + 8)",
        seen_in=("bitsandbytes-foundation/bitsandbytes@c17fb8eb4f4b0139229beda0e109e9aab91af957",), aliases=("other_kernel_for_the_largest_block",)),
    # packing
    KnownMistake("one_code_per_byte", "Each code uses a byte of its own. Pack two codes into one byte, or 4 bits save nothing over 8.",
        quantize, PACKED, "packed = codes.to(torch.uint8)", also=(Edit(dequantize, BACK, "codes = packed.long()"),), aliases=("one_code_to_a_byte",)),
    KnownMistake("halves_of_the_tensor_packed_together", "The first half of the tensor goes into the high nibbles and the second half into the low ones. Two consecutive values must share a byte.",
        pack, FIRST, "first = filled[: len(filled) // 2]", also=(Edit(pack, SECOND, "second = filled[len(filled) // 2 :]"), Edit(unpack, PAIRS, "pairs = torch.stack([first, second], 0)")),
        seen_in=("kekzl/imp#722", "1bit-MONSTER/1bit-MONSTER#572"), aliases=("halves_of_all_numbers",)),
    KnownMistake("nibbles_exchanged_when_unpacking", "Packing puts the first value in the high nibble. Unpacking reads it from the low nibble.",
        unpack, PAIRS, "pairs = torch.stack([second, first], -1)", aliases=("halves_exchanged_on_the_way_back",)),
    KnownMistake("high_nibble_shifted_by_three", "The high nibble is shifted by three bits, so the nibbles overlap. Shift by four.",
        pack, BYTES, "packed = first * 8 + second", aliases=("shifted_by_three",)),
    KnownMistake("last_of_odd_count_dropped", "With an odd number of codes the last one is dropped. Pad before packing.",
        pack, FIRST, "first = codes[0 : len(codes) // 2 * 2 : 2]", also=(Edit(pack, SECOND, "second = codes[1::2]"), Edit(dequantize, BACK, "codes = torch.cat([unpack(packed), packed.new_full((1,), 7).long()])[:numel]")), aliases=("odd_number_dropped",)),
    KnownMistake("odd_count_padded_in_front", "An odd number of codes is padded in front: every code moves by one nibble. Pad at the end.",
        pack, "filled = torch.cat([codes, codes.new_zeros(codes.numel() % 2)])", "filled = torch.cat([codes.new_zeros(codes.numel() % 2), codes])", aliases=("odd_number_shifts_the_rest",)),
    KnownMistake("packed_bytes_signed", "The packed bytes are signed: the right shift extends the sign into the high nibble. Use uint8.",
        unpack, "first = packed // 16", "first = (packed.view(torch.int8) >> 4).long() % 8", aliases=("signed_bytes",)),
    # dequantizing
    KnownMistake("scales_interleaved", "Scales are assigned to single values in turn. Scale k belongs to block k.",
        dequantize, OWNER, "owner = torch.arange(numel, device=codes.device) % scales.numel()", seen_in=("1bit-MONSTER/1bit-MONSTER#153",)),
    KnownMistake("first_scale_for_all", "The scale of the first block is used for every block.", dequantize, OWNER, "owner = torch.zeros_like(codes)"),
    KnownMistake("divided_by_the_scale", "dequantize() divides by the scale. It must multiply.", dequantize, SCALED, "scaled = values / scales[owner]"),
    KnownMistake("scale_twice", "dequantize() multiplies by the scale twice.", dequantize, SCALED, "scaled = values * scales[owner] * scales[owner]", aliases=("double_scale",)),
    KnownMistake("codebook_not_used", "The code itself, an integer 0..15, is scaled. Look up its value in the codebook.",
        dequantize, VALUES, "values = (codes.to(scales.dtype) - 8) / 7", aliases=("codes_not_looked_up",)),
    KnownMistake("shape_forgotten", "dequantize() returns a flat tensor. The result must have the shape of x.", dequantize, RESULT, "return scaled"),
    KnownMistake("result_in_float16", "The result is float16 whatever the input dtype: values above 65504 or below 6e-8 are lost.",
        dequantize, SCALED, "scaled = (values * scales[owner]).to(torch.float16)", aliases=("float16_comes_back",)),
    # double quantization
    KnownMistake("double_ignored", "double=True is ignored: the scales are not quantized.", quantize, KEPT, "return packed, scale", aliases=("double_not_heard",)),
    KnownMistake("scale_mean_not_added_back", "The mean of the scales is subtracted before they are quantized. It is never added back.",
        dequantize_scales, RESTORED, "return centred", aliases=("offset_forgotten",)),
    KnownMistake("scale_mean_in_float16", "The mean of the scales is stored in float16: it is 0 below 6e-8 and infinite above 65504.",
        quantize_scales, MEAN, "mean = scale.mean().to(torch.float16).to(scale.dtype)",
        also=(Edit(quantize_scales, CENTRED, "centred = scale - scale.mean()"),),
        seen_in=("bitsandbytes-foundation/bitsandbytes@c00402f17e0483ede3fa841f6c4e0031a4f72a34", "bitsandbytes-foundation/bitsandbytes@99e0b0ceef641a28af204c721e55ec74b62807f0"), aliases=("offset_in_float16",)),
    KnownMistake("scales_quantized_too_coarsely", "The scales are quantized to four bits or fewer. Use eight: a wrong scale affects every value of its block.",
        quantize_scales, CENTRED, "centred = scale - mean\nstep = centred.abs().amax() / 2\ncentred = (centred / step).round() * step", aliases=("four_bits_for_scales_too",)),
    KnownMistake("scale_mean_added_in_place", "dequantize() adds the mean to the stored scales in place: the second call adds it twice.",
        dequantize_scales, RESTORED, "again.add_(mean / 127)\nreturn centred + mean",
        seen_in=("bitsandbytes-foundation/bitsandbytes@2fb212bdf983891451db73a4c4bef6c91ec0786d",), aliases=("scales_restored_in_place",)),
    # NaN, state
    KnownMistake("nan_spreads_to_all_blocks", "One NaN turns every value into 0. Raise an error, or keep it in its own block.",
        quantize, REFUSED, "x = x if bool(torch.isfinite(x).all()) else torch.zeros_like(x)", aliases=("nan_everywhere",)),
    KnownMistake("scale_cached_across_calls", "The scales of the first call are cached and reused for every later tensor of the same size.",
        quantize, DIVISOR, 'scale = self.__dict__.setdefault(rows.shape, scale)\ndivisor = torch.where(scale > 0, scale, torch.ones_like(scale))', aliases=("first_scale_kept",)),
    KnownMistake("scale_of_the_last_call_used", "dequantize() uses the scales of the last quantize() call of this object. Use the scales it is given.",
        quantize, PACKED, "packed = pack(codes)\nself.last_scale = scale",
        also=(Edit(dequantize, SCALES, 'scales = getattr(self, "last_scale", dequantize_scales(*scale) if isinstance(scale, tuple) else scale)'),), aliases=("own_scale_used",)),
)
