"""Finds what ``--impl`` names and imports it. Names are checked before anything is imported."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import pkgutil
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from harness.core.errors import FORMS, ImportFailed, UsageError, did_you_mean, near
from harness.discovery.implements import forget

OURS = (str(Path(__file__).resolve().parents[1]) + os.sep, importlib.__file__, "<frozen importlib")
"""Files whose frames say nothing about somebody's code."""


@dataclass(frozen=True)
class Place:
    """Where something is: a module by its name, or a file; ``attributes`` lead from there to an object."""

    module: str
    path: Path | None
    attributes: tuple[str, ...]
    text: str

    @property
    def is_file(self) -> bool:
        """Whether it is imported by its path, under a name of its own."""
        return self.path is not None and self.module.startswith("_plumbline_")

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


def load(place: Place, time_limit: float = 0.0) -> tuple[ModuleType, Any]:
    """The module and the object in it. Raises ImportFailed where their code fails or is not through after
    ``time_limit`` seconds (0: no limit), UsageError where there is none."""
    with _not_forever(time_limit):
        module = _imported(place)
    found: Any = module
    for i, name in enumerate(place.attributes):
        try:
            found = getattr(found, name)
        except AttributeError:
            whole = (
                ".".join((place.text.rpartition(":")[0], *place.attributes[:i])) if i else place.text.rpartition(":")[0]
            )
            names = [n for n in dir(found) if not n.startswith("_")]
            listed = ", ".join(n for n in names if not isinstance(getattr(found, n, None), ModuleType)) or "nothing"
            hint = did_you_mean(name, names)
            raise UsageError(
                f"--impl={place.text}: {whole} has no {name!r}" + (f"; {hint}" if hint else f". It has: {_cut(listed)}")
            ) from None
    return module, found


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
            _searched_first(str(package.parent))
            return Place(package.name, package / "__init__.py", attributes, text)
        files = ", ".join(sorted(p.name for p in path.glob("*.py"))) or "no .py file"
        raise UsageError(
            f"--impl={text}: {head} is a directory without __init__.py, so it is no package. "
            f"It holds {_cut(files)}: name one file."
        )
    if not path.exists():
        raise UsageError(f"--impl={text}: there is no file {path}{_nearest_files(path)}\n{FORMS}")
    if path.suffix == ".ipynb":
        script = f"jupyter nbconvert --to script {path}"
        raise UsageError(f"--impl={text}: {path.name} is a notebook. Turn it into a Python file first: {script}")
    if path.suffix != ".py":
        raise UsageError(f"--impl={text}: {path.name} is not a Python file (.py).\n{FORMS}")
    path = path.resolve()
    digest = hashlib.sha1(str(path).encode(), usedforsecurity=False).hexdigest()[:8]
    return Place(f"_plumbline_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}", path, attributes, text)


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
        f". {'Here' if str(folder) == '.' else folder} is {_cut(listed)}"
        if listed
        else f". There is no .py file in {folder.resolve()}"
    )


def _module(name: str, attributes: tuple[str, ...], text: str) -> Place:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"--impl={text}: {name!r} is no module name.\n{FORMS}")
    here = os.getcwd()
    _searched_first(here)
    spec = _top(parts[0])
    if spec is None:
        raise UsageError(f"--impl={text}: there is no module {parts[0]!r}{_nearest_modules(parts[0])}\n{FORMS}")
    local = _local(Path(here), parts[0])
    if local is not None and not _is_of(spec, local):
        raise UsageError(
            f"--impl={text}: a module named {parts[0]!r} is already loaded from {spec.origin or 'elsewhere'}, and "
            f"hides {local.name} in the current directory. Name the file instead: --impl=./{local.name}"
        )
    for i, part in enumerate(parts[1:], 1):
        whole, places = ".".join(parts[: i + 1]), spec.submodule_search_locations
        inner = _inside(whole, places) if places else None
        if inner is None:
            if places and importlib.util.find_spec(".".join(parts[:i])) and whole in sys.modules:
                break  # made by the package itself while it was imported
            package = ".".join(parts[:i])
            if not places:
                raise UsageError(
                    f"--impl={text}: {package} is a module, no package. "
                    f"An object in it is written --impl={package}:{part}"
                )
            names = _modules_in(places)
            hint = did_you_mean(part, names)
            more = f"; {hint}" if hint else f". {package} has: {_cut(', '.join(names) or 'no modules')}"
            file = Path(*parts[:-1], f"{parts[-1]}.py")
            if file.is_file():  # another package of that name hides the folder
                more = f" in {', '.join(places)}. To check {file} of the current directory: --impl=./{file}"
            raise UsageError(f"--impl={text}: there is no module {whole!r}{more}\n{FORMS}")
        spec = inner
    path = Path(spec.origin) if spec.origin and spec.has_location else None
    return Place(name, path, attributes, text)


def _inside(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """The module of this dotted name in the folders of its package, of which nothing is imported.

    A folder without ``__init__.py`` counts as a package, as it does for Python. (``PathFinder`` finds such a folder inside
    another only once the outer one is imported.)
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
        return f". In the current directory there is {_cut(', '.join(sorted(here)))}"
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


def _searched_first(folder: str) -> None:
    """As ``python -m`` and ``python file.py`` have it."""
    if folder not in sys.path and not (folder == os.getcwd() and "" in sys.path):
        sys.path.insert(0, folder)


def _imported(place: Place) -> ModuleType:
    try:
        return _run_file(place) if place.is_file else importlib.import_module(place.module)
    except UsageError as wrong:  # @implements refuses what it was given
        frames = [frame for frame in traceback.extract_tb(wrong.__traceback__) if not frame.filename.startswith(OURS)]
        at = f'\n  File "{frames[-1].filename}", line {frames[-1].lineno}\n    {frames[-1].line}' if frames else ""
        raise UsageError(f"--impl={place.text}: {wrong}{at}\nNo check was run.") from None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit, and what test frameworks raise to stop a module
        raise ImportFailed(_import_failure(place, error)) from None


class _Endless(BaseException):
    """The import takes too long. (Not an Exception, so that a broad ``except`` of theirs does not eat it.)"""


@contextmanager
def _not_forever(seconds: float) -> Iterator[None]:
    """Stop an import that takes longer (main thread of POSIX systems only; else no limit)."""
    usable = seconds > 0 and hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable:
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Endless(f"{seconds:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    outer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *outer)
        signal.signal(signal.SIGALRM, previous)


def _run_file(place: Place) -> ModuleType:
    assert place.path is not None
    _searched_first(str(place.path.parent))
    spec = importlib.util.spec_from_file_location(place.module, place.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    forget(place.module)
    sys.modules[place.module] = module  # dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[place.module]
        raise
    return module


def _import_failure(place: Place, error: BaseException) -> str:
    what = place.name
    if isinstance(error, SystemExit):
        put = 'put such lines under `if __name__ == "__main__":`'
        reason = f"{what} ends the program while it is imported (sys.exit or exit); {put}"
    elif isinstance(error, _Endless):
        put = 'Put training and tests under `if __name__ == "__main__":`; if it is merely slow: --impl-timeout=SECONDS'
        reason = f"{what} was not imported after {error}. {put}"
    else:
        reason = f"{what} fails while it is imported"
    shown = their_traceback(error).rstrip()
    if isinstance(error, _Endless):
        shown = shown.rpartition("\n")[0]
    lines = [f"--impl={place.text}: {reason}. No check was run.", "", shown]
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        lines += [
            "",
            f"It needs {top!r}, which this Python does not have ({sys.executable}): python -m pip install {top}",
        ]
    return "\n".join(lines)


def their_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, without our frames and the import machinery's; causes included."""
    whole = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()

    def without_ours(one: traceback.TracebackException | None) -> None:
        if one is None or id(one) in seen:
            return
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([f for f in one.stack if not f.filename.startswith(OURS)])
        without_ours(one.__cause__)
        without_ours(one.__context__)

    without_ours(whole)
    return "".join(whole.format())


def _cut(text: str, limit: int = 240) -> str:
    return text if len(text) <= limit else text[: limit - 4] + " ..."
