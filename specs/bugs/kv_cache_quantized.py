"""Known mistakes in quantized key-value caches."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.kv_cache_quantized import (
    appended,
    dequantize_vectors,
    kv_cache_quantized,
    pack,
    quantize_vectors,
    unpack,
)

extend, contents = kv_cache_quantized.extend, kv_cache_quantized.contents

LOWEST, HIGHEST = "lowest = x.amin(-1, keepdim=True)", "highest = x.amax(-1, keepdim=True)"
LEVELS = "levels = 2**bits - 1"
STEP = "step = (highest - lowest) / levels"
GUARD = "step = torch.where(step > 0, step, torch.ones_like(step))"
CODES = "codes = torch.round((x - lowest) / step)"
WHOLE = "whole = codes.clamp(0, levels).to(torch.int32)"
PACKED = "return pack(whole, bits), step, lowest"
BACK = "return codes.to(step.dtype) * step + lowest"
NEW_KEYS, NEW_VALUES = "new_keys = quantize_vectors(k, self.bits)", "new_values = quantize_vectors(v, self.bits)"
KEEP_KEYS, KEEP_VALUES = "self.keys = appended(self.keys, new_keys)", "self.values = appended(self.values, new_values)"
GIVEN = "self.given = stop"
FULL = "if stop > self.context:"
HIDDEN = "hidden = everywhere.triu(diagonal=start + 1)"
VALUES = "values = dequantize_vectors(*self.values, self.bits, self.head_size)"
ROW = "row = ones.flatten(-2)"
CAT = "packed, step, lowest = (torch.cat([before, after], 2) for before, after in zip(held, new, strict=True))"

MISTAKES = (
    # rounding
    KnownMistake("rounded_down", "The codes are truncated, not rounded: values come back up to one step too small.",
        quantize_vectors, CODES, "codes = torch.floor((x - lowest) / step)"),
    KnownMistake("range_divided_by_number_of_codes", "The range is divided by the number of levels. 2^bits levels have 2^bits - 1 steps between them.",
        quantize_vectors, STEP, "step = (highest - lowest) / (levels + 1)", aliases=("one_level_too_many",)),
    KnownMistake("one_bit_too_few", "Only half of the levels are used, 2^(bits - 1) - 1, as if one bit were the sign.",
        quantize_vectors, LEVELS, "levels = 2 ** (bits - 1) - 1", aliases=("one_bit_less",)),
    KnownMistake("clamped_to_half_the_levels", "Unsigned codes are clamped at half of the levels, as if they were signed: the upper half is clipped.",
        quantize_vectors, WHOLE, "whole = codes.clamp(0, levels // 2).to(torch.int32)", aliases=("not_clamped_for_signed_codes",)),
    KnownMistake("range_from_zero", "The range starts at 0: negative values are clipped.", quantize_vectors, LOWEST, "lowest = torch.zeros_like(x.amin(-1, keepdim=True))"),
    KnownMistake("range_to_the_largest_absolute", "The range starts at the smallest value, but its end is computed from the largest absolute value: the steps are far too wide.",
        quantize_vectors, HIGHEST, "highest = 2 * x.abs().amax(-1, keepdim=True) - lowest"),
    KnownMistake("scale_without_guard", "A vector of equal values has a range of 0, and its zero point 0 / 0 is nan.",
        quantize_vectors, GUARD, "zero = torch.round(lowest / step)",
        also=(Edit(quantize_vectors, CODES, "codes = torch.round(x / step) - zero"), Edit(quantize_vectors, PACKED, "return pack(whole, bits), step, zero * step")), aliases=("no_guard",)),
    KnownMistake("small_steps_clamped", "The guard against a step of 0 clamps every step to at least 0.1: small vectors collapse.",
        quantize_vectors, GUARD, "step = step.clamp(min=1e-1)", aliases=("small_steps_lifted",)),
    # which values share a range
    KnownMistake("range_shared_by_positions", "All positions of a chunk share one range: one large key makes the steps of the others too wide.",
        quantize_vectors, LOWEST, "lowest = x.amin((-2, -1), keepdim=True).expand(*x.shape[:-1], 1)",
        also=(Edit(quantize_vectors, HIGHEST, "highest = x.amax((-2, -1), keepdim=True).expand(*x.shape[:-1], 1)"),), aliases=("levels_shared_by_positions",)),
    KnownMistake("range_shared_by_heads", "All heads share one range. Every head must have its own.",
        quantize_vectors, LOWEST, "lowest = x.amin((1, -1), keepdim=True).expand(*x.shape[:-1], 1)",
        also=(Edit(quantize_vectors, HIGHEST, "highest = x.amax((1, -1), keepdim=True).expand(*x.shape[:-1], 1)"),), aliases=("levels_shared_by_heads",)),
    KnownMistake("range_shared_by_the_batch", "All rows of the batch share one range: one large row makes the steps of the others too wide.",
        quantize_vectors, LOWEST, "lowest = x.amin((0, -1), keepdim=True).expand(*x.shape[:-1], 1)",
        also=(Edit(quantize_vectors, HIGHEST, "highest = x.amax((0, -1), keepdim=True).expand(*x.shape[:-1], 1)"),), aliases=("levels_shared_by_the_batch",)),
    KnownMistake("range_of_the_prefill_reused", "The range of the prefill is reused for every later step: values outside it are clipped.",
        extend, NEW_KEYS, """
        first = self.keys
        new_keys = quantize_vectors(k, self.bits)
        if first is not None:
            step, lowest = (t[:, :, :1] for t in first[1:])
            codes = torch.round((k - lowest) / step).clamp(0, 2**self.bits - 1).to(torch.int32)
            new_keys = (pack(codes, self.bits), *(t.expand(-1, -1, time, -1) for t in (step, lowest)))
        """, aliases=("range_of_the_prefill_kept",)),
    # dequantizing
    KnownMistake("minimum_not_added_back", "The minimum is not added back when dequantizing: every vector is offset.", dequantize_vectors, BACK, "return codes.to(step.dtype) * step", aliases=("lowest_forgotten",)),
    KnownMistake("minimum_subtracted", "The minimum is subtracted when dequantizing. It must be added.", dequantize_vectors, BACK, "return codes.to(step.dtype) * step - lowest", aliases=("lowest_taken_off",)),
    KnownMistake("divided_by_the_step", "The codes are divided by the step. Multiply by it.", dequantize_vectors, BACK, "return codes.to(step.dtype) / step + lowest"),
    KnownMistake("ranges_of_the_keys_for_values", "The values are dequantized with the ranges of the keys.",
        contents, VALUES, "values = dequantize_vectors(self.values[0], *self.keys[1:], self.bits, self.head_size)"),
    KnownMistake("steps_rounded_down", "The steps are stored rounded down: the largest codes come back too small.",
        quantize_vectors, PACKED, "return pack(whole, bits), step * 0.9, lowest"),
    KnownMistake("keys_in_two_bits", "The keys are always stored in two bits. The bits argument is ignored.", extend, NEW_KEYS,
        "new_keys = quantize_vectors(k, self.bits)\nnew_keys = (pack((unpack(new_keys[0], self.bits, self.head_size) >> self.bits - 2) << self.bits - 2, self.bits), *new_keys[1:])"),
    # packing
    KnownMistake("bit_order_reversed", "Bits are packed lowest first and unpacked highest first.", unpack, "worth = 2 ** torch.arange(bits, device=packed.device)",
        "worth = 2 ** torch.arange(bits, device=packed.device).flip(0)", aliases=("packed_the_other_way_round",)),
    KnownMistake("bits_in_byte_reversed", "The bits of each byte are read in reverse: in 4 bits, neighbours are exchanged.",
        unpack, "places = torch.arange(8, device=packed.device)", "places = torch.arange(8, device=packed.device).flip(0)", aliases=("bytes_read_the_other_way_round",)),
    KnownMistake("last_byte_dropped", "Bits that do not fill a byte are dropped: the last features of a vector come back as its minimum.",
        pack, ROW, "row = ones.flatten(-2)\nrow[..., row.shape[-1] // 8 * 8 :] = 0"),
    KnownMistake("padded_in_front", "The last byte is padded in front, but read as if it were padded at the end.",
        pack, "filled = torch.nn.functional.pad(row, (0, -row.shape[-1] % 8))", "filled = torch.nn.functional.pad(row, (-row.shape[-1] % 8, 0))", aliases=("filled_up_in_front",)),
    # the cache
    KnownMistake("only_last_chunk_cached", "Only the last chunk is cached. Everything before it is lost.",
        appended, CAT, "packed, step, lowest = (torch.cat([torch.zeros_like(before), after], 2) for before, after in zip(held, new, strict=True))", aliases=("last_piece_alone_is_kept",)),
    KnownMistake("prepended_to_cache", "New positions are prepended to the cache. They must be appended.", appended, CAT,
        "packed, step, lowest = (torch.cat([after, before], 2) for before, after in zip(held, new, strict=True))", aliases=("put_in_front",)),
    KnownMistake("ranges_not_appended", "The codes are appended but their ranges are not: all positions use the range of the first.",
        appended, CAT, "packed, step, lowest = (torch.cat([held[0], new[0]], 2), *(t[:, :, :1].expand(-1, -1, held[0].shape[2] + new[0].shape[2], -1) for t in held[1:]))", aliases=("ranges_of_the_first_piece",)),
    KnownMistake("keys_and_values_exchanged", "Keys are cached as values, and values as keys.", extend, KEEP_KEYS, "self.keys = appended(self.keys, new_values)",
        also=(Edit(extend, KEEP_VALUES, "self.values = appended(self.values, new_keys)"),)),
    KnownMistake("mask_ignores_cache_offset", "The mask of new positions starts at row 0: they see only the first keys. Row i belongs to position start + i.", extend, HIDDEN, "hidden = everywhere.triu(diagonal=1)", aliases=("mask_rows_from_zero",)),
    KnownMistake("no_mask_after_first_chunk", "There is no mask once the cache holds something: several new positions at once see each other's future.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=1) if start == 0 else torch.zeros_like(everywhere)", aliases=("no_mask_in_later_pieces",)),
    KnownMistake("unscaled", "The scores are not divided by sqrt(K), the root of the head size.", extend, "scale = 1.0 / math.sqrt(self.head_size)", "scale = 1.0"),
    KnownMistake("cache_shared_by_all_instances", "All caches share one storage: a second sequence is appended to the first.",
        extend, KEEP_KEYS, "held = kv_cache_quantized.extend.__dict__.setdefault('held', {}) if start else kv_cache_quantized.extend.__dict__.update(held={}) or "
        "kv_cache_quantized.extend.__dict__['held']\nself.keys = held['keys'] = appended(held.get('keys'), new_keys)",
        also=(Edit(extend, KEEP_VALUES, "self.values = held['values'] = appended(held.get('values'), new_values)"),), aliases=("shared_by_all_objects",)),
    KnownMistake("context_limit_not_enforced", "The context limit is not enforced: the cache grows beyond it.", extend, FULL, "if False:", aliases=("grows_without_end",)),
    KnownMistake("length_of_the_last_chunk", "length() returns the length of the last chunk. It must count all cached positions.", kv_cache_quantized.length, "return self.given",
        "return getattr(self, 'last', 0)",
        also=(Edit(extend, GIVEN, "self.given, self.last = stop, time"),), aliases=("length_is_that_of_the_last_piece",)),
    KnownMistake("reset_keeps_the_keys", "reset() sets the count to 0 but keeps the keys and values.",
        kv_cache_quantized.reset, "self.keys = None", "pass", also=(Edit(kv_cache_quantized.reset, "self.values = None", "pass"),)),
)
