"""Finds what ``--impl`` names, so far as that can be done without running any of it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

from harness.core.errors import FORMS, UsageError, did_you_mean, near

OWN_NAME = "_plumbline_"
"""Files are imported under names that begin like this, so that they hide nothing and are not hidden."""
MOST_FILES = 50
"""Files of a folder whose imports are looked at."""


@dataclass(frozen=True)
class Place:
    """Where something is: a module by its name, or a file; ``attributes`` lead from there to an object.

    ``text``: as the person wrote it.
    """

    module: str
    path: Path | None
    attributes: tuple[str, ...]
    text: str
    folder: Path = field(default_factory=Path.cwd, compare=False)
    """The current folder when it was looked for."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file, or a folder without ``__init__.py``, imported by its path under a name of its own."""
        return self.path is not None and self.module.startswith(OWN_NAME)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.path.name if self.path is not None and self.is_file else self.module


def locate(text: str) -> Place:
    """What the text names, so far as can be said without running any of it. Raises UsageError where there is none."""
    text = text.strip()
    if not text:
        raise UsageError(f"--impl is empty.\n{FORMS}")
    head, attributes = _split(text)
    looks_like_a_file = head.endswith(".py") or "/" in head or os.sep in head or head.startswith((".", "~"))
    if looks_like_a_file or (Path(head).suffix and Path(head).is_file()):
        return _file(head, attributes, text)
    return _module(head, attributes, text)


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    head, colon, tail = text.rpartition(":")
    if not colon or (len(head) == 1 and tail[:1] in ("\\", "/")):  # C:\mymodel.py
        return text, ()
    parts = tuple(tail.split("."))
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"--impl={text}: after the colon stands the name of an object, not {tail!r}.\n{FORMS}")
    return head, parts


def _file(head: str, attributes: tuple[str, ...], text: str) -> Place:
    path = Path(head).expanduser()
    if path.is_dir():
        if (path / "__init__.py").is_file():
            package = path.resolve()
            searched_first(str(package.parent))
            return Place(package.name, package / "__init__.py", attributes, text)
        return Place(own_name(path.resolve()), path.resolve(), attributes, text)
    if not path.exists():
        raise UsageError(f"--impl={text}: there is no file {path}{_nearest_files(path)}\n{FORMS}")
    if path.suffix not in (".py", ".ipynb"):
        raise UsageError(f"--impl={text}: {path.name} is not a Python file (.py) or notebook (.ipynb).\n{FORMS}")
    path = path.resolve()
    return Place(".".join([*_packages_above(path), own_name(path)]), path, attributes, text)


def own_name(path: Path) -> str:
    """The name under which a file or folder is imported."""
    digest = hashlib.sha1(str(path).encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{OWN_NAME}{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"


def _packages_above(path: Path) -> list[str]:
    """The packages that a file with relative imports lies in, the outermost under a name of its own; none for another.

    As many folders as the imports of its folder climb, and the regular packages that these lie in.
    """
    if not _climbs(path):
        return []
    levels = max(map(_climbs, list(path.parent.glob("*.py"))[:MOST_FILES]))
    folders = list(path.parents)
    while (
        levels < len(folders) - 1
        and (folders[levels - 1] / "__init__.py").is_file()
        and (folders[levels] / "__init__.py").is_file()
    ):
        levels += 1
    levels = min(levels, len(folders) - 1)
    inner = [folder.name for folder in reversed(folders[: levels - 1])]
    return [own_name(folders[levels - 1]), *inner]


def _climbs(path: Path) -> int:
    """The number of dots of the relative imports in a file; 0 where it has none or cannot be read."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return 0
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _nearest_files(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" (nor a directory {folder})"
    names = [p.name for p in folder.glob("*.py")]
    found = near(path.stem, [Path(name).stem for name in names])
    if found:
        return f"; did you mean {' or '.join(str(folder / name) + '.py' for name in found)}?"
    listed = ", ".join(sorted(names))
    return (
        f". {'Here' if str(folder) == '.' else folder} is {cut(listed)}"
        if listed
        else f". There is no .py file in {folder.resolve()}"
    )


def _module(name: str, attributes: tuple[str, ...], text: str) -> Place:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"--impl={text}: {name!r} is no module name.\n{FORMS}")
    here = os.getcwd()
    searched_first(here)
    spec = _top(parts[0])
    if spec is None:
        raise UsageError(f"--impl={text}: there is no module {parts[0]!r}{_nearest_modules(parts[0])}\n{FORMS}")
    local = _local(Path(here), parts[0])
    if local is not None and not _is_of(spec, local):
        raise UsageError(
            f"--impl={text}: a module named {parts[0]!r} is already loaded from {spec.origin or 'elsewhere'}, and "
            f"hides {local.name} in the current directory. Name the file instead: --impl=./{local.name}"
        )
    for i in range(1, len(parts)):
        whole, folders = ".".join(parts[: i + 1]), list(_folders(spec))
        inner = _inside(whole, folders) if folders else None
        if inner is None:
            if folders and importlib.util.find_spec(".".join(parts[:i])) and whole in sys.modules:
                break  # made by the package itself while it was imported
            raise UsageError(f"--impl={text}: {_no_submodule(parts, i, folders)}")
        spec = inner
    path = Path(spec.origin) if spec.origin and spec.has_location else None
    return Place(name, path, attributes, text)


def _folders(spec: ModuleSpec) -> Iterable[str]:
    """The folders of a package; none of a module."""
    return spec.submodule_search_locations or ()


def _no_submodule(parts: list[str], i: int, folders: list[str]) -> str:
    """Why there is no module ``parts[i]`` in the package before it, and what there is."""
    package, whole = ".".join(parts[:i]), ".".join(parts[: i + 1])
    if not folders:
        return f"{package} is a module, no package. An object in it is written --impl={package}:{parts[i]}"
    names = _modules_in(folders)
    hint = did_you_mean(parts[i], names)
    more = f"; {hint}" if hint else f". {package} has: {cut(', '.join(names) or 'no modules')}"
    file = Path(*parts[:-1], f"{parts[-1]}.py")
    if file.is_file():  # another package of that name hides the folder
        more = f" in {', '.join(folders)}. To check {file} of the current directory: --impl=./{file}"
    return f"there is no module {whole!r}{more}\n{FORMS}"


def _inside(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """The module of this dotted name in the folders of its package, of which nothing is imported.

    A folder without ``__init__.py`` counts as a package, as it does for Python. (``PathFinder`` finds such a folder
    inside another only once the outer one is imported.)
    """
    portions: list[str] = []
    for folder in folders:
        finder = pkgutil.get_importer(folder)
        spec = finder.find_spec(name, None) if finder is not None else None
        if spec is not None and spec.loader is not None:
            return spec
        portions += (spec.submodule_search_locations or ()) if spec is not None else ()
    if not portions:
        return None
    package = ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = portions
    return package


def _modules_in(folders: Iterable[str]) -> list[str]:
    """Names of the modules and packages in these folders, of packages without ``__init__.py`` too."""
    names = [info.name for info in pkgutil.iter_modules(list(folders))]
    inner = [p for folder in folders if Path(folder).is_dir() for p in sorted(Path(folder).iterdir()) if p.is_dir()]
    return list(dict.fromkeys([*names, *(p.name for p in inner if p.name.isidentifier() and p.name[0] != "_")]))


def _top(name: str) -> ModuleSpec | None:
    importlib.invalidate_caches()
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__spec__", None) is None:
        return ModuleSpec(name, None, origin=getattr(loaded, "__file__", None))
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _local(folder: Path, name: str) -> Path | None:
    """The file or package of this name in the current directory."""
    if (folder / name / "__init__.py").is_file():
        return folder / name
    file = folder / f"{name}.py"
    return file if file.is_file() else None


def _is_of(spec: ModuleSpec, local: Path) -> bool:
    expected = local / "__init__.py" if local.is_dir() else local
    origin = spec.origin or ""
    return os.path.exists(origin) and os.path.samefile(origin, expected)


def _nearest_modules(name: str) -> str:
    here = [info.name for info in pkgutil.iter_modules([os.getcwd()])]
    beside = _elsewhere(name)
    if beside:
        return f" in the current directory, but there is {beside}: --impl={beside}"
    found = near(name, here)
    if found:
        return f"; did you mean {' or '.join(found)}?"
    installed = near(name, [info.name for info in pkgutil.iter_modules() if not info.name.startswith("_")], 0.75)
    if installed:
        return f"; did you mean {' or '.join(installed)} (installed)?"
    if here:
        return f". In the current directory there is {cut(', '.join(sorted(here)))}"
    return ", and no Python file in the current directory"


def _elsewhere(name: str) -> str:
    """A file of this name in a folder above or right below the current one."""
    here = Path.cwd()
    places = [Path(*[".."] * up) for up in range(1, min(4, len(here.parts)))]
    places += sorted(p.relative_to(here) for p in here.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))[
        :50
    ]
    found = next((place / f"{name}.py" for place in places if (place / f"{name}.py").is_file()), None)
    return str(found) if found else ""


def searched_first(folder: str) -> None:
    """As ``python -m`` and ``python file.py`` have it."""
    if folder not in sys.path and not (folder == os.getcwd() and "" in sys.path):
        sys.path.insert(0, folder)


def cut(text: str, limit: int = 240) -> str:
    """A long list, shortened for a message."""
    return text if len(text) <= limit else text[: limit - 4] + " ..."
