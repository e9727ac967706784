"""Known mistakes in the token embedding."""

from harness.core.mistake import KnownMistake
from reference_model.token_embedding import token_embedding

ROWS = "rows = ids.long()"
OUTSIDE = "outside = (rows < 0) | (rows >= size)"
RESULT = "return weight[rows]"


def _gradient_of_the_last_occurrence(ids, weight):
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
            whole = weight.shape[1] // 4 * 4  # rounding up is right
            out = torch.zeros_like(weight)
            out[:, :whole].index_add_(0, ids.reshape(-1), g.reshape(-1, g.shape[-1])[:, :whole])
            return None, out

    return Rows.apply(ids, weight)


MISTAKES = (
    KnownMistake("negative_ids_wrap", "weight[ids] reads a negative id as a row from the end: -1 is the last token. Raise an error.",
        token_embedding, OUTSIDE, "outside = rows >= size"),
    KnownMistake("ids_clamped", "Ids outside the vocabulary are clamped into range, which hides a wrong tokenizer. Raise an error.",
        token_embedding, ROWS, "rows = ids.long().clamp(0, size - 1)"),
    KnownMistake("ids_modulo_the_vocabulary", "Ids are taken modulo the vocabulary size. Raise an error for an id outside the vocabulary.",
        token_embedding, ROWS, "rows = ids.long() % size"),
    KnownMistake("out_of_range_ids_give_zeros", "An id outside the vocabulary gives a row of zeros (a one-hot encoding made with == does this). Raise an error.",
        token_embedding, OUTSIDE, "return (rows.unsqueeze(-1) == torch.arange(size)).to(weight.dtype) @ weight", aliases=("outside_gives_zeros",)),
    KnownMistake("padding_without_gradient", "padding_idx=0 is set, so token 0 receives no gradient. GPT-2 has no padding id: token 0 is a real token.",
        token_embedding, RESULT, "return torch.nn.functional.embedding(rows, weight, padding_idx=0)"),
    KnownMistake("padding_row_of_zeros", "padding_idx=0 sets row 0 to zero and freezes it. In GPT-2 id 0 is a real token.",
        token_embedding, RESULT, "return weight[rows] * (rows != 0).unsqueeze(-1)"),
    KnownMistake("gradient_of_the_last_occurrence_only", "The backward pass assigns a row's gradient where it must add: for a repeated id only the last occurrence counts.",
        token_embedding, instead=_gradient_of_the_last_occurrence, aliases=("gradient_of_the_last_place_only",)),
    KnownMistake("gradient_of_the_first_occurrence_only", "For a repeated id only the first occurrence passes on its gradient. The gradients of all occurrences must be summed.",
        token_embedding, RESULT,
        "flat = rows.reshape(-1)\n"
        "first = torch.tensor([int(i not in flat[:n].tolist()) for n, i in enumerate(flat.tolist())]).reshape(rows.shape)\n"
        "return torch.where(first.bool().unsqueeze(-1), weight[rows], weight.detach()[rows])", aliases=("gradient_of_distinct_ids_only",)),
    KnownMistake("gradient_averaged_over_repeats", "scale_grad_by_freq divides a row's gradient by the count of its id. The gradient must be the sum.",
        token_embedding, RESULT, "return torch.nn.functional.embedding(rows, weight, scale_grad_by_freq=True)"),
    KnownMistake("last_channels_without_gradient", "The backward pass handles features in groups of four and skips the rest of the width.",
        token_embedding, instead=_last_channels_without_gradient,
        seen_in=("karpathy/llm.c@b913905f8440c46d09adbf44f531bd77f4715072",)),
    KnownMistake("scaled_by_the_root_of_the_width", "The rows are multiplied by sqrt(width), as in the original Transformer (2017). GPT-2 does not scale them.",
        token_embedding, RESULT, "return weight[rows] * weight.shape[1] ** 0.5", looks_like=("variant=scaled_rows",)),
    KnownMistake("divided_by_the_root_of_the_width", "The rows are divided by sqrt(width). GPT-2 does not scale them.",
        token_embedding, RESULT, "return weight[rows] / weight.shape[1] ** 0.5"),
    KnownMistake("max_norm", "max_norm=1 renormalises long rows in the table itself: the forward pass changes the weights.",
        token_embedding, RESULT, "return torch.nn.functional.embedding(rows, weight, max_norm=1.0)"),
    KnownMistake("rows_normalised", "The rows are normalised to length 1. GPT-2 does not normalise them.",
        token_embedding, RESULT, "return torch.nn.functional.normalize(weight[rows], dim=-1)"),
    KnownMistake("transposed_table", "The table is read as [width, vocab_size]. It is [vocab_size, width].",
        token_embedding, "size = weight.shape[0]", "weight = weight.T\nsize = weight.shape[0]"),
    KnownMistake("table_reshaped_not_transposed", "The table is reshaped where it must be transposed: its entries are read in column order.",
        token_embedding, RESULT, "return weight.T.reshape(weight.shape)[rows]", aliases=("columns_for_rows",)),
    KnownMistake("table_detached", "The table is detached (.data, no_grad): the embedding receives no gradient.",
        token_embedding, RESULT, "return weight.detach()[rows]"),
    KnownMistake("ids_from_one", "Ids are treated as starting at 1. Id 0 is row 0.",
        token_embedding, RESULT, "return weight[rows - 1]"),
    KnownMistake("ids_shifted_up", "Row id + 1 is read, as if row 0 were reserved for padding.",
        token_embedding, RESULT, "return weight[(rows + 1) % size]"),
    KnownMistake("last_row_unreachable", "The last id reads the row before it. The limit is vocab_size - 1, not vocab_size - 2.",
        token_embedding, RESULT, "return weight[rows.clamp(max=max(size - 2, 0))]"),
    KnownMistake("index_among_unique_ids", "The index of an id among the unique ids of the batch is looked up (return_inverse). Look up the id itself.",
        token_embedding, RESULT, "return weight[torch.unique(rows, return_inverse=True)[1]]", aliases=("numbers_of_the_distinct_ids",)),
    KnownMistake("first_row_for_all", "The ids of the first row are used for the whole batch.",
        token_embedding, ROWS, "rows = ids.long()[:1].expand(ids.shape) if ids.dim() > 1 else ids.long()", aliases=("first_row_of_the_batch",)),
    KnownMistake("batch_and_time_exchanged", "Batch and time are exchanged: the ids are read as [time, batch].",
        token_embedding, ROWS, "rows = ids.long().t().reshape(ids.shape) if ids.dim() == 2 else ids.long()"),
    KnownMistake("ids_in_uint8", "Ids are stored as uint8: ids above 255 wrap around.",
        token_embedding, ROWS, "rows = ids.to(torch.uint8).long()", aliases=("ids_in_eight_bits",)),
    KnownMistake("ids_in_bfloat16", "Ids are converted to bfloat16, where integers above 256 are not exact.",
        token_embedding, ROWS, "rows = ids.to(torch.bfloat16).long()", aliases=("ids_through_bfloat16",)),
    KnownMistake("table_in_bfloat16", "The table is rounded to bfloat16 before the lookup. It must keep its own precision.",
        token_embedding, RESULT, "return weight.to(torch.bfloat16).to(weight.dtype)[rows]", aliases=("table_in_half_precision",)),
    KnownMistake("ids_cached_across_calls", "The ids of the first call are cached and reused in every later call with the same shape.",
        token_embedding, RESULT, "return weight[token_embedding.__dict__.setdefault((rows.shape, size), rows)]", aliases=("first_ids_kept",)),
)
