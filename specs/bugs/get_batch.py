"""Known mistakes in sampling batches."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.get_batch import get_batch

LEGAL = "legal = len(tokens) - time"
GUARD = '''if legal < 1:
    raise ValueError(f"tokens: {len(tokens)} are too few for rows of {time} and the one that follows")'''
STARTS = "starts = torch.randint(legal, (batch,), generator=generator)"
STEPS = "steps = torch.arange(time)"
PLACES = "places = starts[:, None] + steps"
X = "x = tokens[places].long()"
Y = "y = tokens[places + 1].long()"
RETURN = "return x, y"

MISTAKES = (
    # the starts ------------------------------------------------------------------------------------------------------
    KnownMistake("last_start_left_out", "The last start is never drawn: randint excludes its upper bound already. Do not subtract 1.",
        get_batch, LEGAL, "legal = len(tokens) - time - 1"),
    KnownMistake("row_length_subtracted_twice", "The row length is subtracted twice: the last tokens of the data are never seen.",
        get_batch, STARTS, "starts = torch.randint(max(legal - time, 1), (batch,), generator=generator)", aliases=("a_whole_row_left_out",)),
    KnownMistake("one_start_too_many", "The start may be as large as length - time, where the last target is beyond the data.",
        get_batch, STARTS, "starts = torch.randint(legal + 1, (batch,), generator=generator)",
        seen_in=("AOSSIE-Org/OpenVerifiableLLM#92",)),
    KnownMistake("wraps_around", "Starts are drawn over the whole data, and rows continue past its end at its beginning.",
        get_batch, PLACES, "starts = torch.randint(len(tokens), (batch,), generator=generator)\nplaces = (starts[:, None] + steps) % (len(tokens) - 1)", aliases=("wraps_round",)),
    KnownMistake("starts_clamped", "Starts beyond the last legal one are clamped to it: it is drawn far too often.",
        get_batch, STARTS, "starts = torch.randint(len(tokens), (batch,), generator=generator).clamp(max=legal - 1)", aliases=("pushed_back_inside",)),
    KnownMistake("first_start_left_out", "The first start is never drawn. It is 0, not 1.",
        get_batch, STARTS, "starts = torch.randint(min(1, legal - 1), legal, (batch,), generator=generator)"),
    KnownMistake("starts_rounded_to_nearest", "A random fraction is rounded to the nearest start: the first and the last are drawn half as often as the others.",
        get_batch, STARTS, "starts = (torch.rand(batch, generator=generator) * (legal - 1)).round().long()", aliases=("rounded_to_the_nearest",)),
    KnownMistake("starts_at_multiples_of_row_length", "Rows start only at multiples of their length. Every start must be possible.",
        get_batch, STARTS, "starts = torch.randint(-(-legal // time), (batch,), generator=generator) * time", aliases=("only_every_row_length",)),
    KnownMistake("one_start_for_all_rows", "One start is drawn for the whole batch: all rows are the same.",
        get_batch, STARTS, "starts = torch.randint(legal, (1,), generator=generator).expand(batch)"),
    KnownMistake("second_half_repeats_the_first", "The second half of a batch repeats the first: two workers draw with the same seed. Give each its own.",
        get_batch, STARTS, "starts = torch.randint(legal, ((batch + 1) // 2,), generator=generator).repeat(2)[:batch]"),
    KnownMistake("starts_not_random", "Every batch holds the same first rows of the data: the starts are not random.",
        get_batch, STARTS, "starts = torch.arange(batch) % legal", aliases=("one_by_one_in_order",)),
    KnownMistake("reseeded_in_every_call", "Every call seeds a generator with the same number: all batches are the same.",
        get_batch, STARTS, "starts = torch.randint(legal, (batch,), generator=torch.Generator().manual_seed(1337))"),
    KnownMistake("generator_reseeded", "You reseed the generator you are given: it starts again with every batch.",
        get_batch, STARTS,
        "generator = generator.manual_seed(generator.initial_seed()) if generator else None\n" + STARTS, aliases=("generator_seeded_again",)),
    KnownMistake("generator_ignored", "The generator you are given is ignored: the starts come from the global one.",
        get_batch, STARTS, "starts = torch.randint(legal, (batch,))", aliases=("generator_left_aside",)),
    KnownMistake("seeded_from_the_clock", "Every call seeds a new generator from the clock: no run can be reproduced.",
        get_batch, STARTS,
        "chance = torch.Generator()\nchance.seed()\nstarts = torch.randint(legal, (batch,), generator=chance)",
        unnamed_because="its results differ from run to run, so none can be recognised", aliases=("seeded_by_chance",)),
    KnownMistake("too_short_data_accepted", "Data no longer than a row is accepted, and an empty batch is returned. Raise an error.",
        get_batch, GUARD, "if legal < 1:\n    return tokens[:0].view(0, 1), tokens[:0].view(0, 1)"),
    # x and y ---------------------------------------------------------------------------------------------------------
    KnownMistake("y_is_x", "y is x itself: the model is asked to predict the token it is given.",
        get_batch, Y, "y = tokens[places].long()"),
    KnownMistake("shifted_by_two", "y is shifted by two tokens. It must be shifted by one.",
        get_batch, Y, "y = tokens[(places + 2).clamp(max=len(tokens) - 1)].long()"),
    KnownMistake("x_and_y_exchanged", "x and y are exchanged: y holds the preceding tokens.",
        get_batch, RETURN, "return y, x"),
    KnownMistake("ids_plus_one", "You add 1 to the ids. y is the next token of the data, not the next id.",
        get_batch, Y, "y = x + 1"),
    KnownMistake("targets_rolled", "The last target is the row's own first token (torch.roll). It must be the token that follows the row.",
        get_batch, Y, "y = x.roll(-1, dims=1)", aliases=("last_target_from_the_row",)),
    KnownMistake("positions_for_tokens", "You return the positions. Return the tokens at those positions.",
        get_batch, X, "x = places", aliases=("places_for_tokens",)),
    KnownMistake("time_before_batch", "x and y are returned as [time, batch]. The batch dimension comes first.",
        get_batch, RETURN, "return x.T, y.T"),
    KnownMistake("rows_one_token_short", "Rows have one token too few: a slice that also holds y must be one token longer.",
        get_batch, STEPS, "steps = torch.arange(time - 1)", aliases=("one_short",)),
    KnownMistake("rows_one_token_long", "Rows have one token too many: x and y come from a window of time + 1 tokens and take time each.",
        get_batch, RETURN, "return torch.cat([x, y[:, -1:]], dim=1), y", aliases=("one_long",)),
    KnownMistake("ids_not_int64", "The ids come back in the data's own integer type. Embeddings and losses need int64.",
        get_batch, X, "x = tokens[places]", also=(Edit(get_batch, Y, "y = tokens[places + 1]"),),
        unnamed_because="its numbers are right; only their dtype is wrong, which a check reports", aliases=("integers_as_stored",)),
    KnownMistake("x_and_y_sampled_separately", "x and y are sampled separately: y does not continue x.",
        get_batch, Y, "y = tokens[torch.randint(legal, (batch,), generator=generator)[:, None] + steps + 1].long()", aliases=("rows_apart_from_their_targets",)),
)
