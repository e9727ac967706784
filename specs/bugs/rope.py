"""Known mistakes in rotary position embeddings (RoPE)."""

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


def _gradient_rotated_forwards(x, positions, base=10000.0, rotated=None):
    size = x.shape[-1] if rotated is None else rotated
    if size % 2 or positions.shape[-1] != x.shape[-2]:
        raise ValueError("the rotated size must be even, with one position per token")
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    angles = positions.to(wide).unsqueeze(-1) * base ** -(torch.arange(0, size, 2, dtype=wide) / size)
    angles = angles.unsqueeze(-3) if positions.dim() > 1 else angles

    def rotate(values):
        first, second = values[..., 0:size:2].to(wide), values[..., 1:size:2].to(wide)
        one, other = first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()
        return torch.cat((torch.stack((one, other), -1).flatten(-2).to(values.dtype), values[..., size:]), -1)

    class Rotate(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return rotate(x)

        @staticmethod
        def backward(ctx, g):
            return rotate(g)  # by -angles is right

    return Rotate.apply(x)


MISTAKES = (
    # layout
    KnownMistake("rotate_half_with_interleaved_frequencies", "Feature i is rotated with feature i + K/2 (rotate_half), but the frequencies are interleaved (repeat_interleave): the two features of a pair get different angles. rotate_half needs cat(freqs, freqs).",
        rope, FIRST, "each = angles.repeat_interleave(2, -1)\nfirst, second = turning.chunk(2, -1)\nfast, slow = each.chunk(2, -1)\n"
        "turned_first = first * fast.cos() - second * fast.sin()",
        also=(Edit(rope, SECOND, "turned_second = second * slow.cos() + first * slow.sin()"),
              Edit(rope, TURNED, "turned = torch.cat((turned_first, turned_second), -1)")),
        seen_in=("raiyanyahya/how-to-train-your-gpt#6", "huggingface/transformers#47328", "EleutherAI/gpt-neox#834"), aliases=("pairs_in_halves_frequencies_side_by_side",)),
    KnownMistake("interleaved_with_rotate_half_frequencies", "Adjacent features are rotated together, but the frequencies are cat(freqs, freqs), as for rotate_half: the two features of a pair get different angles. Adjacent pairs need repeat_interleave.",
        rope, FIRST, "each = torch.cat((angles, angles), -1)\nodd, even = each[..., 1::2], each[..., 0::2]\n"
        "turned_first = first * even.cos() - second * even.sin()",
        also=(Edit(rope, SECOND, "turned_second = second * odd.cos() + first * odd.sin()"),), aliases=("neighbours_with_frequencies_in_halves",)),
    KnownMistake("interleaved_pairs_returned_in_halves", "Adjacent features are rotated together, but the results are concatenated in halves: the features are in another order.",
        rope, TURNED, "turned = torch.cat((turned_first, turned_second), -1)", aliases=("neighbours_come_back_in_halves",)),
    KnownMistake("rotate_half_pairs_returned_interleaved", "Feature i is rotated with feature i + K/2, but the results are interleaved: the features are in another order.",
        rope, SPLIT, "first, second = turning.chunk(2, -1)", aliases=("halves_come_back_as_neighbours",)),
    # the rotation
    KnownMistake("rotated_backwards", "The sign of the sines is wrong: every pair is rotated backwards.", rope, SINES, "sines = -torch.sin(angles)", aliases=("turned_backwards",)),
    KnownMistake("sine_sign_wrong_in_the_first", "The sine term is added in both features of a pair. In the first it must be subtracted.",
        rope, FIRST, "turned_first = first * cosines + second * sines", aliases=("sine_sign_lost",)),
    KnownMistake("second_uses_the_rotated_first", "The second feature of a pair is computed from the first after its rotation. Use the original first feature.",
        rope, SECOND, "turned_second = second * cosines + turned_first * sines", aliases=("second_from_the_turned_first",)),
    KnownMistake("sine_and_cosine_exchanged", "Sine and cosine are exchanged.", rope, SINES, "sines, cosines = torch.cos(angles), torch.sin(angles)"),
    KnownMistake("sine_terms_missing", "Every feature is multiplied only by its cosine. The sine term with its partner is missing.",
        rope, FIRST, "turned_first, sines = first * cosines, 0 * sines", aliases=("no_partner",)),
    KnownMistake("added_not_rotated", "Sines and cosines are added to the features, as in sinusoidal positions. RoPE rotates the features.",
        rope, FIRST, "turned_first = first + sines", also=(Edit(rope, SECOND, "turned_second = second + cosines"),), aliases=("added",)),
    KnownMistake("divided_by_root_of_head_size", "The result is divided by sqrt(K). That factor belongs to the attention scores.",
        rope, TURNED, "turned = torch.stack((turned_first, turned_second), -1).flatten(-2) / size**0.5", aliases=("scaled_by_the_root",)),
    # frequencies
    KnownMistake("base_fixed", "The base is fixed at 10000. It is an argument.", rope, FREQUENCIES, "frequencies = 10000.0**-exponents"),
    KnownMistake("exponent_over_model_width", "The exponent is divided by the model width. Divide it by the head size.",
        rope, EXPONENTS, "exponents = torch.arange(0, size, 2, dtype=wide) / (size * x.shape[1])", aliases=("frequencies_of_the_whole_width",)),
    KnownMistake("exponent_without_factor_two", "The exponent is i/K. It is 2i/K.", rope, FREQUENCIES, "frequencies = base ** -(exponents / 2)", aliases=("exponent_without_the_two",)),
    KnownMistake("exponent_doubled", "The exponent is 4i/K: the factor two is applied twice. It is 2i/K.", rope, FREQUENCIES, "frequencies = base ** -(2 * exponents)"),
    KnownMistake("frequencies_inverted", "Positions are multiplied by base^(2i/K). They must be divided by it.",
        rope, FREQUENCIES, "frequencies = base**exponents", aliases=("multiplied_by_the_power",)),
    KnownMistake("exponent_index_from_one", "i starts at 1, so the highest frequency is missing. It starts at 0.",
        rope, FREQUENCIES, "frequencies = base ** -(exponents + 2 / size)", aliases=("exponents_counted_from_one",)),
    KnownMistake("frequencies_reversed", "The lowest frequency comes first. The highest must come first.", rope, FREQUENCIES, "frequencies = (base**-exponents).flip(0)"),
    KnownMistake("one_frequency", "All pairs have the same frequency: the exponent does not depend on i.", rope, FREQUENCIES, "frequencies = base ** -(0 * exponents)"),
    KnownMistake("angles_multiplied_by_2_pi", "The angles are multiplied by 2 pi. Position times frequency is already in radians.",
        rope, ANGLES, "angles = 2 * torch.pi * places.unsqueeze(-1) * frequencies", aliases=("turns_for_radians",)),
    # positions
    KnownMistake("positions_restart_at_zero", "Positions start at 0 in every call. With a KV cache they must continue where the cache ends.",
        rope, PLACES, "places = torch.arange(x.shape[-2]).expand(positions.shape).to(wide)", aliases=("restarts_at_zero",)),
    KnownMistake("positions_from_one", "Positions start at 1. They start at 0.", rope, PLACES, "places = positions.to(wide) + 1"),
    KnownMistake("positions_of_the_first_row", "The positions of the first row are used for the whole batch.",
        rope, PLACES, "places = (positions[:1].expand(positions.shape) if positions.dim() > 1 else positions).to(wide)",
        seen_in=("linkedin/Liger-Kernel@d7c78df1455cac50205ad4a9b9ac50c5d144ba0f",)),
    KnownMistake("skipped_for_one_token", "A single token is not rotated. Every decoding step with a KV cache is such a call.",
        rope, PLACES, "places = positions.to(wide) * (x.shape[-2] > 1)"),
    KnownMistake("positions_wrap_at_512", "Positions wrap around at 512, the length of the table.", rope, PLACES, "places = (positions % 512).to(wide)", aliases=("table_of_512_wraps",)),
    KnownMistake("positions_interpolated", "Positions are halved, as in position interpolation for longer contexts. No interpolation is requested here.",
        rope, PLACES, "places = positions.to(wide) / 2"),
    # precision and tables
    KnownMistake("angles_in_half_precision", "The angles of half-precision inputs are computed in half precision, where integers above 256 (bfloat16) or 2048 (float16) are not exact. Use float32.",
        rope, WIDE, "wide = x.dtype",
        seen_in=("EleutherAI/gpt-neox#1003", "huggingface/transformers#25681", "huggingface/transformers#29285")),
    KnownMistake("positions_in_bfloat16", "Positions are stored in bfloat16, where integers above 256 are not exact.",
        rope, PLACES, "places = positions.to(torch.bfloat16).to(wide)"),
    KnownMistake("frequencies_in_bfloat16", "The frequencies are rounded to bfloat16: the error grows with the position.",
        rope, FREQUENCIES, "frequencies = (base**-exponents).to(torch.bfloat16).to(wide)",
        seen_in=("sgl-project/sglang-jax#1472",)),
    KnownMistake("table_not_extended", "The table of the first call is never extended: later positions use its last row.",
        rope, PLACES, "places = positions.to(wide).clamp(max=rope.__dict__.setdefault('end', float(positions.max())))", aliases=("table_never_grows",)),
    KnownMistake("table_cached_by_length", "The angles of the first call of a length are cached and reused for later calls, whatever their positions.",
        rope, ANGLES, "angles = rope.__dict__.setdefault((positions.shape, size, base), places.unsqueeze(-1) * frequencies)", aliases=("table_kept_by_length",)),
    KnownMistake("table_in_bfloat16", "Sines and cosines are stored in bfloat16, which keeps about two significant digits.",
        rope, SINES, "sines, cosines = (t.to(torch.bfloat16).to(wide) for t in (torch.sin(angles), torch.cos(angles)))"),
    # partial rotation
    KnownMistake("all_features_rotated", "All features are rotated. With partial rotation only the first `rotated` features are.", rope, SIZE, "size = x.shape[-1]", aliases=("rest_turned_too",)),
    KnownMistake("unrotated_features_dropped", "The features that are not rotated are missing from the result.", rope, RESULT, "return turned.to(x.dtype)", aliases=("rest_dropped",)),
    KnownMistake("unrotated_features_in_front", "The features that are not rotated are returned first. They must stay at the end.", rope, RESULT, "return torch.cat((rest, turned.to(x.dtype)), -1)", aliases=("rest_in_front",)),
    KnownMistake("exponent_over_full_head_size", "The exponent is divided by the head size. With partial rotation, divide it by the number of rotated features.",
        rope, EXPONENTS, "exponents = torch.arange(0, size, 2, dtype=wide) / x.shape[-1]", aliases=("frequencies_of_all_features",)),
    # gradients and side effects
    KnownMistake("gradient_rotated_forwards", "The backward pass rotates the gradient by the angle. It must rotate by the negative angle.",
        rope, instead=_gradient_rotated_forwards, seen_in=("Dao-AILab/flash-attention#569",), aliases=("gradient_turned_forwards",)),
    KnownMistake("x_detached", "x is detached: queries and keys receive no gradient.", rope, TURNING,
        "turning, rest = x[..., :size].detach().to(wide), x[..., size:]"),
    KnownMistake("in_place", "The caller's tensor is modified in place.", rope, RESULT,
        "x.data[..., :size] = turned.data.to(x.dtype)\nreturn torch.cat((turned.to(x.dtype), rest), -1)"),
)
