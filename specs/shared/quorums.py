"""Cases that can tell what most others cannot, which several sheets ask for."""

from __future__ import annotations

from harness.core.case import Case
from harness.core.quorum import Quorum, at_least

SEVERAL_HEADS = at_least("more than one head", heads=2)
"""With one head, how features are cut into heads does not show."""
THREE_POSITIONS = at_least("three positions or more", time=3)
"""With two, an average of the past is a copy of one."""
THREE_FEATURES = at_least("three features or more", width=3)
"""Two normalised features are +1 and -1, whatever they were."""
TWO_PAIRS = at_least("two pairs of features or more", size=4)
"""With one pair, all angles have one frequency, and both orders of the pairs are the same."""
ATTENDS = (SEVERAL_HEADS, THREE_POSITIONS)


def _has_groups(case: Case) -> bool:
    return 1 < case.dimensions.get("kv_heads", 1) < case.dimensions.get("heads", 1)


SEVERAL_GROUPS = Quorum("more than one group of more than one query head", _has_groups)
"""With one group, or with groups of one head, which key head a query head uses does not show."""


def _is_oblong(case: Case) -> bool:
    sizes = case.dimensions
    return sizes.get("width", 0) != sizes.get("out", sizes.get("hidden", -1))


OBLONG = Quorum("a weight that is not square", _is_oblong)
"""A square weight may be transposed, and still fit."""
