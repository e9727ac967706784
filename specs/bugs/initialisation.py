"""Known mistakes in the weights that training starts from."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.gpt2 import initialise, initialise_block, normal
from reference_model.initialisation import initialisation

TABLE = "table = normal((config.vocab_size, config.width), 0.02, generator, dtype)"
PLACES = "places = normal((config.context, config.width), 0.01, generator, dtype)"
BLOCKS = "blocks = [initialise_block(config, generator, dtype) for _ in range(config.layers)]"
RESIDUAL = "residual_std = 0.02 / math.sqrt(2 * config.layers)"
QKV = "qkv_weight = normal((3 * width, width), 0.02, generator, dtype)"
OUT = "out_weight = normal((width, width), residual_std, generator, dtype)"
UP = "up_weight = normal((hidden, width), 0.02, generator, dtype)"
DOWN = "down_weight = normal((width, hidden), residual_std, generator, dtype)"
DRAWS = "draws = torch.randn(shape, generator=generator, dtype=torch.float32, device=device)"
SCALED = "scaled = draws * std"
SEEDED = "generator = torch.Generator().manual_seed(seed)"
HELD = "self.drawn = initialise(config, generator)"

MISTAKES = (
    # the residual projections
    KnownMistake("residual_projections_not_scaled", "The projections that write to the residual stream are not scaled by 1/sqrt(2 L): a comparison of whole "
        'parameter names with "c_proj.weight" never holds (endswith does).', initialise_block, RESIDUAL, "residual_std = 0.02",
        seen_in=("huggingface/transformers#47458", "huggingface/transformers#47459", "huggingface/transformers#47478")),
    KnownMistake("scaled_by_the_root_of_layers", "You scale by 1/sqrt(L): every layer writes twice, so it is 1/sqrt(2 L).",
        initialise_block, RESIDUAL, "residual_std = 0.02 / math.sqrt(config.layers)"),
    KnownMistake("scaled_twice", "The scale of the residual projections is applied twice (inside a function that apply() runs for every parent).",
        initialise_block, RESIDUAL, "residual_std = 0.02 / (2 * config.layers)"),
    KnownMistake("scaled_the_wrong_way", "You multiply by sqrt(2 L): more layers must write less each.",
        initialise_block, RESIDUAL, "residual_std = 0.02 * math.sqrt(2 * config.layers)"),
    KnownMistake("only_the_mlp_scaled", "Attention's output projection writes to the residual stream too: scale it as well.",
        initialise_block, OUT, "out_weight = normal((width, width), 0.02, generator, dtype)"),
    KnownMistake("only_attention_scaled", "The mlp's output projection writes to the residual stream too: scale it as well.",
        initialise_block, DOWN, "down_weight = normal((width, hidden), 0.02, generator, dtype)"),
    KnownMistake("everything_scaled", "All matrices of a block are scaled by depth; only those that write to the residual stream are.",
        initialise_block, QKV, "qkv_weight = normal((3 * width, width), residual_std, generator, dtype)",
        also=(Edit(initialise_block, UP, "up_weight = normal((hidden, width), residual_std, generator, dtype)"),)),
    # how wide
    KnownMistake("a_tenth_for_a_fiftieth", "The standard deviation is 0.2; GPT-2's is 0.02.", normal, SCALED, "scaled = draws * (10 * std)"),
    KnownMistake("variance_for_deviation", "0.02 is taken for the variance: it is the standard deviation.", normal, SCALED, "scaled = draws * std**0.5"),
    KnownMistake("xavier", "Matrices are drawn as Xavier's rule has it; GPT-2 draws N(0, 0.02) whatever their size.",
        initialise_block, QKV, "qkv_weight = normal((3 * width, width), math.sqrt(2 / (4 * width)), generator, dtype)",
        also=(Edit(initialise_block, UP, "up_weight = normal((hidden, width), math.sqrt(2 / (width + hidden)), generator, dtype)"),)),
    KnownMistake("uniform", "Numbers are uniform within 0.02; GPT-2's are normal.", normal, SCALED, "scaled = (2 * torch.special.ndtr(draws) - 1) * std"),
    KnownMistake("uniform_of_the_right_width", "Numbers are uniform; GPT-2's are normal.", normal, SCALED,
        "scaled = (2 * torch.special.ndtr(draws) - 1) * std * math.sqrt(3.0)"),
    KnownMistake("cut_off_at_two_deviations", "Numbers beyond two standard deviations are cut off: that is not normal, and narrower.",
        normal, SCALED, "scaled = draws.clamp(-2, 2) * std"),
    KnownMistake("never_negative", "Numbers are never negative (rand, or an absolute value): they must lie around 0.", normal, SCALED, "scaled = draws.abs() * std"),
    KnownMistake("nothing_drawn", "Matrices are all zeros: every neuron would learn the same.", normal, SCALED, "scaled = draws * 0.0"),
    # which
    KnownMistake("one_number_for_a_row", "One random number is drawn for all inputs of a neuron: each needs its own.",
        normal, DRAWS, "draws = torch.randn((shape[0], 1), generator=generator, dtype=torch.float32, device=device).expand(shape)",
        seen_in=("EurekaLabsAI/micrograd#2",)),
    KnownMistake("one_number_for_a_column", "One random number is drawn for all neurons of an input: they would learn the same.",
        normal, DRAWS, "draws = torch.randn((1, shape[1]), generator=generator, dtype=torch.float32, device=device).expand(shape)"),
    KnownMistake("layers_alike", "All layers begin alike (copies of one, or one list entry many times): each must be drawn.",
        initialise, BLOCKS, "blocks = [initialise_block(config, generator, dtype)] * config.layers"),
    KnownMistake("seed_fixed", "The seed is not used: every model begins alike.", initialisation.__init__, SEEDED, "generator = torch.Generator().manual_seed(1337)"),
    KnownMistake("embedding_of_ones_size", "The token embedding is N(0, 1), as torch.nn.Embedding draws it: GPT-2's is N(0, 0.02).",
        initialise, TABLE, "table = normal((config.vocab_size, config.width), 1.0, generator, dtype)"),
    KnownMistake("tied_tensor_drawn_twice", "The token embedding is drawn by another rule once more, as the head that is tied to it.",
        initialise, TABLE, "table = normal((config.vocab_size, config.width), 1 / math.sqrt(3 * config.width), generator, dtype)"),
    KnownMistake("positions_of_zeros", "Positions begin as zeros: they must be small and random.",
        initialise, PLACES, "places = normal((config.context, config.width), 0.0, generator, dtype)"),
    KnownMistake("positions_of_ones_size", "Positions are N(0, 1), as torch.nn.Embedding draws them: they drown the tokens; small ones are due.",
        initialise, PLACES, "places = normal((config.context, config.width), 1.0, generator, dtype)"),
    KnownMistake("positions_alike", "All positions begin alike: each must be drawn.",
        initialise, PLACES, "places = normal((1, config.width), 0.01, generator, dtype).repeat(config.context, 1)"),
    KnownMistake("gains_drawn", "The gains of the norms are drawn like matrices: they start at 1.",
        initialise, '"final_norm_weight": torch.ones(config.width, dtype=dtype, device=table.device),',
        '"final_norm_weight": normal((config.width,), 0.02, generator, dtype),'),
    KnownMistake("gains_of_zeros", "The gains of the norms are 0: nothing passes; they start at 1.",
        initialise_block, '"norm_1_weight": torch.ones(width, dtype=dtype, device=device),', '"norm_1_weight": torch.zeros(width, dtype=dtype, device=device),'),
    KnownMistake("biases_drawn", "Biases are drawn: they start at 0.",
        initialise_block, '"up_bias": torch.zeros(hidden, dtype=dtype, device=device),', '"up_bias": normal((hidden,), 0.02, generator, dtype),'),
    KnownMistake("shifts_of_ones", "The shifts of the norms are 1: they start at 0.",
        initialise_block, '"norm_2_bias": torch.zeros(width, dtype=dtype, device=device),', '"norm_2_bias": torch.ones(width, dtype=dtype, device=device),'),
)
