"""``plumbline.map.toml``: what was found in module classes, for a person to read, to correct and to commit.

One table per implementation and component. Where the file differs from what would be found, the file is right.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.declaration import LAYOUTS
from harness.core.errors import UsageError, did_you_mean
from harness.discovery.locate import Place
from harness.execution.session import Adapter
from harness.modules.expected_parameters import LAYER
from harness.modules.found_class import FoundModule, PartFactory
from harness.modules.parameter_map import Plan

FILE = "plumbline.map.toml"
KEYS = ("class", "inside", "of", "layout", "skip", "names")
HEAD = f"""\
# {FILE}: how your modules are plugged in. `plumbline doctor` wrote what it found; every run reads this file.
# Correct what is wrong and commit it.
#   class    the module class that is this component
#   inside   or: the attribute of the class `of` that is this component ("h.0.attn")
#   layout   "in_out" if your square weights are [in, out]
#   skip     true: do not check this component
#   names    contract's parameter = your parameter; a list in order if yours is split into parts
"""


@dataclass(frozen=True)
class MapEntry:
    """What the file says of one component."""

    kind: str = ""
    inside: str = ""
    layout: str | None = None
    skip: bool = False
    names: Mapping[str, Any] = field(default_factory=dict)


def map_folder(place: Place) -> Path:
    """The folder of an implementation's ``plumbline.map.toml``: that of its file, or the current one for a module."""
    if place.path is None or not place.is_file:
        return place.folder
    return place.path if place.path.is_dir() else place.path.parent


def read(folder: Path, implementation: str, components: Mapping[str, Any]) -> dict[str, MapEntry]:
    """What the file in this folder says of this implementation; nothing where there is no file.

    Raises UsageError naming the file and the entry that cannot be meant.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        whole = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(
            path.read_text(encoding="utf-8")
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    tables = whole.get(implementation, {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: [{_quoted(implementation)}.COMPONENT] tables are expected, not {tables!r}")
    return {name: _entry(path, name, table, components) for name, table in tables.items()}


def _entry(path: Path, name: str, table: Any, components: Mapping[str, Any]) -> MapEntry:
    if name not in components:
        hint = did_you_mean(name, components)
        raise UsageError(f"{path}: there is no component {name!r}; {hint or 'see `plumbline list`'}")
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {name} must be a table, not {table!r}")
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{path}: {name} has {key!r}; {did_you_mean(key, KEYS) or 'it takes ' + ', '.join(KEYS)}")
    layout, names, skip = table.get("layout"), table.get("names", {}), table.get("skip", False)
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f'{path}: the layout of {name} is "in_out" or "out_in", not {layout!r}')
    if not isinstance(names, dict) or not all(isinstance(v, (str, list)) for v in names.values()):
        raise UsageError(f"{path}: names of {name} must be a table from the contract's names to yours, not {names!r}")
    if not isinstance(skip, bool):
        raise UsageError(f"{path}: skip of {name} is true or false, not {skip!r}")
    for key in ("class", "inside", "of"):
        if not isinstance(table.get(key, ""), str):
            raise UsageError(f"{path}: {key} of {name} is a string, not {table[key]!r}")
    kind = str(table.get("class") or table.get("of") or "")
    return MapEntry(kind, str(table.get("inside", "")), layout, skip, names)


def names_of(plan: Plan) -> dict[str, str | list[str]]:
    """The contract's names -> the module's, as ``names`` takes them: behind the index of the layer, a list of parts."""
    found: dict[str, list[str]] = {}
    for match in plan.matches:
        found.setdefault(match.expected.name, []).append(match.found.pattern.rpartition(f"{LAYER}.")[2])
    return {name: several[0] if len(several) == 1 else several for name, several in found.items()}


def tables(implementation: str, adapters: Mapping[str, Adapter]) -> str:
    """The file's part for one implementation, as text; empty where nothing of it was found among module classes."""
    lines = []
    for name, adapter in adapters.items():
        adapter = adapter.unwrapped
        if not isinstance(adapter, FoundModule) or adapter.plan is None:
            continue
        head = f"{_quoted(implementation)}.{name}"
        factory = adapter.declaration.factory
        lines += ["", f"[{head}]"]
        if isinstance(factory, PartFactory):
            lines += [f"inside = {_quoted(factory.path)}", f"of = {_quoted(factory.whole.__name__)}"]
        else:
            lines.append(f"class = {_quoted(factory.__name__)}")
        if adapter.declaration.layout:
            lines.append(f"layout = {_quoted(adapter.declaration.layout)}")
        pairs = names_of(adapter.plan)
        if pairs:
            lines.append(f"[{head}.names]")
            lines += [f"{name} = {json.dumps(yours)}" for name, yours in pairs.items()]
    return "\n".join([*lines[1:], ""]) if lines else ""


def write(
    folder: Path, implementation: str, adapters: Mapping[str, Adapter], refresh: bool = False
) -> tuple[Path, bool] | None:
    """Add what was found to the file; what it holds already stays unless ``refresh``.

    Returns the path and whether it was written; None where nothing was found among module classes. Raises OSError.
    """
    text = tables(implementation, adapters)
    if not text:
        return None
    path = folder / FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    mine = f"[{_quoted(implementation)}."
    if mine in before:
        if not refresh:
            return path, False
        before = _without(before, mine)
    path.write_text(f"{before.rstrip()}\n\n{text}", encoding="utf-8")
    return path, True


def _without(text: str, mine: str) -> str:
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.startswith(mine)
        if not inside:
            kept.append(line)
    return "\n".join(kept)


def _quoted(text: str) -> str:
    return json.dumps(text)
