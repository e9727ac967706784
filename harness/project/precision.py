"""Whether a project declares that its code is meant for 16-bit numbers."""

from __future__ import annotations

from typing import Any

from harness.core.errors import UsageError

HALF_PRECISION = "half_precision"
"""Key of ``[tool.plumbline]`` and of ``PLUMBLINE``: whether code that never mentions 16-bit dtypes is held to them."""


def half_precision(value: Any, where: str) -> bool:
    """The declaration. Raises UsageError where it is neither true nor false."""
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {HALF_PRECISION} is true or false, not {value!r}")
    return value
