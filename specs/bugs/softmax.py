"""Known mistakes in softmax."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.softmax import softmax

HIGHEST = "highest = x.amax(dim, keepdim=True).detach()"
SHIFTED = "shifted = x - highest"
EXPONENTIAL = "exponential = torch.exp(shifted)"
TOTAL = "total = exponential.sum(dim, keepdim=True)"
RESULT = "return exponential / total"


def _gradient_of_the_diagonal_only(x, dim):
    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = torch.softmax(x, dim)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y * (1 - y)  # only the diagonal of the Jacobian

    return Softmax.apply(x)


def _gradient_summed_over_the_last_axis(x, dim):
    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = torch.softmax(x, dim)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return y * (g - (g * y).sum(-1, keepdim=True))

    return Softmax.apply(x)


MISTAKES = (
    # the axis
    KnownMistake("over_the_last_axis", "dim is ignored: the softmax always runs over the last axis.",
        softmax, HIGHEST, "dim = -1\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("over_the_first_axis", "The softmax always runs over axis 0 (the batch). It must run over dim.",
        softmax, HIGHEST, "dim = 0\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("implicit_dim", "The softmax runs over an axis chosen from the number of dimensions, as torch's old implicit dim did. It must run over dim.",
        softmax, HIGHEST, "dim = 1 if x.dim() in (2, 4) else 0\nhighest = x.amax(dim, keepdim=True).detach()",
        seen_in=("pytorch/pytorch torch/nn/functional.py _get_softmax_dim",), aliases=("over_axis_one",)),
    KnownMistake("negative_dim_loses_its_sign", "A negative dim loses its sign: -1 becomes axis 1.",
        softmax, HIGHEST, "dim = min(abs(dim), x.dim() - 1)\nhighest = x.amax(dim, keepdim=True).detach()", aliases=("counted_from_the_front",)),
    KnownMistake("sum_over_the_whole_tensor", "The exponentials are divided by the sum over the whole tensor. Divide by the sum along dim.",
        softmax, TOTAL, "total = exponential.sum()", aliases=("sum_over_everything",)),
    KnownMistake("sum_along_another_axis", "The exponentials are summed along the axis before dim. Sum along dim.",
        softmax, TOTAL, "total = exponential.sum((dim - 1) % x.dim(), keepdim=True)"),
    KnownMistake("dim_clamped", "A dim that is out of range is clamped. Raise an error.",
        softmax, HIGHEST, "dim = max(-x.dim(), min(dim, x.dim() - 1))\nhighest = x.amax(dim, keepdim=True).detach()", aliases=("axes_clamped",)),
    # the maximum
    KnownMistake("maximum_not_subtracted", "The largest score is not subtracted before the exponential: it overflows.",
        softmax, SHIFTED, "shifted = x", aliases=("without_the_maximum",)),
    KnownMistake("one_maximum_for_all", "One maximum is subtracted from all slices. In a slice far below it, all exponentials underflow to 0.",
        softmax, HIGHEST, "highest = x.amax().detach()"),
    KnownMistake("maximum_along_another_axis", "The maximum is taken along axis 0. Take it along dim.",
        softmax, HIGHEST, "highest = x.amax(0, keepdim=True).detach()", also=(Edit(softmax, TOTAL, "total = exponential.sum(dim, keepdim=True)\nx.amax(dim)"),)),
    KnownMistake("mean_for_the_maximum", "The mean is subtracted, not the maximum: scores far above the mean overflow.",
        softmax, HIGHEST, "highest = x.mean(dim, keepdim=True).detach()"),
    KnownMistake("minimum_for_the_maximum", "The minimum is subtracted, not the maximum: the exponentials overflow even sooner.",
        softmax, HIGHEST, "highest = x.amin(dim, keepdim=True).detach()"),
    KnownMistake("maximum_of_absolute_values", "The maximum absolute value is subtracted, not the maximum. If all scores are far below zero, all exponentials underflow to 0.",
        softmax, HIGHEST, "highest = x.abs().amax(dim, keepdim=True).detach()", aliases=("largest_by_absolute_value",)),
    KnownMistake("scores_clamped_from_above", "Scores are clamped at 50 before the exponential: all larger scores get the same weight. Subtract the maximum instead.",
        softmax, SHIFTED, "shifted = x.clamp(max=50.0)", aliases=("clamped_from_above",)),
    KnownMistake("divided_by_the_maximum", "The scores are divided by the maximum. Subtract it.",
        softmax, SHIFTED, "shifted = x / highest"),
    # the exponentials and their sum
    KnownMistake("softmax_plus_one", "One is added to the denominator of the softmax (softmax1): the weights no longer sum to one.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + torch.exp(-highest)"),
    KnownMistake("one_in_the_denominator", "1 is added to the sum of the shifted exponentials: the weights no longer sum to one.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + 1.0"),
    KnownMistake("epsilon_in_the_denominator", "An epsilon is added to the denominator: the weights no longer sum to one. It is not needed: after the maximum is subtracted, the sum is at least 1.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + 1e-6"),
    KnownMistake("tiny_epsilon_in_the_denominator", "1e-9 is added to the denominator: the weights sum to slightly less than 1.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + 1e-9"),
    KnownMistake("not_normalised", "The exponentials are not divided by their sum.", softmax, RESULT, "return exponential", aliases=("not_divided",)),
    KnownMistake("divided_by_the_largest", "The exponentials are divided by the largest of them. Divide by their sum.",
        softmax, TOTAL, "total = exponential.amax(dim, keepdim=True)", looks_like=("not_normalised",)),
    KnownMistake("mean_for_the_sum", "The exponentials are divided by their mean: the weights sum to the number of entries.",
        softmax, TOTAL, "total = exponential.mean(dim, keepdim=True)"),
    KnownMistake("euclidean_norm_for_the_sum", "The exponentials are divided by their Euclidean norm. Divide by their sum.",
        softmax, TOTAL, "total = torch.sqrt((exponential ** 2).sum(dim, keepdim=True))", aliases=("length_for_the_sum",)),
    KnownMistake("cumulative_sum", "The exponentials are divided by the cumulative sum along dim. Divide by the total.",
        softmax, TOTAL, "total = exponential.cumsum(dim)"),
    KnownMistake("exponential_forgotten", "There is no exponential: the scores themselves are divided by their sum.",
        softmax, EXPONENTIAL, "exponential = x"),
    KnownMistake("powers_of_two", "The base is 2 (exp2). Use the exponential function.", softmax, EXPONENTIAL, "exponential = torch.exp2(shifted)"),
    KnownMistake("squares_for_exponentials", "The scores are squared. Use the exponential function.", softmax, EXPONENTIAL, "exponential = x ** 2"),
    KnownMistake("softmin", "The sign is wrong: the smallest score gets the largest weight (softmin).",
        softmax, EXPONENTIAL, "exponential = torch.exp(-shifted)"),
    KnownMistake("log_softmax", "The function returns log-probabilities (log_softmax). Return the weights themselves.",
        softmax, RESULT, "return torch.log(exponential / total)"),
    KnownMistake("sigmoid", "A sigmoid is applied to each entry. The weights along dim must sum to one.", softmax, RESULT, "return torch.sigmoid(x)"),
    KnownMistake("one_hot_argmax", "All weight goes to the largest score (argmax). Softmax gives every score a weight in proportion to its exponential.",
        softmax, RESULT, "return (x == highest).to(x.dtype)", aliases=("hard_maximum",)),
    KnownMistake("softmax_twice", "The softmax is applied twice.", softmax, RESULT, "return torch.softmax(exponential / total, dim)", aliases=("taken_twice",)),
    # masked scores
    KnownMistake("zero_scores_masked", "Scores of exactly 0 are treated as masked and get no weight. Only -inf means masked.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted) * (x != 0)", aliases=("zeros_left_out",)),
    KnownMistake("minus_infinity_replaced", "-inf is replaced by the lowest finite number: a slice of only -inf gets equal weights.",
        softmax, HIGHEST, "x = x.clamp(min=torch.finfo(x.dtype).min)\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("scores_clamped_from_below", "Scores are clamped at 20 below the maximum: a score of -inf keeps a weight.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted.clamp(min=-20.0))", aliases=("clamped_from_below",)),
    # precision, gradients and side effects
    KnownMistake("in_bfloat16", "The exponentials are computed in bfloat16, which keeps about two significant digits.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted.to(torch.bfloat16)).to(x.dtype)"),
    KnownMistake("in_float16", "The exponentials are computed in float16, which keeps about three significant digits.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted.to(torch.float16)).to(x.dtype)"),
    KnownMistake("rounded_to_four_decimals", "The weights are rounded to four decimals.", softmax, RESULT, "return torch.round(exponential / total, decimals=4)", aliases=("rounded",)),
    KnownMistake("sum_detached", "The sum in the denominator is detached: its part of the gradient is missing.",
        softmax, RESULT, "return exponential / total.detach()"),
    KnownMistake("detached", "The result is detached (or computed under no_grad): x receives no gradient.", softmax, RESULT, "return (exponential / total).detach()"),
    KnownMistake("gradient_of_the_diagonal_only", "The backward pass uses y (1 - y), the diagonal of the Jacobian. Every weight depends on every score: use y (g - sum(g y)).",
        softmax, instead=_gradient_of_the_diagonal_only, aliases=("slope_without_the_sum",)),
    KnownMistake("gradient_summed_over_the_last_axis", "The backward pass sums g y over the last axis. Sum along dim.",
        softmax, instead=_gradient_summed_over_the_last_axis, aliases=("slope_summed_over_the_last_axis",)),
    KnownMistake("in_place", "x -= max modifies the caller's tensor.", softmax, SHIFTED, "shifted = x.sub_(highest)"),
    KnownMistake("sum_cached_across_calls", "The sum of the first call is cached and reused in every later call with the same shape.",
        softmax, TOTAL, "total = softmax.__dict__.setdefault((x.shape, dim, x.dtype), exponential.sum(dim, keepdim=True))", aliases=("sum_kept",)),
)
