"""Legal other forms of whole models that several components share: an untied head, gains stored less one."""

from __future__ import annotations

from harness.core.contract import Variant
from harness.core.mistake import Edit
from reference_model.rms_norm import rms_norm

UNTIED = "untied"
TIED = (
    Variant("tied", "The head is the token embedding.", (), axis="tied", is_default=True),
    Variant(
        UNTIED,
        "Your head is a tensor of its own; GPT-2's is the token embedding, which saves V D parameters.",
        (),
        axis="tied",
    ),
)
HOW_TO_UNTIE = '--impl-variant=tied=untied, or tied = "untied" under [tool.plumbline] in pyproject.toml'
UNIT_OFFSET = Variant(
    "unit_offset",
    "The gain is used as 1 + weight, as Gemma stores it; elsewhere the weight is the gain itself.",
    (Edit(rms_norm, "scaled = normalised * weight", "scaled = normalised * (1 + weight)"),),
    axis="norm",
)
CLAMPED_NORM = Variant(
    "clamped",
    "The norms have no epsilon: the length of a vector is divided by, but never by less than 1e-12 (F.normalize).",
    (
        Edit(
            rms_norm,
            "root = torch.sqrt(mean_square + eps)",
            "root = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).clamp_min(1e-12) / wide.shape[-1] ** 0.5",
        ),
    ),
    axis="norm_eps",
)
