"""Legal forms of the mask of scaled dot-product attention, and of what a query gets that may attend to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from harness.core.contract import Variant
from harness.core.mistake import Edit
from reference_model.scaled_dot_product_attention import scaled_dot_product_attention

HIDDEN = "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask"
MASKED = 'masked = scores.masked_fill(hidden, float("-inf"))'
FILLED = "filled = masked.masked_fill(idle, 0.0)"
USED = "used = weights.masked_fill(idle, 0.0)"


AS_TORCH = (
    "torch's own function gives NaN there too in the version that is installed (2.4 and earlier). Nobody is held to "
    "zeros as long as no mask hides every key of a query."
)


@lru_cache(maxsize=1)
def torch_gives_nan() -> bool:
    """Whether the installed torch gives NaN to a query that may attend to nothing."""
    one = torch.ones(1, 1, 1)
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    return bool(torch.nn.functional.scaled_dot_product_attention(one, one, one, nothing).isnan().any())


def _edit(right: str, wrong: str) -> Edit:
    return Edit(scaled_dot_product_attention, right, wrong)


def _inverted(a: Mapping[str, Any]) -> Any:
    return None if a["mask"] is None else ~a["mask"]


def _additive(a: Mapping[str, Any]) -> Any:
    """0 where the query may attend to the key, -inf where not."""
    mask = a["mask"]
    return None if mask is None else torch.zeros(mask.shape, dtype=a["q"].dtype).masked_fill(~mask, float("-inf"))


FORMS = (
    Variant(
        "mean_of_hidden",
        "A query that may attend to nothing gets the mean of all values, as where hidden scores are set to -1e9; "
        "in torch it gets zeros.",
        (_edit(USED, "used = weights"),),
        axis="where_all_is_hidden",
    ),
    Variant(
        "nan_where_all_is_hidden",
        "A query that may attend to nothing gives NaN, and so does every gradient; in torch it gets zeros. Declare it "
        "if no mask of yours hides every key of a query.",
        (_edit(FILLED, "filled = masked"), _edit(USED, "used = weights")),
        axis="where_all_is_hidden",
    ),
    Variant(
        "true_hides",
        "Your mask is True where the query may not attend to the key, as in torch.nn.MultiheadAttention; in torch's "
        "function of this name it is True where it may.",
        (_edit(HIDDEN, HIDDEN.replace("~mask", "mask")),),
        axis="mask",
        given={"mask": _inverted},
    ),
    Variant(
        "additive",
        "Your mask is added to the scores: 0 where the query may attend to the key, -inf where not.",
        (
            _edit(MASKED, "masked = scores if mask is None else scores + mask"),
            _edit(FILLED, "filled = masked"),
            _edit(USED, "used = weights"),
        ),
        axis="mask",
        given={"mask": _additive},
    ),
)
"""The plain form: True where the query may attend, and zeros where it may attend to nothing."""
