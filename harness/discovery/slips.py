"""Errors that show a slip of the pen, whatever a function or class was given."""

from __future__ import annotations

from harness.core.errors import near

MISSPELT = 0.75
"""How much a name must be like an attribute that there is."""


def is_slip(error: BaseException) -> bool:
    """Whether a name is unknown, or an attribute is missing that is nearly one there is: ``x.meann(-1)``.

    It is a mistake of the code that raised it, and no sign that it was given something else than it takes.
    """
    if isinstance(error, AttributeError):
        return bool(error.name and near(error.name, dir(error.obj), MISSPELT))
    return isinstance(error, NameError)
