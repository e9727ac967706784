"""Wrong use of ``--impl``: errors with a complete text for the person at the prompt, and names near to what was meant.

Imports nothing heavy: a name is refused before torch is loaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

FORMS = """\
--impl takes
    mymodel                 a module or package that can be imported, the current directory included
    ./student.py            a file
    pkg.module:thing        an object of a module or file: a namespace, or a factory decorated with @implements
    mistake:COMPONENT.NAME  a known mistake, to see how it is caught (`plumbline list --mistakes`)
Nothing written yet? `plumbline init` writes a file to begin with."""


class UsageError(Exception):
    """What was asked for cannot be had. The text is complete: what is wrong, and what to write instead."""


class ImportFailed(UsageError):
    """Their module exists and could not be imported. The text holds their traceback, from their first frame on."""


class RegistryError(UsageError):
    """A file of a registry folder does not hold the object that it must. The text names the file."""


class CannotMatch(Exception):
    """A misfit: the module's parameters are not those of the component. The text tells what was found and what not."""


class OtherSize(CannotMatch):
    """The module has another size than the case. ``sizes``: names of the sizes that the tensor in question has."""

    def __init__(self, message: str, sizes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.sizes = sizes


def near(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Up to three of ``names`` that resemble ``name``, capitals and underscores aside, the nearest first."""
    known = {plain(other): other for other in sorted(set(names), reverse=True)}
    return [known[match] for match in difflib.get_close_matches(plain(name), known, 3, cutoff)]


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """``did you mean a or b?``, or an empty text where nothing is near."""
    found = near(name, names, cutoff)
    return f"did you mean {' or '.join(found)}?" if found else ""


def plain(name: str) -> str:
    """The name without capitals and underscores: ``LayerNorm`` and ``layer_norm`` are one."""
    return name.replace("_", "").lower()
