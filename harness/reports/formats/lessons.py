"""The lessons of ``plumbline study`` as one page: verdicts, effects with their intervals, a plot each."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import jinja2

from harness.core.record import RunRecord
from harness.reports import lesson_text
from harness.reports.formats._format import Format
from harness.reports.formats._lessons import drawn


def render(record: RunRecord) -> str:
    """The page. It loads nothing from the network."""
    when = datetime.fromtimestamp(record.started, timezone.utc).strftime("%Y-%m-%d") if record.started else ""
    page: str = _template().render(
        record=record,
        summary=lesson_text.summary(record.lessons),
        lessons=drawn(record.lessons),
        rows=lesson_text.rows(record.lessons),
        heads=lesson_text.HEADS,
        when=when,
    )
    return page.rstrip() + "\n"


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("lessons.html.jinja")


FORMAT = Format("one page for a course: the lessons of `plumbline study`", "lessons.html", render)
