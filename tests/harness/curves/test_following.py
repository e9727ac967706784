"""A growing log: judged as it grows, stopped at the first error, judged whole when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.core.curve import CurveReading, EpisodeKind, Level
from harness.curves.api import read_curve
from harness.curves.following import Clock, Watched, follow
from harness.curves.readers._table import CurveUnreadable

STEPS = np.arange(400)
HEALTHY = 2 + 2.5 * np.exp(-STEPS / 40) - STEPS / 2000 + np.random.default_rng(0).normal(0, 0.05, 400)


class Growing:
    """A log of which each look shows so many more values, and a clock that runs by looks."""

    def __init__(self, loss: np.ndarray, by: int = 20) -> None:
        self.loss, self.by, self.time = loss, by, 0.0

    def read(self, growing: bool) -> CurveReading:
        count = min(len(self.loss), int(self.time) * self.by)
        if count == 0:
            raise CurveUnreadable("log", 0, "a log was expected; the file is empty")
        return read_curve({"step": STEPS[:count], "loss": self.loss[:count]}, growing=growing)

    def clock(self, idle: float = 5) -> Clock:
        return Clock(idle, 1, lambda: self.time, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def looks(self, stop_at: Level = Level.ERROR) -> Iterator[Watched]:
        return follow(self.read, self.clock(), stop_at)


def test_a_healthy_run_is_followed_to_its_end() -> None:
    looks = list(Growing(HEALTHY).looks())
    assert looks[-1].is_final and looks[-1].reading.is_healthy
    assert not any(look.new for look in looks) and len(looks) <= 25


def test_nan_stops_at_once() -> None:
    loss = np.where(STEPS >= 203, np.nan, HEALTHY)
    looks = list(Growing(loss).looks())
    assert not looks[-1].is_final and [one.kind for one in looks[-1].serious] == [EpisodeKind.NAN]
    assert len(looks[-1].reading.tracks["train"].at) <= 240


def test_divergence_is_seen_twice_before_it_counts() -> None:
    """Long before the end; a spike that comes back never counts as one."""
    loss = HEALTHY + np.where(STEPS > 150, (STEPS - 150) / 10, 0)
    looks = list(Growing(loss).looks())
    assert [one.kind for one in looks[-1].serious] == [EpisodeKind.DIVERGENCE]
    assert len(looks[-1].reading.tracks["train"].at) < 300
    spike = HEALTHY + np.where((STEPS >= 195) & (STEPS < 200), 3.0, 0)
    assert not any(look.serious for look in list(Growing(spike).looks())[:-1])


def test_a_warning_stops_where_that_is_asked() -> None:
    spike = HEALTHY + np.where((STEPS >= 150) & (STEPS < 154), 3.0, 0)
    looks = list(Growing(spike).looks(Level.WARNING))
    assert not looks[-1].is_final and [one.kind for one in looks[-1].serious] == [EpisodeKind.SPIKES]


def test_nothing_to_read_ends_with_the_reason() -> None:
    with pytest.raises(CurveUnreadable, match="the file is empty"):
        list(Growing(HEALTHY[:0]).looks())


def test_the_command_ends_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate: 1 at the first error, 0 when a healthy log has stood still."""
    path = tmp_path / "a.csv"
    for loss, code in ((HEALTHY, 0), (np.where(STEPS > 300, np.nan, HEALTHY), 1)):
        rows = "\n".join(f"{s},{v}" for s, v in zip(STEPS, loss, strict=True))
        path.write_text(f"step,loss\n{rows}\n", encoding="utf-8")
        assert main(["curve", str(path), "--follow", "--idle", "0", "--interval", "0"]) == code
    shown = capsys.readouterr().out
    assert "ended: healthy" in shown and "error: loss is not finite from step 301" in shown
