"""Known mistakes in GELU."""

from harness.core.mistake import KnownMistake
from reference_model.gelu import gelu

INNER = "inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)"
GATE = "gate = 0.5 * (1.0 + torch.tanh(inner))"
RESULT = "return x * gate"


def _derivative_without_the_inner_term(x):
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


def _derivative_saturated_beyond_4(x):
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
    KnownMistake("quick_gelu", "You use the sigmoid approximation x * sigmoid(1.702 x). GPT-2 uses the tanh form. They differ by up to 0.02.",
        gelu, GATE, "gate = torch.sigmoid(1.702 * x)", seen_in=("hendrycks/GELUs README",)),
    KnownMistake("missing_x", "The factor x is missing: this is the gate alone, a sigmoid-like curve.",
        gelu, RESULT, "return gate", seen_in=("tensorflow/tfjs#8224",)),
    KnownMistake("cubic_constant_times_ten", "The cubic constant is 0.44715. It must be 0.044715.",
        gelu, INNER, "inner = math.sqrt(2.0 / math.pi) * (x + 0.44715 * cube)"),
    KnownMistake("root_of_two_over_pi_truncated", "sqrt(2/pi) is truncated to 0.7978. It is 0.7978845608.",
        gelu, INNER, "inner = 0.7978 * (x + 0.044715 * cube)"),
    KnownMistake("root_of_two_over_pi_rounded", "sqrt(2/pi) is rounded to 0.79788. It is 0.7978845608.",
        gelu, INNER, "inner = 0.79788 * (x + 0.044715 * cube)"),
    KnownMistake("pi_outside_the_root", "The constant is sqrt(2) / pi. It must be sqrt(2 / pi).",
        gelu, INNER, "inner = math.sqrt(2.0) / math.pi * (x + 0.044715 * cube)", aliases=("root_of_two_by_pi",)),
    KnownMistake("square_for_cube", "The inner polynomial has x squared. It must be x cubed.",
        gelu, "cube = x.clamp(-10.0, 10.0) ** 3", "cube = x ** 2"),
    KnownMistake("cube_outside_the_bracket", "sqrt(2/pi) multiplies x only. It must multiply the cubic term too.",
        gelu, INNER, "inner = math.sqrt(2.0 / math.pi) * x + 0.044715 * cube"),
    KnownMistake("root_of_two_pi", "The constant is sqrt(2 pi). It must be sqrt(2 / pi).",
        gelu, INNER, "inner = math.sqrt(2.0 * math.pi) * (x + 0.044715 * cube)"),
    KnownMistake("root_of_half_pi", "The constant is sqrt(pi / 2). It must be sqrt(2 / pi).",
        gelu, INNER, "inner = math.sqrt(math.pi / 2.0) * (x + 0.044715 * cube)"),
    KnownMistake("half_forgotten", "The factor 0.5 is missing: the result is twice as large.",
        gelu, GATE, "gate = 1.0 + torch.tanh(inner)"),
    KnownMistake("one_forgotten", "The 1 in 1 + tanh(...) is missing: negative inputs give positive outputs.",
        gelu, GATE, "gate = 0.5 * torch.tanh(inner)"),
    KnownMistake("sigmoid_without_factor_2", "The gate is sigmoid(u). 0.5 (1 + tanh(u)) is sigmoid(2u).",
        gelu, GATE, "gate = torch.sigmoid(inner)", aliases=("sigmoid_of_u",)),
    KnownMistake("relu", "This is ReLU. GPT-2 uses GELU.", gelu, RESULT, "return torch.relu(x)", looks_like=("mlp.variant=relu",)),
    KnownMistake("silu", "This is SiLU (swish), x * sigmoid(x). GPT-2 uses the tanh form of GELU.",
        gelu, GATE, "gate = torch.sigmoid(x)", looks_like=("mlp.variant=silu",)),
    KnownMistake("in_place", "The result is written into x. This destroys the caller's tensor.",
        gelu, RESULT, "return x.mul_(gate.detach()) if not x.requires_grad else x * gate"),
    KnownMistake("gate_detached", "The gate is detached: the gradient through it is lost.",
        gelu, RESULT, "return x * gate.detach()"),
    KnownMistake("derivative_without_the_inner_term", "Your derivative lacks the factor 1 + 3 * 0.044715 * x^2, the derivative of the inner polynomial.",
        gelu, instead=_derivative_without_the_inner_term, seen_in=("apache/tvm#7340",)),
    KnownMistake("derivative_saturated_beyond_4", "Your derivative is set to 0 below x = -4 and to 1 above x = 4, where the true one still differs by 1e-3.",
        gelu, instead=_derivative_saturated_beyond_4, aliases=("derivative_cut_off",)),
    KnownMistake("tanh_in_bfloat16", "The tanh is computed in bfloat16, which keeps about two significant digits.",
        gelu, "inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)",
        "inner = (math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)).to(torch.bfloat16).to(x.dtype)", aliases=("cast_to_half",)),
)
