"""Known mistakes in turning logits into the next-token distribution."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.next_token_distribution import (
    next_token_distribution,
    only_near_the_best,
    only_the_most_likely,
    only_the_nucleus,
    penalised,
)

DIVIDED = "scores = logits / temperature"
HIGHEST = "scores = only_the_most_likely(scores, top_k)"
NUCLEUS = "scores = only_the_nucleus(scores, top_p)"
RESULT = "return torch.softmax(scores, dim=-1)"
KEPT = "kept = min(top_k, scores.shape[-1])"
BEST_K = "highest = scores.topk(kept, dim=-1).values"
LEAST = "least = highest[..., -1:]"
BELOW = "left_out = scores < least"
FILLED = 'return scores.masked_fill(left_out, float("-inf"))'
ORDERED = "ordered, order = scores.sort(dim=-1, descending=True)"
PROBABILITIES = "probabilities = torch.softmax(ordered, dim=-1)"
REACHED = "reached = probabilities.cumsum(dim=-1)"
BEFORE = "before = reached - probabilities"
TOO_LATE = "too_late = before >= top_p"
FIRST = "too_late[..., 0] = False"
PENALISED = "logits = penalised(logits, previous, repetition_penalty, presence_penalty, frequency_penalty)"
PLACE = "first, last = None, min_p"
UNLIKELY = "unlikely = probabilities < min_p * largest"
BEST_STAYS = "left_out = unlikely & (probabilities < largest)"
LARGEST = "largest = probabilities.amax(dim=-1, keepdim=True)"
COUNTS = "counts = torch.zeros_like(logits).scatter_add(-1, previous, ones)"
PRESENT = "present = counts > 0"
RESCALED = "rescaled = torch.where(logits > 0, logits / repetition, logits * repetition)"
SCORES = "scores = torch.where(present, rescaled, logits)"
PRESENCE = "scores = scores - presence * present"
FREQUENCY = "return scores - frequency * counts"
UNSORTED = "left_out = torch.zeros_like(too_late).scatter(-1, order, too_late)"

MISTAKES = (
    # temperature
    KnownMistake("multiplied_by_the_temperature", "The logits are multiplied by the temperature. Divide by it: a low temperature must sharpen the distribution.",
        next_token_distribution, DIVIDED, "scores = logits * temperature"),
    KnownMistake("temperature_ignored", "The temperature is not used.", next_token_distribution, DIVIDED, "scores = logits", aliases=("temperature_forgotten",)),
    KnownMistake("temperature_on_probabilities", "The temperature divides the probabilities, and a second softmax follows. It must divide the logits.",
        next_token_distribution, DIVIDED, "scores = torch.softmax(logits, dim=-1) / temperature"),
    KnownMistake("divided_by_root_of_temperature", "The logits are divided by the square root of the temperature. Divide by the temperature itself.",
        next_token_distribution, DIVIDED, "scores = logits / temperature**0.5", aliases=("root_of_the_temperature",)),
    KnownMistake("zero_temperature_takes_argmin", "At temperature 0 the smallest logit wins (argmin). Greedy decoding takes the largest (argmax).",
        next_token_distribution, "best = logits.argmax(dim=-1, keepdim=True)", "best = logits.argmin(dim=-1, keepdim=True)", aliases=("zero_takes_the_least",)),
    KnownMistake("zero_temperature_not_greedy", "At temperature 0 the plain softmax is returned. Temperature 0 means greedy: all probability on the largest logit.",
        next_token_distribution, "return torch.zeros_like(logits).scatter(-1, best, 1.0)", "return torch.softmax(logits, dim=-1)", aliases=("zero_draws_from_all",)),
    # top-k
    KnownMistake("top_k_ignored", "top_k is not used.", next_token_distribution, HIGHEST, "pass"),
    KnownMistake("top_k_keeps_one_too_many", "Top-k keeps k + 1 ids. The threshold is the k-th largest logit, at index k - 1.",
        only_the_most_likely, KEPT, "kept = min(top_k + 1, scores.shape[-1])", aliases=("one_candidate_too_many",)),
    KnownMistake("top_k_keeps_one_too_few", "Top-k keeps k - 1 ids. The k-th largest logit must stay.",
        only_the_most_likely, KEPT, "kept = max(min(top_k, scores.shape[-1]) - 1, 1)", aliases=("one_candidate_too_few",)),
    KnownMistake("top_k_drops_the_kth_largest", "Top-k drops every logit <= the k-th largest, and so the k-th itself. Drop only those < it.",
        only_the_most_likely, BELOW, "left_out = scores <= least", aliases=("ties_with_the_last_dropped",)),
    KnownMistake("top_k_keeps_the_smallest", "Top-k keeps the k smallest logits (largest=False, or an ascending sort). Keep the k largest.",
        only_the_most_likely, BELOW, "left_out = scores > scores.topk(kept, dim=-1, largest=False).values[..., -1:]", aliases=("the_least_likely_kept",)),
    KnownMistake("top_k_threshold_is_the_maximum", "The top-k threshold is the largest of the k logits, so only one id remains. It must be the smallest of the k.",
        only_the_most_likely, LEAST, "least = highest[..., :1]", aliases=("threshold_is_the_largest",)),
    KnownMistake("top_k_threshold_shared_by_the_batch", "One top-k threshold is used for the whole batch. Each row has its own (dim=-1, keepdim=True).",
        only_the_most_likely, LEAST, "least = highest[..., -1].max()",
        seen_in=("lucidrains/x-transformers@0c7bcf1541aa6f65bf94ae98e32780d65e5154c5",), aliases=("threshold_over_the_batch",)),
    KnownMistake("top_k_threshold_of_the_first_row", "Every row uses the top-k threshold of the first row (v[0, -1]). Each row has its own: v[:, [-1]].",
        only_the_most_likely, LEAST, "least = highest[(0,) * (highest.dim() - 1)][-1]", aliases=("threshold_of_the_first_row",)),
    KnownMistake("filtered_logits_set_to_zero", "Filtered logits are set to 0, which still gives them probability. Set them to -inf.",
        only_the_most_likely, FILLED, "return scores.masked_fill(left_out, 0.0)", aliases=("filtered_to_zero",)),
    KnownMistake("top_k_above_vocab_size_raises", "topk(top_k) raises an error when top_k exceeds the vocabulary size. Use min(top_k, vocab_size).",
        only_the_most_likely, KEPT, "kept = top_k", seen_in=("karpathy/nanoGPT@91d02510ce8c832923d0a6408d983e2d55f0291e",), aliases=("more_candidates_than_ids_refused",)),
    KnownMistake("logits_modified_in_place", "-inf is written into the caller's logits (logits[logits < v] = -inf). Later code that uses them sees the change.",
        only_the_most_likely, FILLED, 'return scores.masked_fill_(left_out, float("-inf"))',
        also=(Edit(next_token_distribution, DIVIDED, "scores = logits if temperature == 1.0 else logits / temperature"),), aliases=("logits_changed_in_place",)),
    # top-p
    KnownMistake("top_p_ignored", "top_p is not used.", next_token_distribution, NUCLEUS, "pass"),
    KnownMistake("top_p_skipped_when_top_k_is_set", "top_p is skipped when top_k is given (an early return, or an elif). Both filters must apply.",
        next_token_distribution, NUCLEUS, "scores = only_the_nucleus(scores, top_p if top_k is None else None)",
        seen_in=("shiyu-coder/Kronos#262",), aliases=("top_p_skipped_beside_top_k",)),
    KnownMistake("top_p_drops_the_crossing_id", "Top-p drops the id at which the cumulative probability reaches p. The kept probabilities must sum to at least p.",
        only_the_nucleus, TOO_LATE, "too_late = reached > top_p", aliases=("crossing_id_dropped",)),
    KnownMistake("top_p_keeps_one_too_many", "Top-p keeps one id after the cumulative probability has reached p (the mask is shifted twice).",
        only_the_nucleus, BEFORE, "before = reached - probabilities - probabilities.roll(1, -1)", aliases=("one_id_too_many",)),
    KnownMistake("top_p_sorts_ascending", "Top-p sorts in ascending order and keeps the least likely ids. Sort in descending order.",
        only_the_nucleus, ORDERED, "ordered, order = scores.sort(dim=-1)", aliases=("ascending",)),
    KnownMistake("sort_order_not_undone", "The top-p mask is in sorted order but is applied to the unsorted logits. Scatter it back first.",
        only_the_nucleus, UNSORTED, "left_out = too_late", aliases=("sorting_not_undone",)),
    KnownMistake("mask_gathered_not_scattered", "The top-p mask is mapped back with gather and the sort indices, which permutes it a second time. Use scatter.",
        only_the_nucleus, UNSORTED, "left_out = too_late.gather(-1, order)", aliases=("gathered_not_scattered",)),
    KnownMistake("top_p_uses_one_minus_p", "Top-p keeps a total probability of 1 - p. It must keep a total probability of p.",
        only_the_nucleus, TOO_LATE, "too_late = before >= 1 - top_p", aliases=("complement_of_p",)),
    KnownMistake("top_p_cumsum_over_the_batch", "The top-p cumulative sum runs over the batch (dim=0). Use dim=-1.",
        only_the_nucleus, REACHED, "reached = probabilities.cumsum(dim=0)", aliases=("summed_over_the_batch",)),
    KnownMistake("top_p_cumsum_of_logits", "Top-p sums logits. Apply the softmax first and sum probabilities.",
        only_the_nucleus, PROBABILITIES, "probabilities = ordered", aliases=("share_of_logits",)),
    KnownMistake("min_p_for_top_p", "Ids with at least p times the largest probability are kept: this is min-p. Top-p uses the cumulative probability.",
        only_the_nucleus, TOO_LATE, "too_late = probabilities < top_p * probabilities[..., :1]"),
    KnownMistake("top_p_thresholds_each_id", "Ids whose own probability is at least p are kept. Top-p compares the cumulative probability with p.",
        only_the_nucleus, TOO_LATE, "too_late = probabilities < top_p", aliases=("threshold_on_single_ids",)),
    KnownMistake("tiny_top_p_drops_everything", "A tiny p drops every id, because 1 - p rounds to 1. The most likely id must always stay.",
        only_the_nucleus, TOO_LATE, "too_late = 1 - before <= torch.ones((), dtype=scores.dtype) - top_p",
        also=(Edit(only_the_nucleus, FIRST, "pass"),), seen_in=("ml-explore/mlx-lm#1912",)),
    KnownMistake("top_p_not_renormalised_after_top_k", "Top-p uses the probabilities from before top-k, summed from the least likely up. After a small top_k no id is left.",
        next_token_distribution, NUCLEUS,
        """mass = torch.softmax(logits / temperature, dim=-1).masked_fill(scores.isinf(), 0.0).sum(-1, keepdim=True)
scores = only_the_nucleus(scores, None if top_p is None else 1 - (1 - top_p) / mass)""",
        also=(Edit(only_the_nucleus, FIRST, "pass"),), seen_in=("ml-explore/mlx-lm#388",), aliases=("not_normalised_after_top_k",)),
    KnownMistake("not_renormalised", "The remaining probabilities are not renormalised. They must sum to one.",
        next_token_distribution, RESULT, "return torch.where(scores.isinf(), 0.0, torch.softmax(logits / temperature, dim=-1))", aliases=("not_normalised_again",)),
    KnownMistake("softmax_twice", "The softmax is applied twice. This flattens the distribution.",
        next_token_distribution, RESULT, "return torch.softmax(torch.softmax(scores, dim=-1).masked_fill(scores.isinf(), float('-inf')), dim=-1)", aliases=("filters_probabilities_as_logits",)),
    KnownMistake("softmax_over_the_batch", "The softmax runs over the batch (dim=0). Use dim=-1.",
        next_token_distribution, RESULT, "return torch.softmax(scores, dim=0).nan_to_num()"),
    KnownMistake("maximum_not_subtracted", "exp(logits) overflows. Subtract the maximum first, or use torch.softmax.",
        next_token_distribution, RESULT, "return torch.exp(scores) / torch.exp(scores).sum(dim=-1, keepdim=True)", aliases=("exponentials_without_the_maximum",)),
    KnownMistake("log_probabilities_returned", "The function returns log-probabilities (log_softmax). It must return probabilities.",
        next_token_distribution, RESULT, "return torch.log_softmax(scores, dim=-1)", aliases=("logarithms_returned",)),
    KnownMistake("logits_returned", "The function returns the filtered logits. The softmax is missing.", next_token_distribution, RESULT, "return scores"),
    # min-p
    KnownMistake("min_p_ignored", "min_p is not used.", next_token_distribution, PLACE, "first, last = None, None"),
    KnownMistake("min_p_compares_absolutely", "Ids whose own probability is below min_p are dropped. min-p compares with min_p times the largest probability.",
        only_near_the_best, UNLIKELY, "unlikely = probabilities < min_p", also=(Edit(only_near_the_best, BEST_STAYS, "left_out = unlikely"),)),
    KnownMistake("min_p_on_logits", "min-p compares logits with min_p times the largest logit. Compare probabilities.",
        only_near_the_best, UNLIKELY, "unlikely = scores < min_p * scores.amax(dim=-1, keepdim=True)", also=(Edit(only_near_the_best, BEST_STAYS, "left_out = unlikely"),)),
    KnownMistake("min_p_drops_the_largest", "min-p drops every id with a probability <= min_p times the largest. With min_p = 1 no id is left. Drop only those < it.",
        only_near_the_best, UNLIKELY, "unlikely = probabilities <= min_p * largest", also=(Edit(only_near_the_best, BEST_STAYS, "left_out = unlikely"),)),
    KnownMistake("min_p_keeps_the_unlikely", "min-p keeps the ids below the threshold and drops those above it.",
        only_near_the_best, UNLIKELY, "unlikely = probabilities > min_p * largest", also=(Edit(only_near_the_best, BEST_STAYS, "left_out = unlikely"),)),
    KnownMistake("min_p_uses_one_minus_p", "min-p drops the ids below 1 - min_p times the largest probability. The factor is min_p.",
        only_near_the_best, UNLIKELY, "unlikely = probabilities < (1 - min_p) * largest", also=(Edit(only_near_the_best, BEST_STAYS, "left_out = unlikely"),)),
    KnownMistake("min_p_largest_of_the_batch", "min-p compares with the largest probability of the whole batch. Each row has its own (dim=-1, keepdim=True).",
        only_near_the_best, LARGEST, "largest = probabilities.amax()"),
    KnownMistake("min_p_filtered_to_zero", "Logits that min-p drops are set to 0, which still gives them probability. Set them to -inf.",
        only_near_the_best, FILLED, "return scores.masked_fill(left_out, 0.0)"),
    # penalties of previous ids
    KnownMistake("repetition_penalty_ignored", "repetition_penalty is not used.", penalised, SCORES, "scores = logits"),
    KnownMistake("repetition_penalty_per_occurrence", "The repetition penalty is applied once for every occurrence of an id. Apply it once per id.",
        penalised, RESCALED, "rescaled = torch.where(logits > 0, logits / repetition**counts, logits * repetition**counts)"),
    KnownMistake("repetition_penalty_divides_negative_logits", "A negative logit is divided by the repetition penalty, which raises it. Multiply negative logits.",
        penalised, RESCALED, "rescaled = logits / repetition", seen_in=("huggingface/transformers#2302", "NVIDIA-NeMo/Speech#8194", "IEIT-Yuan/Yuan-2.0#112")),
    KnownMistake("repetition_penalty_inverted", "Positive logits are multiplied by the repetition penalty and negative ones divided: previous ids become more likely.",
        penalised, RESCALED, "rescaled = torch.where(logits > 0, logits * repetition, logits / repetition)"),
    KnownMistake("repetition_penalty_subtracted", "The repetition penalty is subtracted. Divide positive logits by it, and multiply negative ones.",
        penalised, RESCALED, "rescaled = logits - repetition"),
    KnownMistake("repetition_penalty_on_new_ids", "The repetition penalty changes the ids that are not among the previous ones.",
        penalised, SCORES, "scores = torch.where(present, logits, rescaled)"),
    KnownMistake("penalised_for_other_rows", "The previous ids of every row are penalised in every row. Each row has its own.",
        penalised, COUNTS, "counts = torch.zeros_like(logits).scatter_add(-1, previous, ones).sum(0, keepdim=True).expand(logits.shape)"),
    KnownMistake("penalised_for_the_first_row", "Every row is penalised for the previous ids of the first row.",
        penalised, COUNTS, "counts = torch.zeros_like(logits).scatter_add(-1, previous, ones)[:1].expand(logits.shape)"),
    KnownMistake("only_the_last_id_penalised", "Only the last of the previous ids is penalised. Penalise all of them.",
        penalised, COUNTS, "counts = torch.zeros_like(logits).scatter_add(-1, previous[..., -1:], ones[..., -1:])"),
    KnownMistake("last_id_not_penalised", "The last of the previous ids is left out.",
        penalised, COUNTS, "counts = torch.zeros_like(logits).scatter_add(-1, previous[..., :-1], ones[..., :-1])"),
    KnownMistake("penalised_after_the_filters", "The penalties are applied after top-k and top-p, so that penalised ids keep their place among the k. Penalise the logits first.",
        next_token_distribution, PENALISED, "pass",
        also=(Edit(next_token_distribution, RESULT,
            "return torch.softmax(penalised(scores, previous, repetition_penalty, presence_penalty, frequency_penalty) if previous is not None else scores, dim=-1)"),)),
    KnownMistake("repetition_penalty_on_probabilities", "The probabilities are divided by the repetition penalty. It must act on the logits, before the softmax.",
        penalised, RESCALED, "rescaled = logits - torch.log(torch.as_tensor(repetition, dtype=logits.dtype))"),
    KnownMistake("penalty_written_into_the_logits", "The penalised logits are written into the caller's tensor. Later code that uses them sees the change.",
        penalised, SCORES, "scores = logits.data.copy_(torch.where(present, rescaled, logits))"),
    KnownMistake("presence_penalty_ignored", "presence_penalty is not used.", penalised, PRESENCE, "pass"),
    KnownMistake("presence_penalty_per_occurrence", "The presence penalty is subtracted for every occurrence of an id. Subtract it once per id; the frequency penalty counts.",
        penalised, PRESENCE, "scores = scores - presence * counts"),
    KnownMistake("frequency_penalty_ignored", "frequency_penalty is not used.", penalised, FREQUENCY, "return scores"),
    KnownMistake("frequency_penalty_once_per_id", "The frequency penalty is subtracted once per id. Multiply it by the number of occurrences.",
        penalised, FREQUENCY, "return scores - frequency * present"),
    KnownMistake("penalties_added", "The presence and the frequency penalty are added: previous ids become more likely. Subtract them.",
        penalised, PRESENCE, "scores = scores + presence * present", also=(Edit(penalised, FREQUENCY, "return scores + frequency * counts"),)),
    KnownMistake("frequency_penalty_of_the_mean", "The frequency penalty is multiplied by the share of the row that an id takes. Multiply it by the number of occurrences.",
        penalised, FREQUENCY, "return scores - frequency * counts / previous.shape[-1]"),
)
