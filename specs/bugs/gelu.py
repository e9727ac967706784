"""Known mistakes in GELU."""

from harness.core.mistake import KnownMistake
from reference_model.gelu import gelu

INNER = "inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)"
GATE = "gate = 0.5 * (1.0 + torch.tanh(inner))"
RESULT = "return x * gate"


def _slope_without_the_inner_term(x):
    class Gelu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            t = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
            return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi))  # no (1 + 3 * 0.044715 * x**2)

    return Gelu.apply(x)


def _slope_cut_off(x):
    class Gelu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            t = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
            slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
            slope = torch.where(x > 4, torch.ones_like(x), torch.where(x < -4, torch.zeros_like(x), slope))
            return g * slope

    return Gelu.apply(x)


MISTAKES = (
    KnownMistake("quick_gelu", "You use the sigmoid approximation x * sigmoid(1.702 x); GPT-2 uses the tanh form, 0.02 away.",
        gelu, GATE, "gate = torch.sigmoid(1.702 * x)", seen_in=("hendrycks/GELUs README",)),
    KnownMistake("missing_x", "The leading factor x is missing: this is the gate alone, a kind of sigmoid.",
        gelu, RESULT, "return gate", seen_in=("tensorflow/tfjs#8224",)),
    KnownMistake("cubic_constant_times_ten", "The cubic constant is 0.044715, not 0.44715.",
        gelu, INNER, "inner = math.sqrt(2.0 / math.pi) * (x + 0.44715 * cube)"),
    KnownMistake("root_of_two_over_pi_truncated", "sqrt(2/pi) is 0.7978845608; you cut it off after 0.7978.",
        gelu, INNER, "inner = 0.7978 * (x + 0.044715 * cube)"),
    KnownMistake("root_of_two_over_pi_rounded", "sqrt(2/pi) is 0.7978845608; 0.79788 is not enough digits.",
        gelu, INNER, "inner = 0.79788 * (x + 0.044715 * cube)"),
    KnownMistake("root_of_two_by_pi", "You take sqrt(2)/pi; it is sqrt(2/pi), the root over both.",
        gelu, INNER, "inner = math.sqrt(2.0) / math.pi * (x + 0.044715 * cube)"),
    KnownMistake("square_for_cube", "The inner polynomial has x cubed, not x squared.",
        gelu, "cube = x ** 3", "cube = x ** 2"),
    KnownMistake("cube_outside_the_bracket", "sqrt(2/pi) multiplies the whole bracket, the cubic term too.",
        gelu, INNER, "inner = math.sqrt(2.0 / math.pi) * x + 0.044715 * cube"),
    KnownMistake("root_of_two_pi", "The constant is sqrt(2 pi); it is sqrt(2 / pi).",
        gelu, INNER, "inner = math.sqrt(2.0 * math.pi) * (x + 0.044715 * cube)"),
    KnownMistake("root_of_half_pi", "The constant is sqrt(pi / 2); it is sqrt(2 / pi).",
        gelu, INNER, "inner = math.sqrt(math.pi / 2.0) * (x + 0.044715 * cube)"),
    KnownMistake("half_forgotten", "The factor 0.5 is missing: the result is twice as large.",
        gelu, GATE, "gate = 1.0 + torch.tanh(inner)"),
    KnownMistake("one_forgotten", "It is 1 + tanh(...); without the 1 the negative side comes out positive.",
        gelu, GATE, "gate = 0.5 * torch.tanh(inner)"),
    KnownMistake("sigmoid_of_u", "0.5 (1 + tanh(u)) is sigmoid(2u); you left the 2 out.",
        gelu, GATE, "gate = torch.sigmoid(inner)"),
    KnownMistake("relu", "This is a ReLU; GPT-2 uses GELU.", gelu, RESULT, "return torch.relu(x)"),
    KnownMistake("silu", "This is SiLU (swish), x * sigmoid(x); GPT-2 uses the tanh form of GELU.",
        gelu, GATE, "gate = torch.sigmoid(x)"),
    KnownMistake("in_place", "You write the result into x; the caller's tensor is destroyed.",
        gelu, RESULT, "return x.mul_(gate.detach()) if not x.requires_grad else x * gate"),
    KnownMistake("gate_detached", "The gate is detached, so its share of the gradient is lost.",
        gelu, RESULT, "return x * gate.detach()"),
    KnownMistake("derivative_without_the_inner_term", "Your derivative misses the factor 1 + 3 * 0.044715 * x^2 of the inner polynomial.",
        gelu, instead=_slope_without_the_inner_term, seen_in=("apache/tvm#7340",)),
    KnownMistake("derivative_cut_off", "Your derivative is set to 0 and 1 beyond |x| = 4, where the slope is still 1e-3 away from that.",
        gelu, instead=_slope_cut_off),
    KnownMistake("cast_to_half", "The tanh is taken in bfloat16: two digits are left.",
        gelu, "inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)",
        "inner = (math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)).to(torch.bfloat16).to(x.dtype)"),
)
