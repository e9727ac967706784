"""Known mistakes in drawing batches."""

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
    KnownMistake("last_start_left_out", "The last start is never drawn: randint leaves its upper end out already, take no 1 off.",
        get_batch, LEGAL, "legal = len(tokens) - time - 1"),
    KnownMistake("a_whole_row_left_out", "You take the length of a row off twice: the last tokens of the data are never seen.",
        get_batch, STARTS, "starts = torch.randint(max(legal - time, 1), (batch,), generator=generator)"),
    KnownMistake("one_start_too_many", "The start may reach length - time, where the last target would stand beyond the data.",
        get_batch, STARTS, "starts = torch.randint(legal + 1, (batch,), generator=generator)",
        seen_in=("AOSSIE-Org/OpenVerifiableLLM#92",)),
    KnownMistake("wraps_round", "Starts are drawn over the whole data and rows run over its end to its beginning.",
        get_batch, PLACES, "starts = torch.randint(len(tokens), (batch,), generator=generator)\nplaces = (starts[:, None] + steps) % (len(tokens) - 1)"),
    KnownMistake("pushed_back_inside", "Starts beyond the last legal one are pushed back to it, which is drawn far too often.",
        get_batch, STARTS, "starts = torch.randint(len(tokens), (batch,), generator=generator).clamp(max=legal - 1)"),
    KnownMistake("first_start_left_out", "The first start is never drawn; it is 0, not 1.",
        get_batch, STARTS, "starts = torch.randint(min(1, legal - 1), legal, (batch,), generator=generator)"),
    KnownMistake("rounded_to_the_nearest", "A fraction is rounded to the nearest start: the first and the last are drawn half as often.",
        get_batch, STARTS, "starts = (torch.rand(batch, generator=generator) * (legal - 1)).round().long()"),
    KnownMistake("only_every_row_length", "Rows begin at multiples of their length only: of all the ways to cut the data one is seen.",
        get_batch, STARTS, "starts = torch.randint(-(-legal // time), (batch,), generator=generator) * time"),
    KnownMistake("one_start_for_all_rows", "One start is drawn for the whole batch: all rows are the same.",
        get_batch, STARTS, "starts = torch.randint(legal, (1,), generator=generator).expand(batch)"),
    KnownMistake("one_by_one_in_order", "The same first rows of the data come every time: nothing is drawn.",
        get_batch, STARTS, "starts = torch.arange(batch) % legal"),
    KnownMistake("reseeded_in_every_call", "You seed inside: every batch of the training is the same one.",
        get_batch, STARTS, "starts = torch.randint(legal, (batch,), generator=torch.Generator().manual_seed(1337))"),
    KnownMistake("generator_seeded_again", "You set the seed of the generator that you are given: it begins again with every batch.",
        get_batch, STARTS,
        "generator = generator.manual_seed(generator.initial_seed()) if generator else None\n" + STARTS),
    KnownMistake("generator_left_aside", "The generator that you are given is not handed on: the global one is drawn from.",
        get_batch, STARTS, "starts = torch.randint(legal, (batch,))"),
    KnownMistake("seeded_by_chance", "A new generator is seeded by the clock in every call: no run can be repeated.",
        get_batch, STARTS,
        "chance = torch.Generator()\nchance.seed()\nstarts = torch.randint(legal, (batch,), generator=chance)",
        unnamed_because="no two of its answers are alike, so none can be recognised"),
    KnownMistake("too_short_data_accepted", "Data that is no longer than a row is accepted, and an empty batch comes back.",
        get_batch, GUARD, "if legal < 1:\n    return tokens[:0].view(0, 1), tokens[:0].view(0, 1)"),
    # x and y ---------------------------------------------------------------------------------------------------------
    KnownMistake("y_is_x", "y is x itself: the model is asked for what it is shown.",
        get_batch, Y, "y = tokens[places].long()"),
    KnownMistake("shifted_by_two", "y is two tokens later; it is one.",
        get_batch, Y, "y = tokens[(places + 2).clamp(max=len(tokens) - 1)].long()"),
    KnownMistake("x_and_y_exchanged", "x and y are exchanged: y is what came before.",
        get_batch, RETURN, "return y, x"),
    KnownMistake("ids_plus_one", "You add 1 to the ids; y is the next token of the data, not the next id.",
        get_batch, Y, "y = x + 1"),
    KnownMistake("last_target_from_the_row", "The last target is the row's own first token (torch.roll); it is the token that follows the row.",
        get_batch, Y, "y = x.roll(-1, dims=1)"),
    KnownMistake("places_for_tokens", "You return the places instead of the tokens that stand there.",
        get_batch, X, "x = places"),
    KnownMistake("time_before_batch", "x and y come back as [time, batch]; rows of the batch are the first axis.",
        get_batch, RETURN, "return x.T, y.T"),
    KnownMistake("one_short", "Rows have one token too few: a slice that is to hold y too must be one longer.",
        get_batch, STEPS, "steps = torch.arange(time - 1)"),
    KnownMistake("one_long", "Rows have one token too many: x and y share a stretch of time + 1, of which each takes time.",
        get_batch, RETURN, "return torch.cat([x, y[:, -1:]], dim=1), y"),
    KnownMistake("integers_as_stored", "The ids come back in the data's own integers; embeddings and losses need int64.",
        get_batch, X, "x = tokens[places]", also=(Edit(get_batch, Y, "y = tokens[places + 1]"),),
        unnamed_because="its numbers are right; the claim tells their type"),
    KnownMistake("rows_apart_from_their_targets", "x and y are drawn each for itself: nothing in y follows what stands in x.",
        get_batch, Y, "y = tokens[torch.randint(legal, (batch,), generator=generator)[:, None] + steps + 1].long()"),
)
