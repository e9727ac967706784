"""Known mistakes in ALiBi (attention with linear biases)."""

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
    KnownMistake("slopes_start_at_one", "The first slope is 2^0: the exponent counts heads from 0. The slope of head h is 2^(-8 (h + 1) / H).",
        alibi_slopes, SERIES, "slopes = [ratio ** head for head in range(below)]", seen_in=("paiml/aprender#2143",)),
    KnownMistake("power_of_two_rule_for_all_head_counts", "The slopes are 2^(-8 (h + 1) / H) although H is no power of two. Checkpoints use the slopes of the power of two below, then every other slope of twice as many heads.",
        alibi_slopes, BELOW, "below = n_heads", looks_like=("variant=one_series",), aliases=("one_series_for_any_number",)),
    KnownMistake("next_power_of_two_truncated", "When H is no power of two, the first H slopes of the next power of two are used.",
        alibi_slopes, BELOW, "below = 2 ** math.ceil(math.log2(n_heads))", also=(Edit(alibi_slopes, ALL, "return slopes[:n_heads]"),), aliases=("next_power_of_two_cut_off",)),
    KnownMistake("slopes_repeated", "When H is no power of two, the slopes are repeated from the start.",
        alibi_slopes, ALL, "return (slopes + slopes)[:n_heads]", aliases=("slopes_taken_again",)),
    KnownMistake("extra_slopes_start_at_the_second", "The extra slopes are the 2nd, 4th, ... of twice as many heads, which are already there. Take the 1st, 3rd, ...",
        alibi_slopes, BETWEEN, "between = [finer ** (2 * head + 2) for head in range(n_heads - below)]", looks_like=("slopes_repeated",), aliases=("every_other_from_the_second",)),
    KnownMistake("slopes_sorted", "The slopes are sorted. The extra slopes come after those of the power of two, not among them.",
        alibi_slopes, ALL, "return sorted(slopes + between, reverse=True)"),
    KnownMistake("extra_slopes_first", "The extra slopes come first. They must come after those of the power of two.", alibi_slopes, ALL, "return between + slopes", aliases=("between_comes_first",)),
    KnownMistake("extra_slopes_consecutive", "The extra slopes are the first few of twice as many heads. Take every other one.",
        alibi_slopes, BETWEEN, "between = [finer ** (head + 1) for head in range(n_heads - below)]", aliases=("first_of_twice_as_many",)),
    KnownMistake("slopes_of_eight_heads", "The slopes are 1/2, 1/4, 1/8, ... for any number of heads. The ratio is 2^(-8/H).",
        alibi_slopes, BELOW, "below = n_heads", also=(Edit(alibi_slopes, RATIO, "ratio = 0.5"),)),
    KnownMistake("slopes_of_base_e", "The slopes are powers of e. They must be powers of 2.", alibi_slopes, RATIO, "ratio = math.exp(-8.0 / below)",),
    KnownMistake("ratio_from_the_full_head_count", "When H is no power of two, the ratio is still 2^(-8/H). It must come from the power of two below.",
        alibi_slopes, RATIO, "ratio = 2.0 ** (-8.0 / n_heads)", aliases=("ratio_of_all_heads",)),
    KnownMistake("slopes_in_reverse", "The first head has the smallest slope. It must have the largest.", alibi, SLOPES, "slopes = torch.tensor(alibi_slopes(n_heads)[::-1])"),
    KnownMistake("one_slope_for_all", "All heads use the first head's slope.", alibi, SLOPES, "slopes = torch.tensor(alibi_slopes(n_heads)[:1] * n_heads)"),
    KnownMistake("slopes_evenly_spaced", "The slopes decrease from 1 by equal steps. They must decrease by equal ratios.",
        alibi, SLOPES, "slopes = 1.0 - torch.arange(n_heads) / n_heads"),
    # the distance
    KnownMistake("distance_rewarded", "The sign is wrong: distant keys get higher scores.", alibi, RESULT, "return penalty"),
    KnownMistake("penalty_by_key_position", "The penalty is the slope times the key's position, so the earliest keys are favoured. It must be the slope times the distance.",
        alibi, BEHIND, "behind = place.expand(time, time)", looks_like=("distance_rewarded",), aliases=("counted_from_the_start",)),
    KnownMistake("penalty_by_query_position", "The penalty is the slope times the query's position. It is the same for all keys, so the softmax ignores it.",
        alibi, BEHIND, "behind = place.unsqueeze(1).expand(time, time)", aliases=("constant_in_each_row",)),
    KnownMistake("squared_distance", "The penalty grows with the square of the distance. It must be linear.", alibi, BEHIND, "behind = distance.clamp(min=0) ** 2"),
    KnownMistake("logarithm_of_the_distance", "The penalty grows with the logarithm of the distance (as in KERPLE). It must be linear.",
        alibi, BEHIND, "behind = torch.log1p(distance.clamp(min=0))"),
    KnownMistake("divided_by_the_length", "The distance is divided by the sequence length: the penalty of a neighbouring key changes as the sequence grows.",
        alibi, PENALTY, "penalty = slopes.reshape(-1, 1, 1) * behind / time"),
    KnownMistake("distance_off_by_one", "The key just before the query has no penalty: the distance is one too small.",
        alibi, BEHIND, "behind = (distance - 1).clamp(min=0)", aliases=("first_neighbour_free",)),
    KnownMistake("distance_clamped", "The distance is clamped at 8.", alibi, BEHIND, "behind = distance.clamp(min=0, max=8)", aliases=("distance_cut_off",)),
    KnownMistake("distance_in_bfloat16", "Distances are stored in bfloat16, which holds integers exactly only up to 256.",
        alibi, BEHIND, "behind = distance.clamp(min=0).to(torch.bfloat16).float()"),
    KnownMistake("distance_in_int8", "Distances are stored in int8: beyond 127 they wrap around.",
        alibi, BEHIND, "behind = distance.clamp(min=0).to(torch.int8)"),
    # axes
    KnownMistake("head_and_query_axes_exchanged", "The bias is [query, head, key]. It must be [head, query, key]. With as many positions as heads no shape error shows it.",
        alibi, RESULT, "return -penalty.transpose(0, 1)", seen_in=("lucidrains/x-transformers@b4756498b307b0f173e329312f79f698315d595d",), aliases=("heads_on_the_axis_of_queries",)),
    KnownMistake("queries_and_keys_exchanged", "Rows are keys and columns are queries: the bias is transposed, and only later keys are penalised.",
        alibi, DISTANCE, "distance = place - place.unsqueeze(1)"),
    # the cached bias
    KnownMistake("cache_check_inverted", "The length check of the cached bias is inverted: a bias that is too short is reused, one that is long enough is computed again.",
        alibi, RESULT, """
        kept = alibi.__dict__.get(n_heads)
        if kept is not None and kept.shape[-1] <= time:
            return kept[..., :time]
        alibi.__dict__[n_heads] = -penalty
        return -penalty
        """, seen_in=("lucidrains/x-transformers@fbbc159961a9ec6a0923a7e6f7d8dede28201671",), aliases=("kept_where_too_small",)),
    KnownMistake("cached_bias_cropped_on_keys_only", "A longer cached bias is cropped to fewer keys but not to fewer queries.",
        alibi, RESULT, """
        kept = alibi.__dict__.get(n_heads)
        if kept is not None and kept.shape[-1] >= time:
            return kept[..., :time]
        alibi.__dict__[n_heads] = -penalty
        return -penalty
        """, seen_in=("lucidrains/x-transformers@74f241d8fd127cd59750cf294a8e28947f289649",), aliases=("kept_and_cut_on_keys_alone",)),
    KnownMistake("slopes_cached_for_fewer_heads", "The slopes of the first call are cached and reused for every smaller number of heads.",
        alibi, SLOPES, """
        kept = alibi.__dict__.setdefault("slopes", torch.tensor(alibi_slopes(n_heads)))
        slopes = kept[:n_heads] if len(kept) >= n_heads else torch.tensor(alibi_slopes(n_heads))
        """, aliases=("kept_whatever_the_heads",)),
)
