"""Known mistakes in keeping AdamW's moments in eight bits; those of the step itself are AdamW's."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.adamw_8bit import adamw_8bit, packed, unpacked

UPDATE = adamw_8bit.update
FIRST_KEPT, SECOND_KEPT = "self.first[place] = packed(self.first[place], True)", "self.second[place] = packed(self.second[place], False)"
FIRST_USED = "self.first[place] = unpacked(self.first[place], like, True)"
SECOND_USED = "self.second[place] = unpacked(self.second[place], like, False)"
STEP = "adamw.update(self, place, grad, group)"
SCALES = "scales = blocks.abs().amax(-1)"
CODES = "codes = torch.bucketize(shares, middles).to(torch.uint8)"
BOOK = "codebook = MAPS[signed].to(moment.device, moment.dtype)"
VALUES = "values = shares * wide[: shares.numel()]"
WIDE = "wide = scales.to(like.dtype).repeat_interleave(BLOCK)"
SHARES = "shares = MAPS[signed].to(like.device, like.dtype)[codes.long()]"

MISTAKES = (
    KnownMistake("moments_not_quantised", "The moments are kept in full beside their codes, or in place of them: nothing is saved.",
        packed, "if moment.numel() < SMALLEST:", "if True:", seen_in=("ooples/AiDotNet#1238",),
        unnamed_because="its numbers are those of the 32-bit optimiser; only its memory tells, of which a diagnosis knows nothing"),
    KnownMistake("quantised_parameters", "The parameters are quantized too; only the moments are.",
        UPDATE, SECOND_KEPT, SECOND_KEPT + "\nself.params[place] = unpacked(packed(self.params[place], True), like, True)"),
    KnownMistake("signs_of_the_first_moment_lost", "The first moment is kept with the map without signs: what is negative becomes 0.",
        UPDATE, FIRST_KEPT, "self.first[place] = packed(self.first[place], False)",
        also=(Edit(UPDATE, FIRST_USED, "self.first[place] = unpacked(self.first[place], like, False)"),)),
    KnownMistake("packed_and_unpacked_with_other_maps", "The second moment is packed with one map and unpacked with the other.",
        UPDATE, SECOND_KEPT, "self.second[place] = packed(self.second[place], True)"),
    KnownMistake("moments_exchanged", "The moments are exchanged when they are packed.",
        UPDATE, FIRST_KEPT, "self.first[place], self.second[place] = packed(self.second[place], True), self.first[place]"),
    KnownMistake("scales_not_used", "The codes are looked up and not multiplied by their scales.", unpacked, VALUES, "values = shares * (wide[: shares.numel()] > 0)"),
    KnownMistake("one_scale_for_all", "The largest number of the whole tensor scales every block: one outlier takes the digits of all.",
        packed, SCALES, "scales = blocks.abs().amax().expand(len(blocks)).clone()"),
    KnownMistake("scales_of_signed_numbers", "The largest number scales a block, not the largest absolute one: what is more negative is cut off.",
        packed, SCALES, "scales = blocks.amax(-1).clamp(min=0)"),
    KnownMistake("scales_by_the_mean", "The mean absolute value scales a block: everything above it is cut off.", packed, SCALES, "scales = blocks.abs().mean(-1)"),
    KnownMistake("scales_shifted", "Every block is unpacked with the scale of the block before it.", unpacked, WIDE,
        "wide = scales.roll(1).to(like.dtype).repeat_interleave(BLOCK) * torch.linspace(0.5, 1.5, len(scales), dtype=like.dtype).repeat_interleave(BLOCK)"),
    KnownMistake("last_block_lost", "The last, shorter block is not kept.", unpacked, VALUES,
        "values = shares * wide[: shares.numel()]\nvalues[values.numel() // BLOCK * BLOCK :] = 0"),
    KnownMistake("no_code_for_zero", "0 has no code of its own: numbers that never have a gradient drift.",
        packed, CODES, CODES + "\ncodes = torch.where(codes == int((codebook == 0).nonzero()[0]), codes + 1, codes)"),
    KnownMistake("rounded_down", "The next lower code is taken, not the nearest.", packed, CODES,
        "codes = (torch.bucketize(shares, codebook, right=True) - 1).clamp(min=0).to(torch.uint8)"),
    KnownMistake("even_steps_read_as_dynamic", "The codes are even steps and are looked up in the dynamic map.", packed, BOOK,
        "codebook = torch.linspace(float(MAPS[signed][0]), 1, 256, dtype=moment.dtype)"),
    KnownMistake("sixteen_codes", "Only four of the eight bits are used.", packed, CODES, CODES + "\ncodes = codes // 16 * 16"),
    KnownMistake("gradient_read_in_memory_order", "The gradient is read in the order of its memory: a transposed one gives every number another's step.",
        UPDATE, STEP, "adamw.update(self, place, grad.as_strided(grad.shape, like.stride()), group)",
        seen_in=("bitsandbytes-foundation/bitsandbytes@a3f55cea3ab29218067809770bc8bf2380ec46cd", "bitsandbytes-foundation/bitsandbytes#1185")),
    KnownMistake("settings_of_the_first_group", "The settings of the first group serve for all.", UPDATE, STEP, "adamw.update(self, place, grad, self.groups[0])"),
    KnownMistake("first_rate_kept", "The learning rate of the first step is kept for ever.", UPDATE, STEP,
        'adamw.update(self, place, grad, {**group, "lr": self.__dict__.setdefault("rates", {}).setdefault(place, group["lr"])})'),
    KnownMistake("missing_gradient_is_zero", "A missing gradient is taken for zeros: momentum and decay move a parameter that took no part.",
        adamw_8bit.step, "if grad is None:\n    continue", "if grad is None:\n    grad = torch.zeros_like(self.params[place])",
        looks_like=("adamw.missing_gradient_is_zero",)),
    KnownMistake("scales_not_saved", "The saved state holds codes without their scales: a resumed run begins with moments of another size.",
        adamw_8bit.state, "return copy.deepcopy(saved)",
        'copied = copy.deepcopy(saved)\nfor kept in (*copied["first"], *copied["second"]):\n    kept[1].fill_(1.0) if isinstance(kept, tuple) else None\nreturn copied'),
    KnownMistake("second_moment_not_loaded", "load() leaves the second moment at zero.", adamw_8bit.load, 'self.second = copy.deepcopy(list(state["second"]))', "pass"),
    KnownMistake("second_moment_forgotten", "The second moment is packed from zeros at every step.", UPDATE, SECOND_USED,
        "self.second[place] = torch.zeros_like(like)"),
)
