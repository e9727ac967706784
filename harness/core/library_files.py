"""Which files are somebody's own: not the harness's, not Python's, not an installed distribution's. Said here alone."""

from __future__ import annotations

import os
import site
import sysconfig
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = (str(ROOT / "harness") + os.sep, str(ROOT / "specs") + os.sep)
"""The harness itself, and the contract sheets."""
INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Folders of this name hold what is installed, in whichever environment."""
FROZEN = "<frozen"
"""Where modules say they come from that are part of the interpreter."""


@lru_cache(maxsize=1)
def _folders() -> tuple[str, ...]:
    """Where Python keeps its library and what is installed, as given and resolved.

    Not the environment as a whole: ``python -m venv .`` makes the project itself one.
    """
    paths = sysconfig.get_paths()
    found = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if paths.get(key)}
    found |= {*getattr(site, "getsitepackages", list)(), site.getusersitepackages()}
    return tuple({one + os.sep for folder in found for one in (folder, str(Path(folder).resolve()))})


@lru_cache(maxsize=4096)
def is_library_file(file: str) -> bool:
    """Whether a file, by its name in a traceback or a module, belongs to Python or to an installed distribution."""
    if file.startswith((FROZEN, *_folders())):
        return True
    if file.startswith("<"):
        return False
    path = Path(file).resolve()
    return not INSTALLED.isdisjoint(path.parts) or str(path).startswith(_folders())


def is_own_file(file: str) -> bool:
    """Whether a file is neither the harness's nor a library's."""
    return not file.startswith(OURS) and not is_library_file(file)
