"""Known mistakes between logits and the distribution of the next id."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.next_token_distribution import next_token_distribution, only_the_most_likely, only_the_nucleus

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
UNSORTED = "left_out = torch.zeros_like(too_late).scatter(-1, order, too_late)"

MISTAKES = (
    # temperature
    KnownMistake("multiplied_by_the_temperature", "You multiply by the temperature; dividing by it is what makes a low one greedy.",
        next_token_distribution, DIVIDED, "scores = logits * temperature"),
    KnownMistake("temperature_forgotten", "The temperature is not used.", next_token_distribution, DIVIDED, "scores = logits"),
    KnownMistake("temperature_on_probabilities", "You divide probabilities by the temperature and take their softmax; the logits are divided.",
        next_token_distribution, DIVIDED, "scores = torch.softmax(logits, dim=-1) / temperature"),
    KnownMistake("root_of_the_temperature", "You divide by the square root of the temperature; by the temperature itself.",
        next_token_distribution, DIVIDED, "scores = logits / temperature**0.5"),
    KnownMistake("zero_takes_the_least", "At temperature 0 you take the smallest logit (argmin); greedy is the largest.",
        next_token_distribution, "best = logits.argmax(dim=-1, keepdim=True)", "best = logits.argmin(dim=-1, keepdim=True)"),
    KnownMistake("zero_draws_from_all", "At temperature 0 the plain distribution comes back; temperature 0 is greedy.",
        next_token_distribution, "return torch.zeros_like(logits).scatter(-1, best, 1.0)", "return torch.softmax(logits, dim=-1)"),
    # top-k
    KnownMistake("top_k_ignored", "top_k is not used.", next_token_distribution, HIGHEST, "pass"),
    KnownMistake("one_candidate_too_many", "You keep k + 1 ids: the threshold is the k-th largest, at index k - 1.",
        only_the_most_likely, KEPT, "kept = min(top_k + 1, scores.shape[-1])"),
    KnownMistake("one_candidate_too_few", "You keep k - 1 ids: what equals the k-th largest must stay.",
        only_the_most_likely, KEPT, "kept = max(min(top_k, scores.shape[-1]) - 1, 1)"),
    KnownMistake("ties_with_the_last_dropped", "You drop what is <= the k-th largest, and the k-th with it: drop what is < it.",
        only_the_most_likely, BELOW, "left_out = scores <= least"),
    KnownMistake("the_least_likely_kept", "You keep the k smallest logits (largest=False, or an ascending sort); the k largest.",
        only_the_most_likely, BELOW, "left_out = scores > scores.topk(kept, dim=-1, largest=False).values[..., -1:]"),
    KnownMistake("threshold_is_the_largest", "The threshold is the largest of the k, so that one id is left: it is the last of them.",
        only_the_most_likely, LEAST, "least = highest[..., :1]"),
    KnownMistake("threshold_over_the_batch", "One threshold for the whole batch: each row has its own (dim=-1, keepdim=True).",
        only_the_most_likely, LEAST, "least = highest[..., -1].max()",
        seen_in=("lucidrains/x-transformers@0c7bcf1541aa6f65bf94ae98e32780d65e5154c5",)),
    KnownMistake("threshold_of_the_first_row", "Every row is cut at the first row's threshold (v[0, -1]): each has its own, v[:, [-1]].",
        only_the_most_likely, LEAST, "least = highest[(0,) * (highest.dim() - 1)][-1]"),
    KnownMistake("filtered_to_zero", "Dropped logits become 0, which is a probability like others: they must become -inf.",
        only_the_most_likely, FILLED, "return scores.masked_fill(left_out, 0.0)"),
    KnownMistake("more_candidates_than_ids_refused", "topk(top_k) raises where the vocabulary is smaller: min(top_k, vocab_size).",
        only_the_most_likely, KEPT, "kept = top_k", seen_in=("karpathy/nanoGPT@91d02510ce8c832923d0a6408d983e2d55f0291e",)),
    KnownMistake("logits_changed_in_place", "You write -inf into the logits you were given (logits[logits < v] = -inf): whoever uses them after you sees it.",
        only_the_most_likely, FILLED, 'return scores.masked_fill_(left_out, float("-inf"))',
        also=(Edit(next_token_distribution, DIVIDED, "scores = logits if temperature == 1.0 else logits / temperature"),)),
    # top-p
    KnownMistake("top_p_ignored", "top_p is not used.", next_token_distribution, NUCLEUS, "pass"),
    KnownMistake("top_p_skipped_beside_top_k", "Where top_k is given, top_p is not used (a return, or an elif): both filters act.",
        next_token_distribution, NUCLEUS, "scores = only_the_nucleus(scores, top_p if top_k is None else None)",
        seen_in=("shiyu-coder/Kronos#262",)),
    KnownMistake("crossing_id_dropped", "You drop the id with which p is reached: the sum of what is left must reach p.",
        only_the_nucleus, TOO_LATE, "too_late = reached > top_p"),
    KnownMistake("one_id_too_many", "You keep one id beyond the one with which p is reached (the mask is shifted twice).",
        only_the_nucleus, BEFORE, "before = reached - probabilities - probabilities.roll(1, -1)"),
    KnownMistake("ascending", "You sum from the least likely id on, and keep those: sort descending.",
        only_the_nucleus, ORDERED, "ordered, order = scores.sort(dim=-1)"),
    KnownMistake("sorting_not_undone", "The mask is in sorted order and is used on logits in their own: scatter it back first.",
        only_the_nucleus, UNSORTED, "left_out = too_late"),
    KnownMistake("gathered_not_scattered", "You gather with the sort's indices where they must scatter: that sorts a second time.",
        only_the_nucleus, UNSORTED, "left_out = too_late.gather(-1, order)"),
    KnownMistake("complement_of_p", "You keep a share of 1 - p: p is the share that stays.",
        only_the_nucleus, TOO_LATE, "too_late = before >= 1 - top_p"),
    KnownMistake("summed_over_the_batch", "The cumulative sum runs over the batch: dim=-1.",
        only_the_nucleus, REACHED, "reached = probabilities.cumsum(dim=0)"),
    KnownMistake("share_of_logits", "You sum logits instead of probabilities: the softmax comes first.",
        only_the_nucleus, PROBABILITIES, "probabilities = ordered"),
    KnownMistake("min_p_for_top_p", "You keep what has at least p times the largest probability, which is min-p; top-p sums probabilities.",
        only_the_nucleus, TOO_LATE, "too_late = probabilities < top_p * probabilities[..., :1]"),
    KnownMistake("threshold_on_single_ids", "You keep ids whose own probability is at least p: it is the sum that must reach p.",
        only_the_nucleus, TOO_LATE, "too_late = probabilities < top_p"),
    KnownMistake("tiny_top_p_drops_everything", "A small p drops every id, for 1 - p rounds to 1: the most likely one must always stay.",
        only_the_nucleus, TOO_LATE, "too_late = 1 - before <= torch.ones((), dtype=scores.dtype) - top_p",
        also=(Edit(only_the_nucleus, FIRST, "pass"),), seen_in=("ml-explore/mlx-lm#1912",)),
    KnownMistake("not_normalised_after_top_k", "top-p sums the probabilities of before top-k, from the small end: after a small top_k nothing is left.",
        next_token_distribution, NUCLEUS,
        """mass = torch.softmax(logits / temperature, dim=-1).masked_fill(scores.isinf(), 0.0).sum(-1, keepdim=True)
scores = only_the_nucleus(scores, None if top_p is None else 1 - (1 - top_p) / mass)""",
        also=(Edit(only_the_nucleus, FIRST, "pass"),), seen_in=("ml-explore/mlx-lm#388",)),
    KnownMistake("not_normalised_again", "What is left is not normalised again: its probabilities must sum to 1.",
        next_token_distribution, RESULT, "return torch.where(scores.isinf(), 0.0, torch.softmax(logits / temperature, dim=-1))"),
    KnownMistake("filters_probabilities_as_logits", "The softmax is taken twice: it makes the distribution flatter.",
        next_token_distribution, RESULT, "return torch.softmax(torch.softmax(scores, dim=-1).masked_fill(scores.isinf(), float('-inf')), dim=-1)"),
    KnownMistake("softmax_over_the_batch", "The softmax runs over the batch: dim=-1.",
        next_token_distribution, RESULT, "return torch.softmax(scores, dim=0).nan_to_num()"),
    KnownMistake("exponentials_without_the_maximum", "exp(logits) overflows: subtract the maximum first, or use torch.softmax.",
        next_token_distribution, RESULT, "return torch.exp(scores) / torch.exp(scores).sum(dim=-1, keepdim=True)"),
    KnownMistake("logarithms_returned", "Logarithms come back (log_softmax): probabilities are asked for.",
        next_token_distribution, RESULT, "return torch.log_softmax(scores, dim=-1)"),
    KnownMistake("logits_returned", "Filtered logits come back, without the softmax.", next_token_distribution, RESULT, "return scores"),
)
