"""Known mistakes in learned position embeddings."""

from harness.core.mistake import KnownMistake
from reference_model.learned_positions import learned_positions

ROWS = "rows = positions.long()"
BEYOND = "beyond = (rows < 0) | (rows >= context)"
RESULT = "return weight[rows]"


def _gradient_of_the_last_row_only(positions, weight):
    if int(positions.min()) < 0 or int(positions.max()) >= weight.shape[0]:
        raise IndexError("a position is beyond the context")

    class Rows(torch.autograd.Function):
        @staticmethod
        def forward(ctx, positions, weight):
            ctx.save_for_backward(positions, weight)
            return weight[positions]

        @staticmethod
        def backward(ctx, g):
            positions, weight = ctx.saved_tensors
            out = torch.zeros_like(weight)
            for place, row in zip(positions.reshape(-1).tolist(), g.reshape(-1, g.shape[-1]), strict=True):
                out[place] = row  # += is right
            return None, out

    return Rows.apply(positions, weight)


MISTAKES = (
    KnownMistake("restarts_at_zero", "Positions start at 0 in every call. With a cache they must continue where the cache ends.",
        learned_positions, ROWS,
        "if positions.shape[-1] > weight.shape[0]:\n"
        "    raise IndexError('longer than the context')\n"
        "rows = torch.arange(positions.shape[-1]).expand(positions.shape)",
        seen_in=("ml-explore/mlx-lm#93",)),
    KnownMistake("negative_positions_wrap", "weight[positions] reads a negative position from the end of the table. Raise an error.",
        learned_positions, BEYOND, "beyond = rows >= context"),
    KnownMistake("positions_wrap", "Positions beyond the context wrap around to 0 (a modulo). No row was trained for them: raise an error.",
        learned_positions, ROWS, "rows = positions.long() % context"),
    KnownMistake("positions_clamped", "Positions beyond the context get the last row of the table (a clamp). Raise an error.",
        learned_positions, ROWS, "rows = positions.long().clamp(0, context - 1)"),
    KnownMistake("zeros_beyond_the_context", "Positions beyond the context get a row of zeros. Raise an error.",
        learned_positions, BEYOND, "return (rows.unsqueeze(-1) == torch.arange(context)).to(weight.dtype) @ weight"),
    KnownMistake("dropped_beyond_the_context", "Positions beyond the context are dropped, and fewer rows come back. Raise an error.",
        learned_positions, ROWS, "rows = positions.long()\nrows = rows[..., (rows.reshape(-1, rows.shape[-1]) < context).all(0)]", aliases=("cut_off_at_the_context",)),
    KnownMistake("positions_from_one", "Positions are counted from 1. The first row of the table is position 0.",
        learned_positions, RESULT, "return weight[(rows + 1) % context]"),
    KnownMistake("previous_row_read", "Row position - 1 is read: position 0 gets the last row.",
        learned_positions, RESULT, "return weight[rows - 1]", aliases=("row_before",)),
    KnownMistake("offset_of_two", "Row position + 2 is read, as in OPT, whose table is two rows longer. GPT-2 has no such offset.",
        learned_positions, RESULT, "return weight[(rows + 2) % context]", aliases=("two_rows_kept_for_padding",)),
    KnownMistake("last_row_unreachable", "The last position gets the row before it: the limit is context - 2. It must be context - 1.",
        learned_positions, RESULT, "return weight[rows.clamp(max=context - 2)]"),
    KnownMistake("positions_counted_from_the_end", "Positions are counted from the end of the table.",
        learned_positions, RESULT, "return weight.flip(0)[rows]", aliases=("from_the_end",)),
    KnownMistake("reversed_in_time", "The rows are returned in reversed time order.",
        learned_positions, RESULT, "return weight[rows.flip(-1)]"),
    KnownMistake("last_rows_of_the_table", "The sequence gets the last rows of the table, whatever its positions.",
        learned_positions, RESULT, "return weight[torch.arange(context - rows.shape[-1], context).expand(rows.shape)]"),
    KnownMistake("positions_along_the_batch", "Positions are counted along the batch, so all tokens of a row get the same one. They must be counted along the sequence.",
        learned_positions, RESULT,
        "rows = torch.arange(rows.shape[0]).reshape(-1, *[1] * (rows.dim() - 1)).expand(rows.shape)\nreturn weight[rows]", aliases=("batch_axis",)),
    KnownMistake("positions_of_the_first_row", "The positions of the first row are used for the whole batch.",
        learned_positions, RESULT, "return weight[rows[:1].expand(rows.shape) if rows.dim() > 1 else rows]"),
    KnownMistake("skipped_for_one_token", "A single token gets no position embedding. A step with a cache is such a call.",
        learned_positions, RESULT, "return weight[rows] if rows.shape[-1] > 1 else weight[rows] * 0",
        seen_in=("ml-explore/mlx-lm#93",)),
    KnownMistake("padding_position_of_zeros", "padding_idx is set on the table: position 0 is zero and is never trained.",
        learned_positions, RESULT, "return weight[rows] * (rows != 0).unsqueeze(-1)"),
    KnownMistake("padding_position_without_gradient", "padding_idx is set on the table: one position is never trained.",
        learned_positions, RESULT, "return torch.nn.functional.embedding(rows, weight, padding_idx=1)",
        seen_in=("huggingface/transformers#10200",)),
    KnownMistake("transposed_table", "The table is read as [width, context]. It is [context, width] (two sizes were exchanged in the constructor).",
        learned_positions, "context = weight.shape[0]", "weight = weight.T\ncontext = weight.shape[0]",
        seen_in=("lucidrains/x-transformers@8e8200d9b60b066a1c84a04565a7bc1f982c2096",)),
    KnownMistake("table_detached", "The table is a buffer, or detached: the positions are never trained.",
        learned_positions, RESULT, "return weight.detach()[rows]"),
    KnownMistake("gradient_of_the_last_row_only", "Your backward pass assigns where it must add: of rows with the same position only the last counts.",
        learned_positions, instead=_gradient_of_the_last_row_only),
    KnownMistake("gradient_averaged_over_repeats", "scale_grad_by_freq divides a row's gradient by how often its position occurs. The gradient must be the sum.",
        learned_positions, RESULT, "return torch.nn.functional.embedding(rows, weight, scale_grad_by_freq=True)", aliases=("gradient_averaged_over_the_batch",)),
    KnownMistake("scaled_by_the_root_of_the_width", "The rows are multiplied by sqrt(width). GPT-2 does not scale positions.",
        learned_positions, RESULT, "return weight[rows] * weight.shape[1] ** 0.5"),
    KnownMistake("max_norm", "max_norm=1 shortens long rows in the table itself: the weights change in the forward pass.",
        learned_positions, RESULT, "return torch.nn.functional.embedding(rows, weight, max_norm=1.0)"),
    KnownMistake("table_cached_by_length", "The rows of the first call are cached and reused in every later call of the same length, whatever its positions.",
        learned_positions, RESULT,
        "return weight[learned_positions.__dict__.setdefault((rows.shape, context), rows)]", aliases=("rows_kept_by_length",)),
)
