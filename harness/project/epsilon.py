"""A norm's fixed epsilon, as somebody declares it: in pyproject.toml, in their own file, or in one line."""

from __future__ import annotations

import math
from typing import Any

from harness.core.errors import UsageError

EPS = ("eps", "epsilon")
"""How the key may be spelled."""


def epsilon(value: Any, where: str) -> float:
    """The number. Raises UsageError naming where it stands if it is no small positive one."""
    try:
        eps = float(value)
    except (TypeError, ValueError):
        eps = math.nan
    if isinstance(value, bool) or not 0 < eps < 1:
        raise UsageError(f"{where}: eps is a small positive number like 1e-6, not {value!r}")
    return eps
