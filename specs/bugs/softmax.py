"""Known mistakes in softmax."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.softmax import softmax

HIGHEST = "highest = x.amax(dim, keepdim=True).detach()"
SHIFTED = "shifted = x - highest"
EXPONENTIAL = "exponential = torch.exp(shifted)"
TOTAL = "total = exponential.sum(dim, keepdim=True)"
RESULT = "return exponential / total"


def _slope_without_the_sum(x, dim):
    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = torch.softmax(x, dim)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y * (1 - y)  # the diagonal of the Jacobian alone

    return Softmax.apply(x)


def _slope_summed_over_the_last_axis(x, dim):
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
    KnownMistake("over_the_last_axis", "dim is not used: the softmax always runs over the last axis.",
        softmax, HIGHEST, "dim = -1\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("over_the_first_axis", "The softmax always runs over axis 0 (the batch); it must run over dim.",
        softmax, HIGHEST, "dim = 0\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("over_axis_one", "The softmax always runs over axis 1; it must run over dim, unlike torch's old implicit one.",
        softmax, HIGHEST, "dim = 1 if x.dim() in (2, 4) else 0\nhighest = x.amax(dim, keepdim=True).detach()",
        seen_in=("pytorch/pytorch torch/nn/functional.py _get_softmax_dim",)),
    KnownMistake("counted_from_the_front", "A negative dim loses its sign: -1 becomes axis 1.",
        softmax, HIGHEST, "dim = min(abs(dim), x.dim() - 1)\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("sum_over_everything", "The exponentials are divided by the sum over the whole tensor; it must be the sum along dim.",
        softmax, TOTAL, "total = exponential.sum()"),
    KnownMistake("sum_along_another_axis", "The exponentials are summed along the axis before dim; it must be dim itself.",
        softmax, TOTAL, "total = exponential.sum((dim - 1) % x.dim(), keepdim=True)"),
    KnownMistake("axes_clamped", "A dim that x does not have is brought into range; it must raise an error.",
        softmax, HIGHEST, "dim = max(-x.dim(), min(dim, x.dim() - 1))\nhighest = x.amax(dim, keepdim=True).detach()"),
    # the largest score
    KnownMistake("without_the_maximum", "The exponentials are taken without removing the largest score first: they overflow.",
        softmax, SHIFTED, "shifted = x"),
    KnownMistake("one_maximum_for_all", "One maximum is removed from all slices; where a slice lies far below it, all of its exponentials vanish.",
        softmax, HIGHEST, "highest = x.amax().detach()"),
    KnownMistake("maximum_along_another_axis", "The maximum is taken along axis 0; it must be taken along dim.",
        softmax, HIGHEST, "highest = x.amax(0, keepdim=True).detach()", also=(Edit(softmax, TOTAL, "total = exponential.sum(dim, keepdim=True)\nx.amax(dim)"),)),
    KnownMistake("mean_for_the_maximum", "The mean is removed in place of the largest score: what lies far above it overflows.",
        softmax, HIGHEST, "highest = x.mean(dim, keepdim=True).detach()"),
    KnownMistake("minimum_for_the_maximum", "The smallest score is removed in place of the largest: the exponentials overflow all the sooner.",
        softmax, HIGHEST, "highest = x.amin(dim, keepdim=True).detach()"),
    KnownMistake("largest_by_absolute_value", "The largest absolute value is removed in place of the largest score: where all scores are far below "
        "zero, all exponentials vanish.",
        softmax, HIGHEST, "highest = x.abs().amax(dim, keepdim=True).detach()"),
    KnownMistake("clamped_from_above", "Scores are clamped at 50 before the exponential; from there on all weigh the same. Remove the largest one instead.",
        softmax, SHIFTED, "shifted = x.clamp(max=50.0)"),
    KnownMistake("divided_by_the_maximum", "The scores are divided by the largest one; it must be subtracted.",
        softmax, SHIFTED, "shifted = x / highest"),
    # the exponentials and their sum
    KnownMistake("softmax_plus_one", "There is one more in the denominator (\"softmax1\"): the weights no longer sum to one.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + torch.exp(-highest)"),
    KnownMistake("one_in_the_denominator", "1 is added to the sum in the denominator: the weights no longer sum to one.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + 1.0"),
    KnownMistake("epsilon_in_the_denominator", "A small number is added to the denominator: the weights no longer sum to one. The sum is at least "
        "1 once the largest score is removed.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + 1e-6"),
    KnownMistake("tiny_epsilon_in_the_denominator", "1e-9 is added to the denominator: the weights no longer quite sum to one.",
        softmax, TOTAL, "total = exponential.sum(dim, keepdim=True) + 1e-9"),
    KnownMistake("not_divided", "The exponentials are not divided by their sum.", softmax, RESULT, "return exponential"),
    KnownMistake("divided_by_the_largest", "The exponentials are divided by the largest of them; it must be their sum.",
        softmax, TOTAL, "total = exponential.amax(dim, keepdim=True)", looks_like=("not_divided",)),
    KnownMistake("mean_for_the_sum", "The exponentials are divided by their mean: the weights sum to the number of entries.",
        softmax, TOTAL, "total = exponential.mean(dim, keepdim=True)"),
    KnownMistake("length_for_the_sum", "The exponentials are divided by their Euclidean length; it must be their sum.",
        softmax, TOTAL, "total = torch.sqrt((exponential ** 2).sum(dim, keepdim=True))"),
    KnownMistake("cumulative_sum", "The exponentials are divided by a running sum along dim; it must be the whole sum.",
        softmax, TOTAL, "total = exponential.cumsum(dim)"),
    KnownMistake("exponential_forgotten", "There is no exponential: the scores themselves are divided by their sum.",
        softmax, EXPONENTIAL, "exponential = x"),
    KnownMistake("powers_of_two", "You take powers of 2; it is the exponential function.", softmax, EXPONENTIAL, "exponential = torch.exp2(shifted)"),
    KnownMistake("squares_for_exponentials", "You take squares; it is the exponential function.", softmax, EXPONENTIAL, "exponential = x ** 2"),
    KnownMistake("softmin", "The sign is wrong: the smallest score gets the largest weight.",
        softmax, EXPONENTIAL, "exponential = torch.exp(-shifted)"),
    KnownMistake("log_softmax", "This is the logarithm of the weights; return the weights themselves.",
        softmax, RESULT, "return torch.log(exponential / total)"),
    KnownMistake("sigmoid", "You use a sigmoid, entry by entry; the weights along dim must sum to one.", softmax, RESULT, "return torch.sigmoid(x)"),
    KnownMistake("hard_maximum", "All of the weight goes to the largest score; softmax gives each its exponential's share.",
        softmax, RESULT, "return (x == highest).to(x.dtype)"),
    KnownMistake("taken_twice", "The softmax is taken twice.", softmax, RESULT, "return torch.softmax(exponential / total, dim)"),
    # what may not be weighed
    KnownMistake("zeros_left_out", "Scores of exactly 0 are taken for masked and get no weight; only -inf means that.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted) * (x != 0)"),
    KnownMistake("minus_infinity_replaced", "-inf is replaced by the smallest number there is: a slice of nothing but -inf gets equal weights.",
        softmax, HIGHEST, "x = x.clamp(min=torch.finfo(x.dtype).min)\nhighest = x.amax(dim, keepdim=True).detach()"),
    KnownMistake("clamped_from_below", "Scores are clamped at 20 below the largest: a score of -inf keeps a weight.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted.clamp(min=-20.0))"),
    # precision, gradients and side effects
    KnownMistake("in_bfloat16", "The exponentials are taken in bfloat16: two digits are left.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted.to(torch.bfloat16)).to(x.dtype)"),
    KnownMistake("in_float16", "The exponentials are taken in float16: three digits are left.",
        softmax, EXPONENTIAL, "exponential = torch.exp(shifted.to(torch.float16)).to(x.dtype)"),
    KnownMistake("rounded", "The weights are rounded to four decimals.", softmax, RESULT, "return torch.round(exponential / total, decimals=4)"),
    KnownMistake("sum_detached", "The sum in the denominator is detached: its share of the gradient is lost.",
        softmax, RESULT, "return exponential / total.detach()"),
    KnownMistake("detached", "The result is detached (or taken under no_grad): no gradient reaches x.", softmax, RESULT, "return (exponential / total).detach()"),
    KnownMistake("slope_without_the_sum", "Your derivative is y (1 - y), the diagonal alone; every weight depends on every score: y (g - sum(g y)).",
        softmax, instead=_slope_without_the_sum),
    KnownMistake("slope_summed_over_the_last_axis", "Your derivative sums g y over the last axis; it must be summed along dim.",
        softmax, instead=_slope_summed_over_the_last_axis),
    KnownMistake("in_place", "x -= max changes the caller's tensor.", softmax, SHIFTED, "shifted = x.sub_(highest)"),
    KnownMistake("sum_kept", "The sum of the first call is kept for every later one of the same shape.",
        softmax, TOTAL, "total = softmax.__dict__.setdefault((x.shape, dim, x.dtype), exponential.sum(dim, keepdim=True))"),
)
