"""Known mistakes in linear biases."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.alibi import alibi, alibi_slopes

SLOPES = "slopes = torch.tensor(alibi_slopes(n_heads))"
PLACE = "place = torch.arange(time)"
DISTANCE = "distance = place.unsqueeze(1) - place"
BEHIND = "behind = distance.clamp(min=0)"
PENALTY = "penalty = slopes.reshape(-1, 1, 1) * behind"
RESULT = "return -penalty"
BELOW = "below = 2 ** math.floor(math.log2(n_heads))"
RATIO = "ratio = 2.0 ** (-8.0 / below)"
SERIES = "slopes = [ratio ** (head + 1) for head in range(below)]"
BETWEEN = "between = [finer ** (2 * head + 1) for head in range(n_heads - below)]"
ALL = "return slopes + between"

MISTAKES = (
    # the slopes
    KnownMistake("slopes_start_at_one", "The first slope is 2^0: the exponent counts heads from 0. It starts at 2^(-8/H), -8 (h + 1) / H.",
        alibi_slopes, SERIES, "slopes = [ratio ** head for head in range(below)]", seen_in=("paiml/aprender#2143",)),
    KnownMistake("one_series_for_any_number", "The slopes are 2^(-8 (h + 1) / H) though H is no power of two; checkpoints take those of the power of two "
        "below and, after them, every other one of twice as many.",
        alibi_slopes, BELOW, "below = n_heads", looks_like=("variant=one_series",)),
    KnownMistake("next_power_of_two_cut_off", "For another number than a power of two, the first H slopes of the next power of two are taken.",
        alibi_slopes, BELOW, "below = 2 ** math.ceil(math.log2(n_heads))", also=(Edit(alibi_slopes, ALL, "return slopes[:n_heads]"),)),
    KnownMistake("slopes_taken_again", "For another number than a power of two, the slopes start over again.",
        alibi_slopes, ALL, "return (slopes + slopes)[:n_heads]"),
    KnownMistake("every_other_from_the_second", "Of the slopes of twice as many heads, the second, fourth, ... are taken, which are there already; it is the first, third, ...",
        alibi_slopes, BETWEEN, "between = [finer ** (2 * head + 2) for head in range(n_heads - below)]", looks_like=("slopes_taken_again",)),
    KnownMistake("slopes_sorted", "The slopes are sorted: those between come after all of the others, not among them.",
        alibi_slopes, ALL, "return sorted(slopes + between, reverse=True)"),
    KnownMistake("between_comes_first", "The slopes between come first; they come after those of the power of two.", alibi_slopes, ALL, "return between + slopes"),
    KnownMistake("first_of_twice_as_many", "Of the slopes of twice as many heads the first few are taken; it is every other one.",
        alibi_slopes, BETWEEN, "between = [finer ** (head + 1) for head in range(n_heads - below)]"),
    KnownMistake("slopes_of_eight_heads", "The slopes are 1/2, 1/4, 1/8, ... for any number of heads; the ratio is 2^(-8/H).",
        alibi_slopes, BELOW, "below = n_heads", also=(Edit(alibi_slopes, RATIO, "ratio = 0.5"),)),
    KnownMistake("slopes_of_base_e", "The slopes are powers of e; they are powers of 2.", alibi_slopes, RATIO, "ratio = math.exp(-8.0 / below)",),
    KnownMistake("ratio_of_all_heads", "The ratio is 2^(-8/H) with H the number of heads, and the series still ends at the power of two below.",
        alibi_slopes, RATIO, "ratio = 2.0 ** (-8.0 / n_heads)"),
    KnownMistake("slopes_in_reverse", "The first head has the flattest slope; it has the steepest.", alibi, SLOPES, "slopes = torch.tensor(alibi_slopes(n_heads)[::-1])"),
    KnownMistake("one_slope_for_all", "All heads have the first slope.", alibi, SLOPES, "slopes = torch.tensor(alibi_slopes(n_heads)[:1] * n_heads)"),
    KnownMistake("slopes_evenly_spaced", "The slopes fall by equal steps from 1; they fall by equal ratios.",
        alibi, SLOPES, "slopes = 1.0 - torch.arange(n_heads) / n_heads"),
    # the distance
    KnownMistake("distance_rewarded", "The sign is wrong: what is further away is favoured.", alibi, RESULT, "return penalty"),
    KnownMistake("counted_from_the_start", "The penalty is the slope times the position of the key: what is early loses least, so that the far past is favoured.",
        alibi, BEHIND, "behind = place.expand(time, time)", looks_like=("distance_rewarded",)),
    KnownMistake("constant_in_each_row", "The penalty is the slope times the position of the query, the same for all keys, and softmax does not see it.",
        alibi, BEHIND, "behind = place.unsqueeze(1).expand(time, time)"),
    KnownMistake("squared_distance", "The penalty goes with the square of the distance; it is linear.", alibi, BEHIND, "behind = distance.clamp(min=0) ** 2"),
    KnownMistake("logarithm_of_the_distance", "The penalty goes with the logarithm of the distance (that is KERPLE); it is linear.",
        alibi, BEHIND, "behind = torch.log1p(distance.clamp(min=0))"),
    KnownMistake("divided_by_the_length", "The distance is divided by the length: the penalty of a neighbour changes as the sequence grows.",
        alibi, PENALTY, "penalty = slopes.reshape(-1, 1, 1) * behind / time"),
    KnownMistake("first_neighbour_free", "The position just before costs nothing: the distance is counted from it.",
        alibi, BEHIND, "behind = (distance - 1).clamp(min=0)"),
    KnownMistake("distance_cut_off", "The distance is cut off at 8.", alibi, BEHIND, "behind = distance.clamp(min=0, max=8)"),
    KnownMistake("distance_in_bfloat16", "Distances are kept in bfloat16, which holds whole numbers up to 256 only.",
        alibi, BEHIND, "behind = distance.clamp(min=0).to(torch.bfloat16).float()"),
    KnownMistake("distance_in_int8", "Distances are kept in int8: beyond 127 they wrap around.",
        alibi, BEHIND, "behind = distance.clamp(min=0).to(torch.int8)"),
    # axes
    KnownMistake("heads_on_the_axis_of_queries", "The bias is [query, head, key]; it is [head, query, key]. Where there are as many positions as heads it goes unnoticed.",
        alibi, RESULT, "return -penalty.transpose(0, 1)", seen_in=("lucidrains/x-transformers@b4756498b307b0f173e329312f79f698315d595d",)),
    KnownMistake("queries_and_keys_exchanged", "Rows are keys and columns queries: transposed, only later keys are penalised.",
        alibi, DISTANCE, "distance = place - place.unsqueeze(1)"),
    # what is kept
    KnownMistake("kept_where_too_small", "A kept bias is used again where it is too small, and made anew where it would do: the comparison is the wrong way round.",
        alibi, RESULT, """
        kept = alibi.__dict__.get(n_heads)
        if kept is not None and kept.shape[-1] <= time:
            return kept[..., :time]
        alibi.__dict__[n_heads] = -penalty
        return -penalty
        """, seen_in=("lucidrains/x-transformers@fbbc159961a9ec6a0923a7e6f7d8dede28201671",)),
    KnownMistake("kept_and_cut_on_keys_alone", "A longer bias that was kept is cut to fewer keys, but not to fewer queries.",
        alibi, RESULT, """
        kept = alibi.__dict__.get(n_heads)
        if kept is not None and kept.shape[-1] >= time:
            return kept[..., :time]
        alibi.__dict__[n_heads] = -penalty
        return -penalty
        """, seen_in=("lucidrains/x-transformers@74f241d8fd127cd59750cf294a8e28947f289649",)),
    KnownMistake("kept_whatever_the_heads", "The slopes of the first call are kept for every number of heads below.",
        alibi, SLOPES, """
        kept = alibi.__dict__.setdefault("slopes", torch.tensor(alibi_slopes(n_heads)))
        slopes = kept[:n_heads] if len(kept) >= n_heads else torch.tensor(alibi_slopes(n_heads))
        """),
)
