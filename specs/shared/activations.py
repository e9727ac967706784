"""Legal activations of feed-forward layers: one axis. A form has the same edits in every component that has it."""

from __future__ import annotations

from harness.core.contract import Variant
from harness.core.mistake import Edit
from reference_model.gelu import gelu
from reference_model.mlp import mlp
from reference_model.swiglu import swiglu

ACTIVATION = "activation"
GATED = "activated = gate * torch.sigmoid(gate)"
UNGATED = "activated = gelu(hidden)"
EXPRESSIONS = {
    "gelu_tanh": (
        "GELU in its tanh form, as GPT-2's and Gemma's",
        "0.5 * {0} * (1.0 + (0.7978845608028654 * ({0} + 0.044715 * {0}**3)).tanh())",
    ),
    "gelu_erf": ("the exact erf GELU, torch's default", "0.5 * {0} * (1.0 + ({0} / 2**0.5).erf())"),
    "quick_gelu": ("the sigmoid approximation of GELU, a * sigmoid(1.702 a)", "{0} * (1.702 * {0}).sigmoid()"),
    "silu": ("SiLU, a * sigmoid(a)", "{0} * {0}.sigmoid()"),
    "relu": ("ReLU", "{}.relu()"),
    "relu2": ("the square of ReLU, as in nanochat", "{}.relu() ** 2"),
    "sigmoid": ("a sigmoid (the original GLU with a gate)", "{}.sigmoid()"),
    "identity": ("nothing (bilinear with a gate)", "{}"),
}
"""What each is, and an expression of what it is applied to."""


def gated_edit(name: str) -> Edit:
    """Another activation of the gate."""
    return Edit(swiglu, GATED, f"activated = {EXPRESSIONS[name][1].format('gate')}")


def ungated_edit(name: str) -> Edit:
    """Another activation where there is no gate."""
    return Edit(mlp, UNGATED, f"activated = {EXPRESSIONS[name][1].format('hidden')}")


def _form(name: str, edits: tuple[Edit, ...], usual: str) -> Variant:
    sentence = f"The activation is {EXPRESSIONS[name][0]}; {usual}."
    return Variant(name, sentence, edits, axis=ACTIVATION)


def _default(name: str) -> Variant:
    return Variant(name, f"The activation is {EXPRESSIONS[name][0]}.", (), axis=ACTIVATION, is_default=True)


SWIGLU = (
    _default("silu"),
    *(_form(name, (gated_edit(name),), "SwiGLU has SiLU") for name in EXPRESSIONS if name != "silu"),
)
MLP = (
    _default("gelu_tanh"),
    *(
        _form(name, (ungated_edit(name),), "GPT-2 has GELU in its tanh form")
        for name in EXPRESSIONS
        if name not in ("gelu_tanh", "gelu_erf", "quick_gelu", "sigmoid", "identity")
    ),
)
"""The other forms of GELU are those of its part."""
GELU = (
    _default("gelu_tanh"),
    Variant(
        "erf",
        "You compute the exact erf GELU (torch's default); GPT-2 uses the tanh form, up to 4.7e-4 away.",
        (Edit(gelu, "gate = 0.5 * (1.0 + torch.tanh(inner))", "gate = 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))"),),
        axis=ACTIVATION,
        aliases=("gelu_erf",),
    ),
    Variant(
        "quick_gelu",
        "You use the sigmoid approximation x * sigmoid(1.702 x), as CLIP does; GPT-2 uses the tanh form.",
        (Edit(gelu, "gate = 0.5 * (1.0 + torch.tanh(inner))", "gate = torch.sigmoid(1.702 * x)"),),
        axis=ACTIVATION,
    ),
)
