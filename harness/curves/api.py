"""The curve of a file or of numbers in hand, judged: what the command line and notebooks call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.curve import CurveReading, Episode
from harness.curves.columns import curve_of
from harness.curves.judging import judge
from harness.curves.readers import read_table
from harness.curves.readers.json_document import table_of
from harness.curves.text import one_curve


class Episodes(list[Episode]):
    """The episodes of a run. ``reading``: the whole of it. Shown as the text of ``plumbline curve``, in notebooks
    with a drawing."""

    def __init__(self, reading: CurveReading) -> None:
        super().__init__(reading.episodes)
        self.reading = reading

    @property
    def is_healthy(self) -> bool:
        """Whether nothing counts against the run."""
        return self.reading.is_healthy

    def __str__(self) -> str:
        return one_curve(self.reading, 100)

    def _repr_html_(self) -> str:
        from harness.curves.page import fragment

        return fragment([self.reading])


def read_curve(
    source: str | os.PathLike[str] | Mapping[str, Any],
    columns: Mapping[str, str | None] | None = None,
    growing: bool = False,
    name: str = "",
) -> CurveReading:
    """Read a log, or lists of numbers by name, and judge it. Raises CurveUnreadable.

    ``columns``: train, valid, step, rate or norm -> name of the column, where the guess is wrong. ``growing``: the run
    goes on, so its end says nothing.
    """
    if isinstance(source, Mapping):
        shown = name or "curve"
        table = table_of(dict(source), shown)
    else:
        shown, table = name or str(source), read_table(Path(source))
    return judge(curve_of(table, shown, columns, growing))


def curve(source: str | os.PathLike[str] | Mapping[str, Any], **columns: str | None) -> Episodes:
    """The episodes of a run, as a list that knows how to show itself. See :func:`read_curve`."""
    return Episodes(read_curve(source, columns))
