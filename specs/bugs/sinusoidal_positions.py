"""Known mistakes in sinusoidal positions."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.sinusoidal_positions import sinusoidal_positions

EXPONENTS = "exponents = torch.arange(0, width, 2, dtype=torch.float64, device=positions.device) / width"
FREQUENCIES = "frequencies = base**-exponents"
PLACES = "places = positions.double()"
ANGLES = "angles = places.unsqueeze(-1) * frequencies"
SINES = "sines = torch.sin(angles)"
COSINES = "cosines = torch.cos(angles)"
PAIRS = "pairs = torch.stack((sines, cosines), -1)"
FEATURES = "features = pairs.flatten(-2)[..., :width]"
RESULT = "return features.to(torch.float32)"

MISTAKES = (
    # frequencies
    KnownMistake("base_fixed", "The base is fixed at 10000. It is an argument.",
        sinusoidal_positions, FREQUENCIES, "frequencies = 10000.0**-exponents"),
    KnownMistake("base_of_1000", "The base is 1000. The paper uses 10000, and it is an argument.",
        sinusoidal_positions, FREQUENCIES, "frequencies = 1000.0**-exponents"),
    KnownMistake("frequencies_not_paired", "Sine and cosine of a pair have different frequencies: the exponent is j/D for feature j. Both use 2i/D "
        "with i = j // 2.",
        sinusoidal_positions, COSINES, "cosines = torch.cos(places.unsqueeze(-1) * base ** -(exponents + 1 / width))"),
    KnownMistake("exponent_uses_the_feature_index", "The exponent is 2j/D for feature j: sine and cosine of a pair have different frequencies. It is 2i/D with i = j // 2.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(2 * exponents)",
        also=(Edit(sinusoidal_positions, COSINES, "cosines = torch.cos(angles * base ** (-2 / width))"),),
        seen_in=("BrianPulfer/PapersReimplementations#9",), aliases=("exponent_of_the_feature",)),
    KnownMistake("exponent_without_factor_two", "The exponent is i/D. It is 2i/D, so that the wavelengths reach the base.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(exponents / 2)", aliases=("exponent_without_the_two",)),
    KnownMistake("exponent_doubled", "The exponent is 4i/D: the factor two is applied twice (arange in steps of two is 2i already). It is 2i/D.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(2 * exponents)"),
    KnownMistake("last_exponent_is_one", "The exponent is i/(D/2 - 1), as in tensor2tensor, with interleaved sines and cosines. The paper uses 2i/D.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(exponents * width / 2 / max(len(exponents) - 1, 1))"),
    KnownMistake("frequencies_inverted", "Positions are multiplied by base^(2i/D). They must be divided by it.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base**exponents", aliases=("multiplied_by_the_power",)),
    KnownMistake("logarithm_to_base_ten", "exp is combined with the logarithm to base ten. Use the natural logarithm of the base.",
        sinusoidal_positions, FREQUENCIES, "frequencies = torch.exp(-exponents * torch.log10(torch.tensor(base)).double())"),
    KnownMistake("exponent_index_from_one", "i starts at 1, so the highest frequency is missing. It starts at 0.",
        sinusoidal_positions, EXPONENTS, "exponents = torch.arange(2, width + 2, 2, dtype=torch.float64) / width", aliases=("exponents_counted_from_one",)),
    KnownMistake("frequencies_reversed", "The lowest frequency comes first. The highest must come first.",
        sinusoidal_positions, FREQUENCIES, "frequencies = (base**-exponents).flip(0)"),
    KnownMistake("frequencies_equally_spaced", "The frequencies are equally spaced. They are a geometric series.",
        sinusoidal_positions, FREQUENCIES, "frequencies = 1 - exponents"),
    KnownMistake("one_frequency", "All features have the same frequency: the exponent does not depend on i.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(0 * exponents)"),
    KnownMistake("angles_multiplied_by_2_pi", "The angles are multiplied by 2 pi. Position times frequency is already in radians.",
        sinusoidal_positions, ANGLES, "angles = 2 * torch.pi * places.unsqueeze(-1) * frequencies", aliases=("turns_for_radians",)),
    KnownMistake("degrees_for_radians", "The angles are treated as degrees. sin and cos take radians.",
        sinusoidal_positions, ANGLES, "angles = torch.deg2rad(places.unsqueeze(-1) * frequencies)", aliases=("degrees",)),
    # positions
    KnownMistake("positions_restart_at_zero", "Positions start at 0 in every call. With a KV cache they must continue where the cache ends.",
        sinusoidal_positions, PLACES, "places = torch.arange(positions.shape[-1]).expand(positions.shape).double()", aliases=("restarts_at_zero",)),
    KnownMistake("positions_from_one", "Positions start at 1. They start at 0.",
        sinusoidal_positions, PLACES, "places = positions.double() + 1"),
    KnownMistake("positions_of_the_first_row", "The positions of the first row are used for the whole batch.",
        sinusoidal_positions, PLACES, "places = (positions[:1].expand(positions.shape) if positions.dim() > 1 else positions).double()"),
    KnownMistake("positions_divided_by_length", "Positions are divided by the sequence length: the encoding of a position then depends on the length.",
        sinusoidal_positions, PLACES, "places = positions.double() / positions.shape[-1]", aliases=("divided_by_the_length",)),
    KnownMistake("positions_in_bfloat16", "Positions are stored in bfloat16, where integers above 256 are not exact.",
        sinusoidal_positions, PLACES, "places = positions.to(torch.bfloat16).double()",
        seen_in=("EleutherAI/gpt-neox#1003",)),
    KnownMistake("positions_in_float16", "Positions are stored in float16, where integers above 2048 are not exact.",
        sinusoidal_positions, PLACES, "places = positions.to(torch.float16).double()"),
    KnownMistake("frequencies_in_bfloat16", "The frequencies are rounded to bfloat16: the error grows with the position.",
        sinusoidal_positions, ANGLES, "angles = places.unsqueeze(-1) * frequencies.to(torch.bfloat16).double()",
        seen_in=("sgl-project/sglang-jax#1472",)),
    KnownMistake("positions_wrap_at_512", "Positions wrap around at 512, the length of the table.",
        sinusoidal_positions, PLACES, "places = positions.double() % 512", aliases=("table_of_512_wraps",)),
    KnownMistake("table_cached_by_length", "The table of the first call of a length is cached and reused for later calls, whatever their positions.",
        sinusoidal_positions, PLACES,
        "places = sinusoidal_positions.__dict__.setdefault(positions.shape, positions.double())", aliases=("rows_kept_by_length",)),
    # features
    KnownMistake("sine_and_cosine_exchanged", "Sine and cosine are exchanged: the sine must come first.",
        sinusoidal_positions, PAIRS, "pairs = torch.stack((cosines, sines), -1)"),
    KnownMistake("sines_only", "All features are sines. Every second feature is a cosine.",
        sinusoidal_positions, COSINES, "cosines = torch.sin(angles)"),
    KnownMistake("sine_negative", "The sines have the wrong sign.", sinusoidal_positions, SINES, "sines = -torch.sin(angles)"),
    KnownMistake("cosines_then_sines", "All cosines come first, then all sines. They must alternate, the sine first.",
        sinusoidal_positions, PAIRS, "pairs = torch.cat((cosines, sines), -1).unsqueeze(-1)"),
    KnownMistake("scaled_by_the_root_of_the_width", "The encoding is multiplied by sqrt(D). The paper multiplies the token embedding instead.",
        sinusoidal_positions, RESULT, "return (features * width**0.5).to(torch.float32)"),
    KnownMistake("rows_normalised", "The rows are normalised to length 1. They must not be.",
        sinusoidal_positions, RESULT, "return (features / features.norm(dim=-1, keepdim=True)).to(torch.float32)", aliases=("normalised_rows",)),
    KnownMistake("odd_width_drops_the_last_column", "With an odd width the last column is missing: only D // 2 pairs are returned.",
        sinusoidal_positions, FEATURES, "features = pairs.flatten(-2)[..., : width // 2 * 2]",
        seen_in=("codertimo/BERT-pytorch#78", "huggingface/transformers#8226"), aliases=("odd_width_a_column_short",)),
    KnownMistake("odd_width_adds_a_column", "With an odd width there is one column too many. Drop the cosine of the last pair.",
        sinusoidal_positions, FEATURES, "features = pairs.flatten(-2)", aliases=("odd_width_a_column_more",)),
    KnownMistake("table_in_bfloat16", "The table is stored in bfloat16, which keeps about two significant digits.",
        sinusoidal_positions, RESULT, "return features.to(torch.bfloat16).to(torch.float32)", aliases=("rounded_to_bfloat16",)),
    KnownMistake("output_transposed", "The table is returned as [width, time]. It must be [time, width].",
        sinusoidal_positions, RESULT, "return features.transpose(-1, -2).to(torch.float32)", aliases=("transposed",)),
)
