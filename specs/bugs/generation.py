"""Known mistakes in text generation."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.generation import generation

LOOP = "for _ in range(max_new_tokens):"
SEEN = "seen = ids[:, -self.config.context :]"
LAST = "last = logits[:, -1]"
PROBABILITIES = "probabilities = next_token_distribution(last, temperature, top_k, top_p)"
DRAWN = "drawn = torch.multinomial(probabilities, 1)"
HELD = "drawn = drawn.masked_fill(ended, end_token)"
ENDED = "ended = ended | (drawn == end_token)"
NONE_YET = "ended = torch.zeros(ids.shape[0], 1, dtype=torch.bool)"
JOINED = "ids = torch.cat([ids, drawn], dim=1)"
ALL = "if bool(ended.all()):"
OVERWRITTEN = """if bool(ended.all()):
    behind = (ids[:, start:] == end_token).long().cumsum(1) - (ids[:, start:] == end_token).long() > 0
    ids = torch.cat([ids[:, :start], ids[:, start:].masked_fill(behind, end_token)], dim=1)"""

MISTAKES = (
    # the model's input
    KnownMistake("cropped_to_the_first", "Beyond the context you keep the first ids. Keep the last ones: ids[:, -context:].",
        generation.generate, SEEN, "seen = ids[:, : self.config.context]", aliases=("first_of_the_context_seen",)),
    KnownMistake("cropped_too_short", "You crop to one id less than the context holds.",
        generation.generate, SEEN, "seen = ids[:, -(self.config.context - 1) :]"),
    KnownMistake("only_the_last_id_seen", "The model is given only the last id. Without a cache it needs all of them.",
        generation.generate, SEEN, "seen = ids[:, -1:]"),
    KnownMistake("only_the_prompt_seen", "The model is given only the prompt at every step. It must also see the ids generated so far.",
        generation.generate, SEEN, 'seen = ids[:, : self.__dict__.setdefault("prompt", ids.shape[1])]', aliases=("prompt_seen_over_and_over",)),
    KnownMistake("ids_carried_across_calls", "Ids from an earlier call are still part of the model's input. Start from the prompt only.",
        generation.generate, SEEN,
        'seen = torch.cat([self.__dict__.setdefault("kept", ids[:, :1]), ids[:, 1:]], 1)[:, -self.config.context :]', aliases=("earlier_ids_kept",)),
    KnownMistake("rows_merged", "The rows of the batch are merged into one sequence. Each row is a sequence of its own.",
        generation.generate, SEEN, "seen = ids.sum(0, keepdim=True).remainder(self.config.vocab_size).expand_as(ids)[:, -self.config.context :]", aliases=("rows_in_one_context",)),
    # which logits are read
    KnownMistake("first_position_read", "You read the logits of the first position. The logits of the last position predict the next id.",
        generation.generate, LAST, "last = logits[:, 0]"),
    KnownMistake("second_to_last_position_read", "You read the logits of the second-to-last position. They predict the id that is already last.",
        generation.generate, LAST, "last = logits[:, max(logits.shape[1] - 2, 0)]", aliases=("last_but_one_read",)),
    KnownMistake("mean_of_all_positions", "You average the logits over all positions. The logits of the last position predict the next id.",
        generation.generate, LAST, "last = logits.mean(1)"),
    KnownMistake("maximum_over_positions", "You take the maximum of the logits over positions. The logits of the last position predict the next id.",
        generation.generate, LAST, "last = logits.amax(1)", aliases=("largest_over_positions",)),
    # sampling
    KnownMistake("always_greedy", "You always take the most likely id. At temperature 1 the id must be sampled from the distribution.",
        generation.generate, DRAWN, "drawn = probabilities.argmax(-1, keepdim=True)", aliases=("always_the_most_likely",)),
    KnownMistake("zero_temperature_not_greedy", "Temperature 0 samples as temperature 1 does (`if temperature:` skips it). It must take the most likely id.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, temperature or 1.0, top_k, top_p)",
        seen_in=("TransformerLensOrg/TransformerLens@cd4efe8b6d6b56f5fc9e88bb6f29100b919b5e64",), aliases=("zero_draws",)),
    KnownMistake("temperature_ignored", "The temperature is not used.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, float(temperature > 0), top_k, top_p)", aliases=("temperature_forgotten",)),
    KnownMistake("multiplied_by_the_temperature", "You multiply the logits by the temperature. Divide by it: a low temperature must sharpen the distribution.",
        generation.generate, PROBABILITIES,
        "probabilities = next_token_distribution(last, 1 / temperature if temperature else 0.0, top_k, top_p)"),
    KnownMistake("top_k_ignored", "top_k is not used.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, temperature, None, top_p)", aliases=("top_k_forgotten",)),
    KnownMistake("top_p_ignored", "top_p is not used.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, temperature, top_k, None)", aliases=("top_p_forgotten",)),
    KnownMistake("sampled_uniformly", "Every id is sampled with the same probability (torch.randint).",
        generation.generate, DRAWN, "drawn = torch.multinomial(probabilities.gt(0).to(probabilities.dtype), 1)", aliases=("drawn_from_all_alike",)),
    KnownMistake("softmax_twice", "The softmax is applied twice: the distribution to sample from is too flat.",
        generation.generate, DRAWN, "drawn = torch.multinomial(torch.softmax(probabilities.masked_fill(probabilities == 0, float('-inf')), -1), 1)",
        looks_like=("sampled_uniformly",), aliases=("drawn_from_probabilities_twice",)),
    KnownMistake("first_row_for_all", "The id sampled for the first row is written into every row. Each row must sample its own.",
        generation.generate, DRAWN, "drawn = torch.multinomial(probabilities[:1], 1).expand(ids.shape[0], 1)"),
    KnownMistake("seeded_inside", "The generator is seeded inside: every call samples the same ids.",
        generation.generate, NONE_YET, f"{NONE_YET}\ntorch.manual_seed(1337)"),
    # what is returned
    KnownMistake("one_id_too_many", "One more id than requested is generated.",
        generation.generate, LOOP, "for _ in range(max_new_tokens + 1):"),
    KnownMistake("one_id_too_few", "One id less than requested is generated.",
        generation.generate, LOOP, "for _ in range(max_new_tokens - 1):"),
    KnownMistake("prompt_counted_as_new", "The prompt counts towards max_new_tokens. Only generated ids must count.",
        generation.generate, LOOP, "for _ in range(max_new_tokens - ids.shape[1]):", aliases=("counted_with_the_prompt",)),
    KnownMistake("new_id_prepended", "The new id is prepended. It must be appended.", generation.generate, JOINED, "ids = torch.cat([drawn, ids], dim=1)", aliases=("written_in_front",)),
    KnownMistake("last_id_overwritten", "The new id replaces the last one. It must be appended.",
        generation.generate, JOINED, "ids = torch.cat([ids[:, :-1], drawn], dim=1)"),
    # the end token
    KnownMistake("end_token_ignored", "Generation does not stop at the end token.", generation.generate, ENDED, "pass"),
    KnownMistake("first_end_stops_all", "The first row that ends stops all rows (any). Stop when all rows have ended.",
        generation.generate, ALL, "if bool(ended.any()):"),
    KnownMistake("first_row_decides_when_to_stop", "Generation stops when the first row has ended. Stop when all rows have ended.",
        generation.generate, ALL, "if bool(ended[0]):", looks_like=("first_end_stops_all",), aliases=("first_row_decides",)),
    KnownMistake("ended_rows_keep_generating", "A row that has ended keeps generating while others have not. Fill it with the end token.", generation.generate, HELD, "pass", aliases=("ended_rows_go_on",)),
    KnownMistake("filled_only_when_all_have_ended", "What a row generates after its end token is overwritten only when every row has ended. Fill it at once: another row may never end.",
        generation.generate, HELD, "pass",
        also=(Edit(generation.generate, NONE_YET, NONE_YET + "\nstart = ids.shape[1]"), Edit(generation.generate, ALL, OVERWRITTEN))),
    KnownMistake("ended_by_the_prompt", "An end token in the prompt counts as the end. Only generated ones count: GPT-2's end token precedes every text.",
        generation.generate, NONE_YET,
        "ended = torch.zeros(ids.shape[0], 1, dtype=torch.bool) if end_token is None else (ids == end_token).any(1, keepdim=True)"),
)
