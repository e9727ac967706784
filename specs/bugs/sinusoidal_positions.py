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
    KnownMistake("base_fixed", "The base is fixed at 10000; it is an argument.",
        sinusoidal_positions, FREQUENCIES, "frequencies = 10000.0**-exponents"),
    KnownMistake("base_of_1000", "The base is 1000; the paper's is 10000, and it is an argument.",
        sinusoidal_positions, FREQUENCIES, "frequencies = 1000.0**-exponents"),
    KnownMistake("frequencies_not_paired", "Sine and cosine of a pair have different frequencies: the exponent is j/D for feature j. Both use 2i/D "
        "with i = j // 2.",
        sinusoidal_positions, COSINES, "cosines = torch.cos(places.unsqueeze(-1) * base ** -(exponents + 1 / width))"),
    KnownMistake("exponent_of_the_feature", "The exponent is 2j/D for feature j itself: sine and cosine differ in frequency. It is 2i/D with i = j // 2.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(2 * exponents)",
        also=(Edit(sinusoidal_positions, COSINES, "cosines = torch.cos(angles * base ** (-2 / width))"),),
        seen_in=("BrianPulfer/PapersReimplementations#9",)),
    KnownMistake("exponent_without_the_two", "The exponent is i/D; it is 2i/D, so that the wavelengths reach the base.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(exponents / 2)"),
    KnownMistake("exponent_doubled", "The exponent is 4i/D: the two was counted twice (arange in steps of two is 2i already).",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(2 * exponents)"),
    KnownMistake("last_exponent_is_one", "The exponent is i/(D/2 - 1), as in tensor2tensor, with sines and cosines alternating; the paper's is 2i/D.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(exponents * width / 2 / max(len(exponents) - 1, 1))"),
    KnownMistake("multiplied_by_the_power", "The positions are multiplied by base^(2i/D); they must be divided by it.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base**exponents"),
    KnownMistake("logarithm_to_base_ten", "exp goes with the natural logarithm of the base; yours is to base ten.",
        sinusoidal_positions, FREQUENCIES, "frequencies = torch.exp(-exponents * torch.log10(torch.tensor(base)).double())"),
    KnownMistake("exponents_counted_from_one", "i is counted from 1, so that the fastest wave is missing; it is counted from 0.",
        sinusoidal_positions, EXPONENTS, "exponents = torch.arange(2, width + 2, 2, dtype=torch.float64) / width"),
    KnownMistake("frequencies_reversed", "The slowest wave stands first; the fastest does.",
        sinusoidal_positions, FREQUENCIES, "frequencies = (base**-exponents).flip(0)"),
    KnownMistake("frequencies_equally_spaced", "The frequencies are equally spaced; they are a geometric series.",
        sinusoidal_positions, FREQUENCIES, "frequencies = 1 - exponents"),
    KnownMistake("one_frequency", "All features have the same frequency; i does not enter.",
        sinusoidal_positions, FREQUENCIES, "frequencies = base ** -(0 * exponents)"),
    KnownMistake("turns_for_radians", "The angles are multiplied by 2 pi; the position is the angle in radians.",
        sinusoidal_positions, ANGLES, "angles = 2 * torch.pi * places.unsqueeze(-1) * frequencies"),
    KnownMistake("degrees", "The angles are taken for degrees; sin and cos want radians.",
        sinusoidal_positions, ANGLES, "angles = torch.deg2rad(places.unsqueeze(-1) * frequencies)"),
    # positions
    KnownMistake("restarts_at_zero", "Positions start at 0 in every call; with a cache they must go on where the cache stopped.",
        sinusoidal_positions, PLACES, "places = torch.arange(positions.shape[-1]).expand(positions.shape).double()"),
    KnownMistake("positions_from_one", "Positions are counted from 1; the first is 0.",
        sinusoidal_positions, PLACES, "places = positions.double() + 1"),
    KnownMistake("positions_of_the_first_row", "The positions of the first row are used for the whole batch.",
        sinusoidal_positions, PLACES, "places = (positions[:1].expand(positions.shape) if positions.dim() > 1 else positions).double()"),
    KnownMistake("divided_by_the_length", "Positions are divided by the length of the sequence: one place has another code in another sequence.",
        sinusoidal_positions, PLACES, "places = positions.double() / positions.shape[-1]"),
    KnownMistake("positions_in_bfloat16", "Positions are kept in bfloat16, where whole numbers above 256 are not exact.",
        sinusoidal_positions, PLACES, "places = positions.to(torch.bfloat16).double()",
        seen_in=("EleutherAI/gpt-neox#1003",)),
    KnownMistake("positions_in_float16", "The table is worked out in float16, where whole numbers above 2048 are not exact.",
        sinusoidal_positions, PLACES, "places = positions.to(torch.float16).double()"),
    KnownMistake("frequencies_in_bfloat16", "The frequencies are rounded to bfloat16: the error grows with the position.",
        sinusoidal_positions, ANGLES, "angles = places.unsqueeze(-1) * frequencies.to(torch.bfloat16).double()",
        seen_in=("sgl-project/sglang-jax#1472",)),
    KnownMistake("table_of_512_wraps", "Beyond the table's 512 positions it starts again.",
        sinusoidal_positions, PLACES, "places = positions.double() % 512"),
    KnownMistake("rows_kept_by_length", "The table of the first call of a length is kept for later ones, whatever their positions.",
        sinusoidal_positions, PLACES,
        "places = sinusoidal_positions.__dict__.setdefault(positions.shape, positions.double())"),
    # features
    KnownMistake("sine_and_cosine_exchanged", "Cosines stand first; the sine does.",
        sinusoidal_positions, PAIRS, "pairs = torch.stack((cosines, sines), -1)"),
    KnownMistake("sines_only", "All features are sines; every second one is a cosine.",
        sinusoidal_positions, COSINES, "cosines = torch.sin(angles)"),
    KnownMistake("sine_negative", "The sines have the wrong sign.", sinusoidal_positions, SINES, "sines = -torch.sin(angles)"),
    KnownMistake("cosines_then_sines", "All cosines come first and all sines after them; they alternate, the sine first.",
        sinusoidal_positions, PAIRS, "pairs = torch.cat((cosines, sines), -1).unsqueeze(-1)"),
    KnownMistake("scaled_by_the_root_of_the_width", "The code is multiplied by sqrt(D); it is the token embedding that the paper multiplies.",
        sinusoidal_positions, RESULT, "return (features * width**0.5).to(torch.float32)"),
    KnownMistake("normalised_rows", "The rows are divided by their length; they are not normalised.",
        sinusoidal_positions, RESULT, "return (features / features.norm(dim=-1, keepdim=True)).to(torch.float32)"),
    KnownMistake("odd_width_a_column_short", "Of an odd width one column is missing: there are D // 2 pairs and nothing after them.",
        sinusoidal_positions, FEATURES, "features = pairs.flatten(-2)[..., : width // 2 * 2]",
        seen_in=("codertimo/BERT-pytorch#78", "huggingface/transformers#8226")),
    KnownMistake("odd_width_a_column_more", "Of an odd width there is a column too many: the cosine of the last sine must be left out.",
        sinusoidal_positions, FEATURES, "features = pairs.flatten(-2)"),
    KnownMistake("rounded_to_bfloat16", "The table is stored in bfloat16: two digits are left.",
        sinusoidal_positions, RESULT, "return features.to(torch.bfloat16).to(torch.float32)"),
    KnownMistake("transposed", "The table comes back as [width, time]; it is [time, width].",
        sinusoidal_positions, RESULT, "return features.transpose(-1, -2).to(torch.float32)"),
)
