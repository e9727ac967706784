"""Known mistakes in weight initialisation."""

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
    KnownMistake("residual_projections_not_scaled", "The projections that write to the residual stream are not scaled by 1/sqrt(2 L): a whole parameter name never equals \"c_proj.weight\". Use endswith.", initialise_block, RESIDUAL, "residual_std = 0.02",
        seen_in=("huggingface/transformers#47458", "huggingface/transformers#47459", "huggingface/transformers#47478")),
    KnownMistake("scaled_by_the_root_of_layers", "You scale by 1/sqrt(L). Every layer writes to the residual stream twice, so scale by 1/sqrt(2 L).",
        initialise_block, RESIDUAL, "residual_std = 0.02 / math.sqrt(config.layers)"),
    KnownMistake("scaled_twice", "The scale of the residual projections is applied twice (in a function that apply() runs for every parent module).",
        initialise_block, RESIDUAL, "residual_std = 0.02 / (2 * config.layers)"),
    KnownMistake("multiplied_by_the_root_of_layers", "You multiply by sqrt(2 L). Divide by it: the more layers there are, the less each must write.",
        initialise_block, RESIDUAL, "residual_std = 0.02 * math.sqrt(2 * config.layers)", aliases=("scaled_the_wrong_way",)),
    KnownMistake("only_the_mlp_scaled", "Only the MLP output projection is scaled. The attention output projection writes to the residual stream too.",
        initialise_block, OUT, "out_weight = normal((width, width), 0.02, generator, dtype)"),
    KnownMistake("only_attention_scaled", "Only the attention output projection is scaled. The MLP output projection writes to the residual stream too.",
        initialise_block, DOWN, "down_weight = normal((width, hidden), 0.02, generator, dtype)"),
    KnownMistake("everything_scaled", "All matrices of a block are scaled by depth. Only those that write to the residual stream must be.",
        initialise_block, QKV, "qkv_weight = normal((3 * width, width), residual_std, generator, dtype)",
        also=(Edit(initialise_block, UP, "up_weight = normal((hidden, width), residual_std, generator, dtype)"),)),
    # the distribution
    KnownMistake("std_ten_times_too_large", "The standard deviation is 0.2. In GPT-2 it is 0.02.", normal, SCALED, "scaled = draws * (10 * std)", aliases=("a_tenth_for_a_fiftieth",)),
    KnownMistake("std_taken_as_variance", "0.02 is used as the variance. It is the standard deviation.", normal, SCALED, "scaled = draws * std**0.5", aliases=("variance_for_deviation",)),
    KnownMistake("xavier", "Matrices use Xavier initialisation. GPT-2 uses N(0, 0.02) whatever their size.",
        initialise_block, QKV, "qkv_weight = normal((3 * width, width), math.sqrt(2 / (4 * width)), generator, dtype)",
        also=(Edit(initialise_block, UP, "up_weight = normal((hidden, width), math.sqrt(2 / (width + hidden)), generator, dtype)"),)),
    KnownMistake("uniform", "Weights are uniform in [-0.02, 0.02]. In GPT-2 they are normal.", normal, SCALED, "scaled = (2 * torch.special.ndtr(draws) - 1) * std"),
    KnownMistake("uniform_with_the_right_std", "Weights are uniform, with the right standard deviation. In GPT-2 they are normal.", normal, SCALED,
        "scaled = (2 * torch.special.ndtr(draws) - 1) * std * math.sqrt(3.0)", aliases=("uniform_of_the_right_width",)),
    KnownMistake("clamped_at_two_std", "Weights are clamped at two standard deviations. The distribution is then not normal, and narrower.",
        normal, SCALED, "scaled = draws.clamp(-2, 2) * std", aliases=("cut_off_at_two_deviations",)),
    KnownMistake("weights_never_negative", "Weights are never negative (rand, or an absolute value). Their mean must be 0.", normal, SCALED, "scaled = draws.abs() * std", aliases=("never_negative",)),
    KnownMistake("weights_all_zero", "All matrices are zero: every neuron would learn the same.", normal, SCALED, "scaled = draws * 0.0", aliases=("nothing_drawn",)),
    # which weights
    KnownMistake("rows_constant", "One random number is used for all inputs of a neuron. Each weight needs its own.",
        normal, DRAWS, "draws = torch.randn((shape[0], 1), generator=generator, dtype=torch.float32, device=device).expand(shape)",
        seen_in=("EurekaLabsAI/micrograd#2",), aliases=("one_number_for_a_row",)),
    KnownMistake("columns_constant", "One random number is used for all neurons of an input: they would learn the same. Each weight needs its own.",
        normal, DRAWS, "draws = torch.randn((1, shape[1]), generator=generator, dtype=torch.float32, device=device).expand(shape)", aliases=("one_number_for_a_column",)),
    KnownMistake("all_layers_identical", "All layers start with the same weights (copies of one, or one list entry repeated). Initialise each layer separately.",
        initialise, BLOCKS, "blocks = [initialise_block(config, generator, dtype)] * config.layers", aliases=("layers_alike",)),
    KnownMistake("seed_fixed", "The seed is ignored: every model starts with the same weights.", initialisation.__init__, SEEDED, "generator = torch.Generator().manual_seed(1337)"),
    KnownMistake("token_embedding_std_1", "The token embedding is N(0, 1), the default of torch.nn.Embedding. In GPT-2 it is N(0, 0.02).",
        initialise, TABLE, "table = normal((config.vocab_size, config.width), 1.0, generator, dtype)", aliases=("embedding_of_ones_size",)),
    KnownMistake("tied_tensor_initialised_twice", "The token embedding is initialised again by another rule, as the head that is tied to it.",
        initialise, TABLE, "table = normal((config.vocab_size, config.width), 1 / math.sqrt(3 * config.width), generator, dtype)", aliases=("tied_tensor_drawn_twice",)),
    KnownMistake("position_embedding_zero", "The position embedding starts at zero. It must be small and random.",
        initialise, PLACES, "places = normal((config.context, config.width), 0.0, generator, dtype)", aliases=("positions_of_zeros",)),
    KnownMistake("position_embedding_std_1", "The position embedding is N(0, 1), the default of torch.nn.Embedding: it drowns the tokens. It must be small.",
        initialise, PLACES, "places = normal((config.context, config.width), 1.0, generator, dtype)", aliases=("positions_of_ones_size",)),
    KnownMistake("all_positions_identical", "All positions start with the same embedding. Each needs its own random row.",
        initialise, PLACES, "places = normal((1, config.width), 0.01, generator, dtype).repeat(config.context, 1)", aliases=("positions_alike",)),
    KnownMistake("norm_scales_random", "The norm scales are initialised like matrices. They must start at 1.",
        initialise, '"final_norm_weight": torch.ones(config.width, dtype=dtype, device=table.device),',
        '"final_norm_weight": normal((config.width,), 0.02, generator, dtype),', aliases=("gains_drawn",)),
    KnownMistake("norm_scales_zero", "The norm scales start at 0: nothing passes through. They must start at 1.",
        initialise_block, '"norm_1_weight": torch.ones(width, dtype=dtype, device=device),', '"norm_1_weight": torch.zeros(width, dtype=dtype, device=device),', aliases=("gains_of_zeros",)),
    KnownMistake("biases_random", "The biases start at random values. They must start at 0.",
        initialise_block, '"up_bias": torch.zeros(hidden, dtype=dtype, device=device),', '"up_bias": normal((hidden,), 0.02, generator, dtype),', aliases=("biases_drawn",)),
    KnownMistake("norm_biases_one", "The norm biases start at 1. They must start at 0.",
        initialise_block, '"norm_2_bias": torch.zeros(width, dtype=dtype, device=device),', '"norm_2_bias": torch.ones(width, dtype=dtype, device=device),', aliases=("shifts_of_ones",)),
)
