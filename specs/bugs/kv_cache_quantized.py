"""Known mistakes in caches of keys and values in a few bits."""

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
    KnownMistake("rounded_down", "The codes are cut off, not rounded: numbers come back up to a whole step too small.",
        quantize_vectors, CODES, "codes = torch.floor((x - lowest) / step)"),
    KnownMistake("one_level_too_many", "The range is cut in 2^bits steps; 2^bits levels have one step less between them.",
        quantize_vectors, STEP, "step = (highest - lowest) / (levels + 1)"),
    KnownMistake("one_bit_less", "Only half of the levels are used: 2^(bits - 1) - 1, as if one bit were the sign's.",
        quantize_vectors, LEVELS, "levels = 2 ** (bits - 1) - 1"),
    KnownMistake("not_clamped_for_signed_codes", "Codes are shifted by half of the levels and clamped as if they were not: one half is cut off.",
        quantize_vectors, WHOLE, "whole = codes.clamp(0, levels // 2).to(torch.int32)"),
    KnownMistake("range_from_zero", "The range starts at 0: negative numbers are cut off.", quantize_vectors, LOWEST, "lowest = torch.zeros_like(x.amin(-1, keepdim=True))"),
    KnownMistake("range_to_the_largest_absolute", "The range ends at the largest absolute value but starts at the smallest number: steps are too wide by far.",
        quantize_vectors, HIGHEST, "highest = 2 * x.abs().amax(-1, keepdim=True) - lowest"),
    KnownMistake("no_guard", "A vector whose numbers are all the same has no range, and its zero point 0 / 0 is nan.",
        quantize_vectors, GUARD, "zero = torch.round(lowest / step)",
        also=(Edit(quantize_vectors, CODES, "codes = torch.round(x / step) - zero"), Edit(quantize_vectors, PACKED, "return pack(whole, bits), step, zero * step"))),
    KnownMistake("small_steps_lifted", "The guard against a range of 0 lifts every step to 1e-1 at least: small vectors collapse.",
        quantize_vectors, GUARD, "step = step.clamp(min=1e-1)"),
    # whose range
    KnownMistake("levels_shared_by_positions", "All positions of a piece share one range: one large key makes the others' steps too wide.",
        quantize_vectors, LOWEST, "lowest = x.amin((-2, -1), keepdim=True).expand(*x.shape[:-1], 1)",
        also=(Edit(quantize_vectors, HIGHEST, "highest = x.amax((-2, -1), keepdim=True).expand(*x.shape[:-1], 1)"),)),
    KnownMistake("levels_shared_by_heads", "All heads share one range; every head has its own.",
        quantize_vectors, LOWEST, "lowest = x.amin((1, -1), keepdim=True).expand(*x.shape[:-1], 1)",
        also=(Edit(quantize_vectors, HIGHEST, "highest = x.amax((1, -1), keepdim=True).expand(*x.shape[:-1], 1)"),)),
    KnownMistake("levels_shared_by_the_batch", "All rows of the batch share one range: a large row spoils the others.",
        quantize_vectors, LOWEST, "lowest = x.amin((0, -1), keepdim=True).expand(*x.shape[:-1], 1)",
        also=(Edit(quantize_vectors, HIGHEST, "highest = x.amax((0, -1), keepdim=True).expand(*x.shape[:-1], 1)"),)),
    KnownMistake("range_of_the_prefill_kept", "The range found in the prefill is used for every later step: what lies outside is cut off.",
        extend, NEW_KEYS, """
        first = self.keys
        new_keys = quantize_vectors(k, self.bits)
        if first is not None:
            step, lowest = (t[:, :, :1] for t in first[1:])
            codes = torch.round((k - lowest) / step).clamp(0, 2**self.bits - 1).to(torch.int32)
            new_keys = (pack(codes, self.bits), *(t.expand(-1, -1, time, -1) for t in (step, lowest)))
        """),
    # back
    KnownMistake("lowest_forgotten", "The smallest number is not added back: everything is shifted.", dequantize_vectors, BACK, "return codes.to(step.dtype) * step"),
    KnownMistake("lowest_taken_off", "The smallest number is taken off; it must be added back.", dequantize_vectors, BACK, "return codes.to(step.dtype) * step - lowest"),
    KnownMistake("divided_by_the_step", "Codes are divided by the step; they must be multiplied by it.", dequantize_vectors, BACK, "return codes.to(step.dtype) / step + lowest"),
    KnownMistake("ranges_of_the_keys_for_values", "The values come back with the ranges of the keys.",
        contents, VALUES, "values = dequantize_vectors(self.values[0], *self.keys[1:], self.bits, self.head_size)"),
    KnownMistake("steps_rounded_down", "The steps are rounded down to two digits: the largest codes come back too small.",
        quantize_vectors, PACKED, "return pack(whole, bits), step * 0.9, lowest"),
    KnownMistake("keys_in_two_bits", "The keys are kept in two bits whatever is asked for.", extend, NEW_KEYS,
        "new_keys = quantize_vectors(k, self.bits)\nnew_keys = (pack((unpack(new_keys[0], self.bits, self.head_size) >> self.bits - 2) << self.bits - 2, self.bits), *new_keys[1:])"),
    # packing
    KnownMistake("packed_the_other_way_round", "Bits are packed lowest first and read highest first.", unpack, "worth = 2 ** torch.arange(bits, device=packed.device)",
        "worth = 2 ** torch.arange(bits, device=packed.device).flip(0)"),
    KnownMistake("bytes_read_the_other_way_round", "The bits of each byte are read from the other end: in 4 bits, neighbours change places.",
        unpack, "places = torch.arange(8, device=packed.device)", "places = torch.arange(8, device=packed.device).flip(0)"),
    KnownMistake("last_byte_dropped", "What does not fill a byte is left out: the last features of a vector come back as its smallest number.",
        pack, ROW, "row = ones.flatten(-2)\nrow[..., row.shape[-1] // 8 * 8 :] = 0"),
    KnownMistake("filled_up_in_front", "The last byte is filled up in front, and read as if it were filled up behind.",
        pack, "filled = torch.nn.functional.pad(row, (0, -row.shape[-1] % 8))", "filled = torch.nn.functional.pad(row, (-row.shape[-1] % 8, 0))"),
    # the cache
    KnownMistake("last_piece_alone_is_kept", "Only the last piece is held, in place of all that was before.",
        appended, CAT, "packed, step, lowest = (torch.cat([torch.zeros_like(before), after], 2) for before, after in zip(held, new, strict=True))"),
    KnownMistake("put_in_front", "New positions are put in front of those that are held.", appended, CAT,
        "packed, step, lowest = (torch.cat([after, before], 2) for before, after in zip(held, new, strict=True))"),
    KnownMistake("ranges_of_the_first_piece", "The codes are appended, their ranges are not: all positions use those of the first.",
        appended, CAT, "packed, step, lowest = (torch.cat([held[0], new[0]], 2), *(t[:, :, :1].expand(-1, -1, held[0].shape[2] + new[0].shape[2], -1) for t in held[1:]))"),
    KnownMistake("keys_and_values_exchanged", "Keys are held as values and values as keys.", extend, KEEP_KEYS, "self.keys = appended(self.keys, new_values)",
        also=(Edit(extend, KEEP_VALUES, "self.values = appended(self.values, new_keys)"),)),
    KnownMistake("mask_rows_from_zero", "The mask of new positions is cut from row 0: they see the first keys alone.", extend, HIDDEN, "hidden = everywhere.triu(diagonal=1)"),
    KnownMistake("no_mask_in_later_pieces", "Where something is held already there is no mask: several positions at once see each other's future.",
        extend, HIDDEN, "hidden = everywhere.triu(diagonal=1) if start == 0 else torch.zeros_like(everywhere)"),
    KnownMistake("unscaled", "The scores are not divided by the root of the head size.", extend, "scale = 1.0 / math.sqrt(self.head_size)", "scale = 1.0"),
    KnownMistake("shared_by_all_objects", "All caches keep their keys and values in one place: a second sequence comes behind the first.",
        extend, KEEP_KEYS, "held = kv_cache_quantized.extend.__dict__.setdefault('held', {}) if start else kv_cache_quantized.extend.__dict__.update(held={}) or "
        "kv_cache_quantized.extend.__dict__['held']\nself.keys = held['keys'] = appended(held.get('keys'), new_keys)",
        also=(Edit(extend, KEEP_VALUES, "self.values = held['values'] = appended(held.get('values'), new_values)"),)),
    KnownMistake("grows_without_end", "Nothing is refused: the cache grows beyond its context.", extend, FULL, "if False:"),
    KnownMistake("length_is_that_of_the_last_piece", "length() is the length of the last piece.", kv_cache_quantized.length, "return self.given",
        "return getattr(self, 'last', 0)",
        also=(Edit(extend, GIVEN, "self.given, self.last = stop, time"),)),
    KnownMistake("reset_keeps_the_keys", "reset() sets the count to 0 and keeps the keys and values.",
        kv_cache_quantized.reset, "self.keys = None", "pass", also=(Edit(kv_cache_quantized.reset, "self.values = None", "pass"),)),
)
