"""Mistakes that are planted in files by an edit of their text, so that the wrong line is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support_styles import STYLES, expected_of, inspect_style, read_toml

from harness.core.errors import UsageError
from harness.core.marked_line import MarkedLine
from harness.core.record import Status

FOLDER = Path(__file__).parents[1] / "lines"
CASES = 8
SECONDS = 60.0
"""So long that what is found does not depend on how fast a machine is."""


@dataclass(frozen=True)
class Planted:
    """A mistake: ``file`` with ``right`` become ``wrong`` at its first place. ``components``: which it may spoil."""

    name: str
    file: Path
    right: str
    wrong: str
    components: tuple[str, ...]
    declared: str = ""
    after: bool = False
    """Whether the line that is computed before it is right to mark: what comes after that is missing."""

    @property
    def lines(self) -> range:
        """The lines that are wrong in the file with the mistake, from 1."""
        text = self.file.read_text(encoding="utf-8")
        first = text[: text.index(self.right)].count("\n") + 1
        start = first - 2 if self.after else first
        return range(start, first + self.wrong.count("\n") + 1)

    def plant(self, folder: Path) -> Path:
        """Write the file with the mistake in it."""
        text = self.file.read_text(encoding="utf-8")
        assert self.right in text, f"{self.file.name} has no {self.right!r}"
        path = folder / self.file.name
        path.write_text(text.replace(self.right, self.wrong, 1), encoding="utf-8")
        return path


def in_small_files() -> Iterator[Planted]:
    """Those of tests/lines/mistakes.toml."""
    for name, table in read_toml(FOLDER / "mistakes.toml").items():
        for n, (right, wrong, *more) in enumerate(table["edits"]):
            components = (more[0] if more else table["component"],)
            yield Planted(f"{name}-{n}", FOLDER / f"{name}.py", right, wrong, components, after="after" in more)


def in_styles() -> Iterator[Planted]:
    """Those of tests/styles/mistakes.toml that are found and stand in a file of Python."""
    table = expected_of(STYLES / "expected.toml")
    for name, one in read_toml(STYLES / "mistakes.toml").items():
        file = Path(table[name].file)
        if "waits" in one or file.suffix != ".py":
            continue
        yield Planted(name, file, *one["edit"], tuple(one["fails"]), table[name].known_forms()[0])


def marked(
    planted: Planted, folder: Path, cases: int = CASES, seconds: float = SECONDS
) -> dict[str, tuple[MarkedLine, ...]]:
    """What is marked for each component that fails and that the mistake may spoil; nothing where none fails."""
    try:
        inspection = inspect_style(str(planted.plant(folder)), planted.declared, cases=cases)
    except UsageError:
        return {}
    inspection.lines.seconds = seconds
    found = {}
    for component in planted.components:
        if component not in inspection.implementation.components:
            continue
        for claim in inspection.catalogue.claims_of(component):
            verdict, _ = inspection.bench.judge(inspection.catalogue.contracts[component], claim, shrink=False)
            if verdict.status is Status.FAILED and (lines := inspection.lines.of(claim, verdict)):
                found[component] = lines
                break
            if verdict.failing:
                found.setdefault(component, ())
    return found


__all__ = ["Planted", "in_small_files", "in_styles", "json", "marked"]
