"""Jupyter notebooks: their code cells as one Python source, and which line of it stands in which cell."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SUFFIX = ".ipynb"
_COMMAND = re.compile(r"^(\s*)(?:[%!?]|\w+\s*=\s*[!%]|.*[\w\])]\?{1,2}\s*$)")
"""A line for IPython alone: ``%matplotlib inline``, ``!pip install``, ``files = !ls``, ``torch.nn?``."""
_OTHER_LANGUAGE = re.compile(r"\s*%%(bash|sh|script|html|svg|js|javascript|latex|markdown|perl|ruby|cmd|system|!)\b")


@dataclass(frozen=True)
class Notebook:
    """``source``: the code cells, one below the other. ``starts``: the first line of each, and its number among all.

    ``unreadable``: the numbers of cells that are no Python, which are left out.
    """

    source: str
    starts: tuple[tuple[int, int], ...]
    unreadable: tuple[int, ...] = ()


def read_notebook(path: Path) -> Notebook:
    """The notebook in a file. Raises ValueError where the file is none, OSError where it cannot be read."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    cells = whole.get("cells") if isinstance(whole, dict) else None
    if not isinstance(cells, list):
        raise ValueError("it has no cells")
    lines: list[str] = []
    starts, unreadable = [], []
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        text = cell.get("source", "")
        found = _python(("".join(text) if isinstance(text, list) else str(text)).splitlines())
        if not _can_be_parsed(found):
            unreadable.append(number)
            found = ["" for _ in found]
        starts.append((len(lines) + 1, number))
        lines += found
    return Notebook("\n".join([*lines, ""]), tuple(starts), tuple(unreadable))


def _python(lines: list[str]) -> list[str]:
    """The lines of a cell without commands of IPython, in their places. The body of ``%%time`` and the like stays."""
    if _can_be_parsed(lines):
        return lines
    first = next((line for line in lines if line.strip()), "")
    if _OTHER_LANGUAGE.match(first):
        return ["" for _ in lines]
    found = []
    for line in lines:
        match = _COMMAND.match(line)
        found.append(line if match is None else f"{match[1]}pass" if match[1] else "")
    return found


def _can_be_parsed(lines: list[str]) -> bool:
    try:
        ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):
        return False
    return True


def shown_line(file: str, line: int, short: bool = False) -> str:
    """``model.py:12``, or ``lesson.ipynb, cell 3, line 5`` for a line of a notebook's source.

    ``short``: without the folder.
    """
    name = Path(file).name if short else file
    cell = cell_of(file, line)
    return f"{name}:{line}" if cell is None else f"{name}, cell {cell[0]}, line {cell[1]}"


def cell_of(file: str, line: int) -> tuple[int, int] | None:
    """The cell and the line in it where a line of a notebook's source stands; None where the file is no notebook."""
    if not file.endswith(SUFFIX) or not Path(file).is_file():
        return None
    found = [start for start in _starts(file, Path(file).stat().st_mtime) if start[0] <= line]
    return (found[-1][1], line - found[-1][0] + 1) if found else None


@lru_cache(maxsize=16)
def _starts(file: str, changed: float) -> tuple[tuple[int, int], ...]:
    try:
        return read_notebook(Path(file)).starts
    except (OSError, ValueError):
        return ()
