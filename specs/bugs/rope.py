"""Known mistakes in rotary positions."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.rope import rope

SIZE = "size = x.shape[-1] if rotated is None else rotated"
WIDE = "wide = torch.float64 if x.dtype == torch.float64 else torch.float32"
EXPONENTS = "exponents = torch.arange(0, size, 2, dtype=wide, device=x.device) / size"
FREQUENCIES = "frequencies = base**-exponents"
PLACES = "places = positions.to(wide)"
ANGLES = "angles = places.unsqueeze(-1) * frequencies"
SINES = "sines = torch.sin(angles)"
COSINES = "cosines = torch.cos(angles)"
TURNING = "turning, rest = x[..., :size].to(wide), x[..., size:]"
SPLIT = "first, second = turning[..., 0::2], turning[..., 1::2]"
FIRST = "turned_first = first * cosines - second * sines"
SECOND = "turned_second = second * cosines + first * sines"
TURNED = "turned = torch.stack((turned_first, turned_second), -1).flatten(-2)"
RESULT = "return torch.cat((turned.to(x.dtype), rest), -1)"


def _gradient_turned_forwards(x, positions, base=10000.0, rotated=None):
    size = x.shape[-1] if rotated is None else rotated
    if size % 2 or positions.shape[-1] != x.shape[-2]:
        raise ValueError("pairs are turned")
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    angles = positions.to(wide).unsqueeze(-1) * base ** -(torch.arange(0, size, 2, dtype=wide) / size)
    angles = angles.unsqueeze(-3) if positions.dim() > 1 else angles

    def turn(values):
        first, second = values[..., 0:size:2].to(wide), values[..., 1:size:2].to(wide)
        one, other = first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()
        return torch.cat((torch.stack((one, other), -1).flatten(-2).to(values.dtype), values[..., size:]), -1)

    class Turn(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return turn(x)

        @staticmethod
        def backward(ctx, g):
            return turn(g)  # by -angles is right

    return Turn.apply(x)


MISTAKES = (
    # layout
    KnownMistake("pairs_in_halves_frequencies_side_by_side", "Feature i is turned with feature i + K/2 (rotate_half), but the frequencies are repeated side by "
        "side (repeat_interleave): the two of a pair turn differently. rotate_half goes with cat(freqs, freqs).",
        rope, FIRST, "each = angles.repeat_interleave(2, -1)\nfirst, second = turning.chunk(2, -1)\nfast, slow = each.chunk(2, -1)\n"
        "turned_first = first * fast.cos() - second * fast.sin()",
        also=(Edit(rope, SECOND, "turned_second = second * slow.cos() + first * slow.sin()"),
              Edit(rope, TURNED, "turned = torch.cat((turned_first, turned_second), -1)")),
        seen_in=("raiyanyahya/how-to-train-your-gpt#6", "huggingface/transformers#47328", "EleutherAI/gpt-neox#834")),
    KnownMistake("neighbours_with_frequencies_in_halves", "Neighbours are turned together, but the frequencies are those of halves (cat(freqs, freqs)): the two of a "
        "pair turn differently. Neighbours go with repeat_interleave.",
        rope, FIRST, "each = torch.cat((angles, angles), -1)\nodd, even = each[..., 1::2], each[..., 0::2]\n"
        "turned_first = first * even.cos() - second * even.sin()",
        also=(Edit(rope, SECOND, "turned_second = second * odd.cos() + first * odd.sin()"),)),
    KnownMistake("neighbours_come_back_in_halves", "Neighbours are turned together, but come back in halves: the features are in another order.",
        rope, TURNED, "turned = torch.cat((turned_first, turned_second), -1)"),
    KnownMistake("halves_come_back_as_neighbours", "Feature i is turned with feature i + K/2, but they come back as neighbours: the features are in another order.",
        rope, SPLIT, "first, second = turning.chunk(2, -1)"),
    # the turn
    KnownMistake("turned_backwards", "The sign of the sines is wrong: everything is turned backwards.", rope, SINES, "sines = -torch.sin(angles)"),
    KnownMistake("sine_sign_lost", "Both sines are added; in the first of a pair it is subtracted.",
        rope, FIRST, "turned_first = first * cosines + second * sines"),
    KnownMistake("second_from_the_turned_first", "The second of a pair is worked out from the first after it was turned.",
        rope, SECOND, "turned_second = second * cosines + turned_first * sines"),
    KnownMistake("sine_and_cosine_exchanged", "Sines and cosines are exchanged.", rope, SINES, "sines, cosines = torch.cos(angles), torch.sin(angles)"),
    KnownMistake("no_partner", "Every feature is multiplied by its cosine; the sine of its partner is missing.",
        rope, FIRST, "turned_first, sines = first * cosines, 0 * sines"),
    KnownMistake("added", "Sines and cosines are added to the features, as sinusoidal positions are; rotary ones turn.",
        rope, FIRST, "turned_first = first + sines", also=(Edit(rope, SECOND, "turned_second = second + cosines"),)),
    KnownMistake("scaled_by_the_root", "The result is divided by sqrt(K): that belongs to the scores.",
        rope, TURNED, "turned = torch.stack((turned_first, turned_second), -1).flatten(-2) / size**0.5"),
    # frequencies
    KnownMistake("base_fixed", "The base is fixed at 10000; it is an argument.", rope, FREQUENCIES, "frequencies = 10000.0**-exponents"),
    KnownMistake("frequencies_of_the_whole_width", "The exponent is divided by the width of the model; it is divided by the size of a head.",
        rope, EXPONENTS, "exponents = torch.arange(0, size, 2, dtype=wide) / (size * x.shape[1])"),
    KnownMistake("exponent_without_the_two", "The exponent is i/K; it is 2i/K.", rope, FREQUENCIES, "frequencies = base ** -(exponents / 2)"),
    KnownMistake("exponent_doubled", "The exponent is 4i/K: the two was counted twice.", rope, FREQUENCIES, "frequencies = base ** -(2 * exponents)"),
    KnownMistake("multiplied_by_the_power", "Positions are multiplied by base^(2i/K); they must be divided by it.",
        rope, FREQUENCIES, "frequencies = base**exponents"),
    KnownMistake("exponents_counted_from_one", "i is counted from 1, so that the fastest turn is missing; it is counted from 0.",
        rope, FREQUENCIES, "frequencies = base ** -(exponents + 2 / size)"),
    KnownMistake("frequencies_reversed", "The slowest turn stands first; the fastest does.", rope, FREQUENCIES, "frequencies = (base**-exponents).flip(0)"),
    KnownMistake("one_frequency", "All pairs turn equally fast; i does not enter.", rope, FREQUENCIES, "frequencies = base ** -(0 * exponents)"),
    KnownMistake("turns_for_radians", "The angles are multiplied by 2 pi; the position is the angle in radians.",
        rope, ANGLES, "angles = 2 * torch.pi * places.unsqueeze(-1) * frequencies"),
    # positions
    KnownMistake("restarts_at_zero", "Positions start at 0 in every call; with a cache they must go on where the cache stopped.",
        rope, PLACES, "places = torch.arange(x.shape[-2]).expand(positions.shape).to(wide)"),
    KnownMistake("positions_from_one", "Positions are counted from 1; the first is 0.", rope, PLACES, "places = positions.to(wide) + 1"),
    KnownMistake("positions_of_the_first_row", "The positions of the first row are used for the whole batch.",
        rope, PLACES, "places = (positions[:1].expand(positions.shape) if positions.dim() > 1 else positions).to(wide)",
        seen_in=("linkedin/Liger-Kernel@d7c78df1455cac50205ad4a9b9ac50c5d144ba0f",)),
    KnownMistake("skipped_for_one_token", "A single token is not turned; a cached step is such a call.",
        rope, PLACES, "places = positions.to(wide) * (x.shape[-2] > 1)"),
    KnownMistake("table_of_512_wraps", "Beyond the table's 512 positions it starts again.", rope, PLACES, "places = (positions % 512).to(wide)"),
    KnownMistake("positions_interpolated", "Positions are halved, as where a trained length is stretched; nothing is to be stretched here.",
        rope, PLACES, "places = positions.to(wide) / 2"),
    # precision and tables
    KnownMistake("angles_in_half_precision", "Angles of half-precision inputs are worked out in half precision, where whole numbers above 256 (bfloat16) or 2048 "
        "(float16) are not exact.",
        rope, WIDE, "wide = x.dtype",
        seen_in=("EleutherAI/gpt-neox#1003", "huggingface/transformers#25681", "huggingface/transformers#29285")),
    KnownMistake("positions_in_bfloat16", "Positions are kept in bfloat16, where whole numbers above 256 are not exact.",
        rope, PLACES, "places = positions.to(torch.bfloat16).to(wide)"),
    KnownMistake("frequencies_in_bfloat16", "The frequencies are rounded to bfloat16: the error grows with the position.",
        rope, FREQUENCIES, "frequencies = (base**-exponents).to(torch.bfloat16).to(wide)",
        seen_in=("sgl-project/sglang-jax#1472",)),
    KnownMistake("table_never_grows", "The table of the first call is kept: later positions beyond its end get its last row.",
        rope, PLACES, "places = positions.to(wide).clamp(max=rope.__dict__.setdefault('end', float(positions.max())))"),
    KnownMistake("table_kept_by_length", "The angles of the first call of a length are kept for later ones, whatever their positions.",
        rope, ANGLES, "angles = rope.__dict__.setdefault((positions.shape, size, base), places.unsqueeze(-1) * frequencies)"),
    KnownMistake("table_in_bfloat16", "Sines and cosines are kept in bfloat16: two digits are left.",
        rope, SINES, "sines, cosines = (t.to(torch.bfloat16).to(wide) for t in (torch.sin(angles), torch.cos(angles)))"),
    # a part of the features
    KnownMistake("rest_turned_too", "All features are turned, where only the first are to be.", rope, SIZE, "size = x.shape[-1]"),
    KnownMistake("rest_dropped", "The features that are not turned are missing from the result.", rope, RESULT, "return turned.to(x.dtype)"),
    KnownMistake("rest_in_front", "The features that are not turned come back in front.", rope, RESULT, "return torch.cat((rest, turned.to(x.dtype)), -1)"),
    KnownMistake("frequencies_of_all_features", "The exponent is divided by the size of the head; where a part is turned it is divided by its size.",
        rope, EXPONENTS, "exponents = torch.arange(0, size, 2, dtype=wide) / x.shape[-1]"),
    # gradients and side effects
    KnownMistake("gradient_turned_forwards", "Your backward turns the gradient forwards; it must be turned back, by the negative angle.",
        rope, instead=_gradient_turned_forwards, seen_in=("Dao-AILab/flash-attention#569",)),
    KnownMistake("x_detached", "x is detached: queries and keys learn nothing.", rope, TURNING,
        "turning, rest = x[..., :size].detach().to(wide), x[..., size:]"),
    KnownMistake("in_place", "The caller's tensor is changed.", rope, RESULT,
        "x.data[..., :size] = turned.data.to(x.dtype)\nreturn torch.cat((turned.to(x.dtype), rest), -1)"),
)
