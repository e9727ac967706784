"""Where the implementation of a run is loaded: as ``--impl-isolation`` says, but for what must run in this process."""

from __future__ import annotations

from harness.core.mistake import named_mistakes
from harness.isolation.level import Level
from harness.pytest_plugin.options import RunOptions


def level_of(options: RunOptions, timed: bool) -> tuple[Level, str]:
    """The level, and why it is not the one that was asked for; an empty text where it is. ``timed``: whether workloads
    are timed."""
    asked = options.isolation
    if asked is Level.NONE or not (timed or named_mistakes(options.impl)):
        return asked, ""
    why = "the way to another process and back would be timed too"
    if not timed:
        why = "the reference with a known mistake is no code of anybody's"
    return Level.NONE, f"--impl-isolation={asked}: this runs in the judge's process all the same: {why}"
