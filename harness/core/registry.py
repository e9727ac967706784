"""The folder is the registry: one object per file, and a file without its object is an error that names the file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from harness.core.errors import RegistryError


def scan(package: ModuleType, attribute: str, kind: type) -> dict[str, Any]:
    """Every module of a package folder (those that start with ``_`` are helpers) -> its ``attribute``, by module name.

    Raises RegistryError naming the file where the attribute is absent or of another type.
    """
    found = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("_") or info.ispkg:
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        value = getattr(module, attribute, None)
        if not isinstance(value, kind):
            raise RegistryError(
                f"{module.__file__} must define {attribute} (a {kind.__name__}); "
                + (f"it has {value!r}." if value is not None else "it does not.")
                + f" Helper modules of {package.__name__} start with an underscore."
            )
        found[info.name] = value
    return found
