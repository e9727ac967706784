"""Known mistakes in going on writing."""

from harness.core.mistake import KnownMistake
from reference_model.generation import generation

LOOP = "for _ in range(max_new_tokens):"
SEEN = "seen = ids[:, -self.config.context :]"
LOGITS = "logits = gpt2(seen, self.weights, self.config)"
LAST = "last = logits[:, -1]"
PROBABILITIES = "probabilities = next_token_distribution(last, temperature, top_k, top_p)"
DRAWN = "drawn = torch.multinomial(probabilities, 1)"
HELD = "drawn = drawn.masked_fill(ended, end_token)"
ENDED = "ended = ended | (drawn == end_token)"
NONE_YET = "ended = torch.zeros(ids.shape[0], 1, dtype=torch.bool)"
JOINED = "ids = torch.cat([ids, drawn], dim=1)"
ALL = "if bool(ended.all()):"

MISTAKES = (
    # what is seen
    KnownMistake("first_of_the_context_seen", "Past the context you keep the first ids: what was written last must be seen, ids[:, -context:].",
        generation.generate, SEEN, "seen = ids[:, : self.config.context]"),
    KnownMistake("cropped_too_short", "You crop to one id less than the context holds.",
        generation.generate, SEEN, "seen = ids[:, -(self.config.context - 1) :]"),
    KnownMistake("only_the_last_id_seen", "The model is given the last id alone: without a cache it must see all of them.",
        generation.generate, SEEN, "seen = ids[:, -1:]"),
    KnownMistake("prompt_seen_over_and_over", "The model is given the prompt at every step: the ids drawn since belong to it.",
        generation.generate, SEEN, 'seen = ids[:, : self.__dict__.setdefault("prompt", ids.shape[1])]'),
    KnownMistake("earlier_ids_kept", "What an earlier call wrote is still seen by the next one: begin with nothing but the prompt.",
        generation.generate, SEEN,
        'seen = torch.cat([self.__dict__.setdefault("kept", ids[:, :1]), ids[:, 1:]], 1)[:, -self.config.context :]'),
    KnownMistake("rows_in_one_context", "The rows of the batch are joined into one text; each has its own.",
        generation.generate, SEEN, "seen = ids.sum(0, keepdim=True).remainder(self.config.vocab_size).expand_as(ids)[:, -self.config.context :]"),
    # what is read
    KnownMistake("first_position_read", "You read the logits of the first position; the next id is what the last one gives.",
        generation.generate, LAST, "last = logits[:, 0]"),
    KnownMistake("last_but_one_read", "You read the logits of the last position but one, which gave the id that stands last already.",
        generation.generate, LAST, "last = logits[:, max(logits.shape[1] - 2, 0)]"),
    KnownMistake("mean_of_all_positions", "You average the logits over all positions: the last one gives the next id.",
        generation.generate, LAST, "last = logits.mean(1)"),
    KnownMistake("largest_over_positions", "You take the maximum over positions: the last one gives the next id.",
        generation.generate, LAST, "last = logits.amax(1)"),
    # how it is drawn
    KnownMistake("always_the_most_likely", "You always take the most likely id; at temperature 1 it is drawn from the distribution.",
        generation.generate, DRAWN, "drawn = probabilities.argmax(-1, keepdim=True)"),
    KnownMistake("zero_draws", "Temperature 0 draws like temperature 1 (`if temperature:` skips it): it must take the most likely id.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, temperature or 1.0, top_k, top_p)",
        seen_in=("TransformerLensOrg/TransformerLens@cd4efe8b6d6b56f5fc9e88bb6f29100b919b5e64",)),
    KnownMistake("temperature_forgotten", "The temperature is not used.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, float(temperature > 0), top_k, top_p)"),
    KnownMistake("multiplied_by_the_temperature", "You multiply the logits by the temperature; dividing makes a low one greedy.",
        generation.generate, PROBABILITIES,
        "probabilities = next_token_distribution(last, 1 / temperature if temperature else 0.0, top_k, top_p)"),
    KnownMistake("top_k_forgotten", "top_k is not used.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, temperature, None, top_p)"),
    KnownMistake("top_p_forgotten", "top_p is not used.",
        generation.generate, PROBABILITIES, "probabilities = next_token_distribution(last, temperature, top_k, None)"),
    KnownMistake("drawn_from_all_alike", "Every id is drawn alike, whatever its probability (torch.randint).",
        generation.generate, DRAWN, "drawn = torch.multinomial(probabilities.gt(0).to(probabilities.dtype), 1)"),
    KnownMistake("drawn_from_probabilities_twice", "The softmax is taken twice: what is drawn from is too flat.",
        generation.generate, DRAWN, "drawn = torch.multinomial(torch.softmax(probabilities.masked_fill(probabilities == 0, float('-inf')), -1), 1)",
        looks_like=("drawn_from_all_alike",)),
    KnownMistake("first_row_for_all", "The id drawn for the first row is written into every row: each draws its own.",
        generation.generate, DRAWN, "drawn = torch.multinomial(probabilities[:1], 1).expand(ids.shape[0], 1)"),
    KnownMistake("seeded_inside", "The generator is seeded inside: every call draws the same.",
        generation.generate, NONE_YET, f"{NONE_YET}\ntorch.manual_seed(1337)"),
    # what comes back
    KnownMistake("one_id_too_many", "One id more than was asked for is drawn.",
        generation.generate, LOOP, "for _ in range(max_new_tokens + 1):"),
    KnownMistake("one_id_too_few", "One id less than was asked for is drawn.",
        generation.generate, LOOP, "for _ in range(max_new_tokens - 1):"),
    KnownMistake("counted_with_the_prompt", "The prompt counts as new: max_new_tokens is how many are drawn, not how long it gets.",
        generation.generate, LOOP, "for _ in range(max_new_tokens - ids.shape[1]):"),
    KnownMistake("written_in_front", "The new id is put in front of the others.", generation.generate, JOINED, "ids = torch.cat([drawn, ids], dim=1)"),
    KnownMistake("last_id_overwritten", "The new id takes the place of the last one; it belongs behind it.",
        generation.generate, JOINED, "ids = torch.cat([ids[:, :-1], drawn], dim=1)"),
    # where it ends
    KnownMistake("end_token_ignored", "Nothing stops at the end token.", generation.generate, ENDED, "pass"),
    KnownMistake("first_end_stops_all", "The first row that ends stops all of them (any): the others are not done.",
        generation.generate, ALL, "if bool(ended.any()):"),
    KnownMistake("first_row_decides", "The first row alone decides when to stop: all must have ended.",
        generation.generate, ALL, "if bool(ended[0]):", looks_like=("first_end_stops_all",)),
    KnownMistake("ended_rows_go_on", "A row that has ended goes on while others are not done.", generation.generate, HELD, "pass"),
    KnownMistake("ended_by_the_prompt", "An end token in the prompt counts as the end: GPT-2's stands before every text.",
        generation.generate, NONE_YET,
        "ended = torch.zeros(ids.shape[0], 1, dtype=torch.bool) if end_token is None else (ids == end_token).any(1, keepdim=True)"),
)
