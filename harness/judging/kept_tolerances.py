"""Tolerances that were worked out in an earlier run, kept in the user's cache folder.

What the reference does to a case when it is moved by a rounding does not change while the case, the sources, torch and
the machine stay the same. Bounds alone are kept, as plain numbers. Answers are not, neither the reference's nor, ever,
those of an implementation. A run reads and writes two small files, named after all that their numbers depend on: one of
the telling sets, whose cases are the same in every run, and one of the fresh cases of its seed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from harness.core.implementation import Answer
from harness.core.tree import dotted, map_leaves
from harness.numerics.bounds import LazyBound
from harness.reports.json_file import atomically

FORM = 1
"""Changes when the file's form or the meaning of its keys does."""
MOST_FILES, MOST_BYTES = 100, 64 << 20
"""The folder keeps so many files, and so many bytes, the latest ones."""
MOST_BOUNDS = 200_000
"""A file that would hold more begins anew with the latest: smaller versions of failing cases are seldom met again."""
ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("reference_model", "specs", "harness/core", "harness/execution", "harness/judging", "harness/numerics")
"""Folders whose code says what a bound is."""


class _Bounds:
    """The bounds in one file. One that is absent, damaged or of another form counts as empty, and is written anew."""

    def __init__(self, folder: Path, of: str) -> None:
        self.file = folder / f"{_depends_on()}-{of}.json"
        self.known = _read(self.file)
        self.new: dict[str, float] = {}

    def save(self) -> None:
        """Add what is new to the file, beside what other processes have added. Does nothing where that fails."""
        if not self.new:
            return
        bounds = {**_read(self.file), **self.known, **self.new}
        if len(bounds) > MOST_BOUNDS:
            bounds = self.new
        try:
            atomically(json.dumps({"form": FORM, "bounds": bounds}), self.file)
            _bound_size(self.file.parent)
        except OSError:
            return

    def kept(self, place: str, bound: LazyBound) -> LazyBound:
        """The bound, which is not worked out where it is known."""

        def work_out() -> float:
            known = self.known.get(place)
            if known is not None and known >= bound.least:
                return known
            value = bound.value
            if type(value) is float and math.isfinite(value):
                self.new[place] = value
            return value

        return LazyBound(lambda: bound.least, work_out)


class KeptTolerances:
    """The bounds of the telling sets, and of the fresh cases of one seed. ``folder``: where files are kept. ``seed``:
    None where no later run will have it, so that nothing of its cases is kept."""

    def __init__(self, folder: Path, seed: int | None) -> None:
        self.chosen = _Bounds(folder, "chosen")
        self.fresh = None if seed is None else _Bounds(folder, str(seed))

    def beside(
        self, reference: Callable[..., Any], key: tuple[object, ...], found: tuple[Answer, Answer], chosen: bool = False
    ) -> tuple[Answer, Answer]:
        """An exact answer and its tolerances; those that are known are not worked out again.

        ``key``: all that ``reference`` was asked with, in values that read the same in every process. ``chosen``: with
        a case of a telling set. Nothing is kept of a reference that was made for this run, on somebody's own model.
        """
        (exact, tolerance), source, bounds = found, _source_of(reference), self.chosen if chosen else self.fresh
        if tolerance.crash is not None or not source or bounds is None:
            return found
        name = hashlib.sha256(repr((source, *key)).encode()).hexdigest()[:24]

        def kept(place: str, bound: Any) -> Any:
            return bounds.kept(f"{name}:{place}", bound) if isinstance(bound, LazyBound) else bound

        outputs = map_leaves(list(tolerance.outputs), lambda path, bound: kept(dotted(path), bound))
        gradients = {label: kept(f"gradient {label}", bound) for label, bound in tolerance.gradients.items()}
        return exact, Answer(tuple(outputs), gradients)

    def save(self) -> None:
        """Write what is new."""
        for bounds in (self.chosen, self.fresh):
            if bounds is not None:
                bounds.save()


def _source_of(reference: Callable[..., Any]) -> str:
    """Where the sources have a function or class under a name of its own; empty where they do not."""
    place = f"{getattr(reference, '__module__', '')}.{getattr(reference, '__qualname__', '')}"
    module = sys.modules.get(place.rpartition(".")[0])
    is_ours = place.startswith(tuple(f"{folder.replace('/', '.')}." for folder in SOURCES))
    return place if is_ours and getattr(module, place.rpartition(".")[2], None) is reference else ""


def cache_folder() -> Path:
    """The folder of the user for what can be made again: as ``PLUMBLINE_CACHE`` says, or as the system has it."""
    if chosen := os.environ.get("PLUMBLINE_CACHE"):
        return Path(chosen) / "tolerances"
    home = os.path.expanduser("~")  # Path.home() raises where there is none
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return Path(base) / "plumbline" / "tolerances"


@cache
def _depends_on() -> str:
    """A digest of the sources, of torch and of the machine."""
    processor = (platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    digest = hashlib.sha256(repr((FORM, torch.__version__, sys.version_info[:2], processor)).encode())
    for file in _sources():
        digest.update(f"|{file.relative_to(ROOT).as_posix()}|".encode() + file.read_bytes())
    return digest.hexdigest()[:24]


def _sources() -> Iterator[Path]:
    for folder in SOURCES:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _read(file: Path) -> dict[str, float]:
    """The bounds in a file; none where it holds anything but bounds."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    bounds = values.get("bounds") if isinstance(values, dict) and values.get("form") == FORM else None
    if not isinstance(bounds, dict) or not all(type(b) is float and 0 <= b < math.inf for b in bounds.values()):
        return {}
    return bounds


def _bound_size(folder: Path) -> None:
    """Remove the oldest files of a folder that holds too many, or too much."""
    files = sorted(((file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*.json")), reverse=True)
    size = 0
    for number, (_, length, file) in enumerate(files):
        size += length
        if number >= MOST_FILES or (number and size > MOST_BYTES):
            file.unlink(missing_ok=True)
