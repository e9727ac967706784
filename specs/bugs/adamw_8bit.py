"""Known mistakes in storing AdamW's moments in eight bits; mistakes in the step itself belong to AdamW."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.adamw_8bit import adamw_8bit, packed, unpacked

UPDATE = adamw_8bit.update
FIRST_KEPT, SECOND_KEPT = "self.first[place] = packed(self.first[place], True)", "self.second[place] = packed(self.second[place], False)"
FIRST_USED = "self.first[place] = unpacked(self.first[place], like, True)"
SECOND_USED = "self.second[place] = unpacked(self.second[place], like, False)"
STEP = "adamw.update(self, place, grad, group)"
SCALES = "scales = blocks.abs().amax(-1)"
CODES = "codes = torch.bucketize(shares, middles).to(torch.uint8)"
BOOK = "codebook = dynamic_map(signed).to(moment.device, moment.dtype)"
VALUES = "values = shares * wide[: shares.numel()]"
WIDE = "wide = scales.to(like.dtype).repeat_interleave(BLOCK)"
SHARES = "shares = dynamic_map(signed).to(like.device, like.dtype)[codes.long()]"

MISTAKES = (
    KnownMistake("moments_not_quantized", "The moments are stored in full precision beside their codes or instead of them: no memory is saved.",
        packed, "if moment.numel() < SMALLEST:", "if True:", seen_in=("ooples/AiDotNet#1238",),
        unnamed_because="its numbers are those of the 32-bit optimiser; only its memory use differs, which the diagnosis does not measure", aliases=("moments_not_quantised",)),
    KnownMistake("parameters_quantized_too", "The parameters are quantized too. Only the moments must be.",
        UPDATE, SECOND_KEPT, SECOND_KEPT + "\nself.params[place] = unpacked(packed(self.params[place], True), like, True)", aliases=("quantised_parameters",)),
    KnownMistake("first_moment_unsigned", "The first moment is quantized with the unsigned codebook: negative values become 0.",
        UPDATE, FIRST_KEPT, "self.first[place] = packed(self.first[place], False)",
        also=(Edit(UPDATE, FIRST_USED, "self.first[place] = unpacked(self.first[place], like, False)"),), aliases=("signs_of_the_first_moment_lost",)),
    KnownMistake("codebooks_do_not_match", "The second moment is quantized with the signed codebook and dequantized with the unsigned one.",
        UPDATE, SECOND_KEPT, "self.second[place] = packed(self.second[place], True)", aliases=("packed_and_unpacked_with_other_maps",)),
    KnownMistake("moments_exchanged", "The two moments are exchanged when they are quantized.",
        UPDATE, FIRST_KEPT, "self.first[place], self.second[place] = packed(self.second[place], True), self.first[place]"),
    KnownMistake("block_scales_ignored", "The codes are looked up in the codebook but not multiplied by their block's scale.", unpacked, VALUES, "values = shares * (wide[: shares.numel()] > 0)", aliases=("scales_not_used",)),
    KnownMistake("one_scale_for_all", "One scale, the largest absolute value of the whole tensor, is used for every block: a single outlier costs all blocks their precision.",
        packed, SCALES, "scales = blocks.abs().amax().expand(len(blocks)).clone()"),
    KnownMistake("maximum_without_absolute_value", "A block's scale is its largest value, not its largest absolute value: larger negative values are clipped.",
        packed, SCALES, "scales = blocks.amax(-1).clamp(min=0)", aliases=("scales_of_signed_numbers",)),
    KnownMistake("mean_for_maximum", "A block's scale is its mean absolute value: everything above it is clipped.", packed, SCALES, "scales = blocks.abs().mean(-1)", aliases=("scales_by_the_mean",)),
    KnownMistake("scales_off_by_one_block", "Every block is dequantized with the scale of the block before it.", unpacked, WIDE,
        "wide = scales.roll(1).to(like.dtype).repeat_interleave(BLOCK) * torch.linspace(0.5, 1.5, len(scales), dtype=like.dtype).repeat_interleave(BLOCK)", aliases=("scales_shifted",)),
    KnownMistake("last_block_dropped", "The last, incomplete block is not stored: its values come back as 0.", unpacked, VALUES,
        "values = shares * wide[: shares.numel()]\nvalues[values.numel() // BLOCK * BLOCK :] = 0", aliases=("last_block_lost",)),
    KnownMistake("no_code_for_zero", "No code stands for 0: parameters that never get a gradient drift.",
        packed, CODES, CODES + "\ncodes = torch.where(codes == int((codebook == 0).nonzero()[0]), codes + 1, codes)"),
    KnownMistake("rounded_down", "The next lower code is chosen, not the nearest.", packed, CODES,
        "codes = (torch.bucketize(shares, codebook, right=True) - 1).clamp(min=0).to(torch.uint8)"),
    KnownMistake("linear_codes_read_as_dynamic", "The codes are evenly spaced but are looked up in the dynamic codebook.", packed, BOOK,
        "codebook = torch.linspace(float(dynamic_map(signed)[0]), 1, 256, dtype=moment.dtype)", aliases=("even_steps_read_as_dynamic",)),
    KnownMistake("only_four_bits_used", "Only four of the eight bits are used: 16 codes.", packed, CODES, CODES + "\ncodes = codes // 16 * 16", aliases=("sixteen_codes",)),
    KnownMistake("gradient_read_in_memory_order", "The gradient is read in memory order: a transposed (non-contiguous) gradient updates the wrong elements.",
        UPDATE, STEP, "adamw.update(self, place, grad.as_strided(grad.shape, like.stride()), group)",
        seen_in=("bitsandbytes-foundation/bitsandbytes@a3f55cea3ab29218067809770bc8bf2380ec46cd", "bitsandbytes-foundation/bitsandbytes#1185")),
    KnownMistake("settings_of_the_first_group", "The settings of the first parameter group are used for all groups.", UPDATE, STEP, "adamw.update(self, place, grad, self.groups[0])"),
    KnownMistake("lr_cached_across_steps", "The learning rate of the first step is cached and reused: a schedule has no effect.", UPDATE, STEP,
        'adamw.update(self, place, grad, {**group, "lr": self.__dict__.setdefault("rates", {}).setdefault(place, group["lr"])})', aliases=("first_rate_kept",)),
    KnownMistake("missing_gradient_is_zero", "A missing gradient is treated as zeros: momentum and decay change a parameter that took no part.",
        adamw_8bit.step, "if grad is None:\n    continue", "if grad is None:\n    grad = torch.zeros_like(self.params[place])",
        looks_like=("adamw.missing_gradient_is_zero",)),
    KnownMistake("scales_not_saved", "The saved state holds the codes without their scales: a resumed run starts with moments of the wrong size.",
        adamw_8bit.state, "return copy.deepcopy(saved)",
        'copied = copy.deepcopy(saved)\nfor kept in (*copied["first"], *copied["second"]):\n    kept[1].fill_(1.0) if isinstance(kept, tuple) else None\nreturn copied'),
    KnownMistake("second_moment_not_loaded", "load() leaves the second moment at zero.", adamw_8bit.load, 'self.second = copy.deepcopy(list(state["second"]))', "pass"),
    KnownMistake("second_moment_not_kept", "The second moment starts from zeros at every step.", UPDATE, SECOND_USED,
        "self.second[place] = torch.zeros_like(like)", aliases=("second_moment_forgotten",)),
)
