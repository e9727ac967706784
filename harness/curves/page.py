"""Curves as one HTML page: self-contained, light and dark; and as a fragment for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jinja2

import harness.reports.formats as formats
from harness.core.curve import CurveReading
from harness.curves.text import chances
from harness.reports.curve_words import summary
from harness.reports.formats._curves import shown


def page(readings: Sequence[CurveReading]) -> str:
    """The whole page."""
    found = _environment().get_template("page.html.jinja")
    text: str = found.render(
        readings=readings,
        curves=shown(readings),
        summary=summary,
        healthy=all(one.is_healthy for one in readings),
        chances=chances(),
    )
    return text.rstrip() + "\n"


def fragment(readings: Sequence[CurveReading]) -> str:
    """The drawings and episodes without a page around them."""
    found = _environment().get_template("fragment.html.jinja")
    text: str = found.render(curves=shown(readings))
    return text


@cache
def _environment() -> jinja2.Environment:
    folders = [Path(__file__).parent, Path(str(formats.__file__)).parent]
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
