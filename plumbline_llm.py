"""Entry points of the distribution plumbline-llm: the command and the pytest plug-in.

They load ``plumbline.py`` from beside this file. On PyPI the name `plumbline` belongs to another project. If its
package is installed too, Python imports that one as ``plumbline``; ours says so instead of failing with an ImportError.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FILE = Path(__file__).resolve().with_name("plumbline.py")
OVERWRITTEN = (
    f"Another project's distribution has overwritten {FILE}. "
    f"Remove both: {sys.executable} -m pip uninstall plumbline plumbline-llm; "
    f"then install ours: {sys.executable} -m pip install plumbline-llm"
)


MARK = "hidden_packages"
"""A name that our ``plumbline.py`` defines, in every version."""


def _front_door() -> ModuleType | None:
    """Our ``plumbline.py``, under another name where Python finds another module first. None if it was overwritten."""
    found = importlib.machinery.PathFinder.find_spec("plumbline")
    if found is None or found.origin is None or _is_ours(Path(found.origin).resolve()):
        module = importlib.import_module("plumbline")
        return module if hasattr(module, MARK) else None
    if MARK not in FILE.read_text(encoding="utf-8", errors="replace"):
        return None
    spec = importlib.util.spec_from_file_location("_plumbline_of_plumbline_llm", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_ours(found: Path) -> bool:
    """The file beside this one, or that of another checkout."""
    return found == FILE or all((found.parent / name).is_dir() for name in ("harness", "specs", "reference_model"))


front_door = _front_door()

if front_door is not None:
    main = front_door.main
    pytest_addoption = front_door.pytest_addoption
    pytest_configure = front_door.pytest_configure
else:

    def main() -> int:
        """Say what is wrong. Exit code 4: wrong use."""
        print(f"plumbline: {OVERWRITTEN}", file=sys.stderr)
        return 4

    def pytest_load_initial_conftests(args: list[str]) -> None:
        """Say what is wrong where an implementation is to be checked."""
        import pytest

        if any(argument.startswith("--impl") for argument in args):
            raise pytest.UsageError(OVERWRITTEN)
