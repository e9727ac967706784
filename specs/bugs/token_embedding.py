"""Known mistakes in the token embedding."""

from harness.core.mistake import KnownMistake
from reference_model.token_embedding import token_embedding

ROWS = "rows = ids.long()"
OUTSIDE = "outside = (rows < 0) | (rows >= size)"
RESULT = "return weight[rows]"


def _gradient_of_the_last_place(ids, weight):
    if int(ids.min()) < 0 or int(ids.max()) >= weight.shape[0]:
        raise IndexError("an id is outside the vocabulary")

    class Rows(torch.autograd.Function):
        @staticmethod
        def forward(ctx, ids, weight):
            ctx.save_for_backward(ids, weight)
            return weight[ids]

        @staticmethod
        def backward(ctx, g):
            ids, weight = ctx.saved_tensors
            out = torch.zeros_like(weight)
            for place, row in zip(ids.reshape(-1).tolist(), g.reshape(-1, g.shape[-1]), strict=True):
                out[place] = row  # += is right
            return None, out

    return Rows.apply(ids, weight)


def _last_channels_without_gradient(ids, weight):
    if int(ids.min()) < 0 or int(ids.max()) >= weight.shape[0]:
        raise IndexError("an id is outside the vocabulary")

    class Rows(torch.autograd.Function):
        @staticmethod
        def forward(ctx, ids, weight):
            ctx.save_for_backward(ids, weight)
            return weight[ids]

        @staticmethod
        def backward(ctx, g):
            ids, weight = ctx.saved_tensors
            whole = weight.shape[1] // 4 * 4  # a rounding up is right
            out = torch.zeros_like(weight)
            out[:, :whole].index_add_(0, ids.reshape(-1), g.reshape(-1, g.shape[-1])[:, :whole])
            return None, out

    return Rows.apply(ids, weight)


MISTAKES = (
    KnownMistake("negative_ids_wrap", "weight[ids] takes a negative id for a row from the end: -1 is the last token. It must be refused.",
        token_embedding, OUTSIDE, "outside = rows >= size"),
    KnownMistake("ids_clamped", "Ids beyond the vocabulary are clamped to its ends: a wrong tokenizer goes unnoticed. They must be refused.",
        token_embedding, ROWS, "rows = ids.long().clamp(0, size - 1)"),
    KnownMistake("ids_modulo_the_vocabulary", "Ids are taken modulo the vocabulary size; an id outside it must be refused.",
        token_embedding, ROWS, "rows = ids.long() % size"),
    KnownMistake("outside_gives_zeros", "An id outside the vocabulary gives a row of zeros (a one-hot made by == does that); it must be refused.",
        token_embedding, OUTSIDE, "return (rows.unsqueeze(-1) == torch.arange(size)).to(weight.dtype) @ weight"),
    KnownMistake("padding_without_gradient", "padding_idx=0 is set, but GPT-2 has no padding id: token 0 is a real token and never learns.",
        token_embedding, RESULT, "return torch.nn.functional.embedding(rows, weight, padding_idx=0)"),
    KnownMistake("padding_row_of_zeros", "padding_idx=0 made row 0 zero and frozen; in GPT-2 id 0 is a real token.",
        token_embedding, RESULT, "return weight[rows] * (rows != 0).unsqueeze(-1)"),
    KnownMistake("gradient_of_the_last_place_only", "Your backward assigns a row's gradient where it must add: of a repeated id only one place counts.",
        token_embedding, instead=_gradient_of_the_last_place),
    KnownMistake("gradient_of_distinct_ids_only", "Repeated ids are looked up once and only the first place passes its gradient on; all must be summed.",
        token_embedding, RESULT,
        "flat = rows.reshape(-1)\n"
        "first = torch.tensor([int(i not in flat[:n].tolist()) for n, i in enumerate(flat.tolist())]).reshape(rows.shape)\n"
        "return torch.where(first.bool().unsqueeze(-1), weight[rows], weight.detach()[rows])"),
    KnownMistake("gradient_averaged_over_repeats", "scale_grad_by_freq divides a row's gradient by how often its id occurs; it must be the sum.",
        token_embedding, RESULT, "return torch.nn.functional.embedding(rows, weight, scale_grad_by_freq=True)"),
    KnownMistake("last_channels_without_gradient", "Your backward handles features in groups of four and forgets the rest of the width.",
        token_embedding, instead=_last_channels_without_gradient,
        seen_in=("karpathy/llm.c@b913905f8440c46d09adbf44f531bd77f4715072",)),
    KnownMistake("scaled_by_the_root_of_the_width", "The rows are multiplied by sqrt(width), as in the Transformer of 2017; GPT-2 does not scale them.",
        token_embedding, RESULT, "return weight[rows] * weight.shape[1] ** 0.5"),
    KnownMistake("divided_by_the_root_of_the_width", "The rows are divided by sqrt(width); GPT-2 does not scale them.",
        token_embedding, RESULT, "return weight[rows] / weight.shape[1] ** 0.5"),
    KnownMistake("max_norm", "max_norm=1 shortens long rows, and does so in the table itself: the weights change in the forward pass.",
        token_embedding, RESULT, "return torch.nn.functional.embedding(rows, weight, max_norm=1.0)"),
    KnownMistake("rows_normalised", "The rows are brought to length 1; GPT-2 takes them as they are.",
        token_embedding, RESULT, "return torch.nn.functional.normalize(weight[rows], dim=-1)"),
    KnownMistake("transposed_table", "The table is read as [width, vocab_size]; it is [vocab_size, width].",
        token_embedding, "size = weight.shape[0]", "weight = weight.T\nsize = weight.shape[0]"),
    KnownMistake("columns_for_rows", "You take the entries of the table in column order: a view or reshape where a transpose is meant.",
        token_embedding, RESULT, "return weight.T.reshape(weight.shape)[rows]"),
    KnownMistake("table_detached", "The table is detached (.data, no_grad): the embedding never learns.",
        token_embedding, RESULT, "return weight.detach()[rows]"),
    KnownMistake("ids_from_one", "Ids are taken to start at 1; id 0 is row 0.",
        token_embedding, RESULT, "return weight[rows - 1]"),
    KnownMistake("ids_shifted_up", "Row id + 1 is read, as if row 0 were kept for padding.",
        token_embedding, RESULT, "return weight[(rows + 1) % size]"),
    KnownMistake("last_row_unreachable", "The last id is mapped to the one before it: the limit is vocab_size - 1, not vocab_size - 2.",
        token_embedding, RESULT, "return weight[rows.clamp(max=max(size - 2, 0))]"),
    KnownMistake("numbers_of_the_distinct_ids", "You look up the place of an id among the distinct ids of the batch (return_inverse), not the id.",
        token_embedding, RESULT, "return weight[torch.unique(rows, return_inverse=True)[1]]"),
    KnownMistake("first_row_of_the_batch", "The ids of the first row are used for the whole batch.",
        token_embedding, ROWS, "rows = ids.long()[:1].expand(ids.shape) if ids.dim() > 1 else ids.long()"),
    KnownMistake("batch_and_time_exchanged", "Batch and time have changed places: the ids are read as [time, batch].",
        token_embedding, ROWS, "rows = ids.long().t().reshape(ids.shape) if ids.dim() == 2 else ids.long()"),
    KnownMistake("ids_in_eight_bits", "Ids were stored as uint8: above 255 they start again at 0.",
        token_embedding, ROWS, "rows = ids.to(torch.uint8).long()"),
    KnownMistake("ids_through_bfloat16", "Ids went through bfloat16, which holds whole numbers only up to 256.",
        token_embedding, ROWS, "rows = ids.to(torch.bfloat16).long()"),
    KnownMistake("table_in_half_precision", "The table is rounded to bfloat16 before the look-up; it must keep its own precision.",
        token_embedding, RESULT, "return weight.to(torch.bfloat16).to(weight.dtype)[rows]"),
    KnownMistake("first_ids_kept", "The ids of the first call of a shape are kept and used for later calls with other ids.",
        token_embedding, RESULT, "return weight[token_embedding.__dict__.setdefault((rows.shape, size), rows)]"),
)
