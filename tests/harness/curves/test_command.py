"""``plumbline curve``: exit codes, the text, the page and the record, and the Python API."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import plumbline
from harness.cli import main
from harness.core.curve import EpisodeKind
from harness.core.record import Status
from harness.reports import json_file

STEPS = np.arange(300)
NOISE = np.random.default_rng(0).normal(0, 0.05, len(STEPS))
FALLING = 2 + 2.5 * np.exp(-STEPS / 40) - STEPS / 2000 + NOISE


def log(path: Path, loss: np.ndarray, valid: np.ndarray | None = None) -> str:
    rows = [
        f"{s},{float(v)!r},{'' if valid is None or s % 10 else repr(float(valid[s]))}"
        for s, v in zip(STEPS, loss, strict=True)
    ]
    path.write_text("\n".join(["step,loss,val_loss", *rows]) + "\n", encoding="utf-8")
    return str(path)


def turning() -> np.ndarray:
    return FALLING - NOISE + np.maximum(0, STEPS - 120) / 200


def test_a_healthy_curve_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curve", log(tmp_path / "a.csv", FALLING, FALLING - NOISE)]) == 0
    shown = capsys.readouterr().out
    assert "a.csv: healthy" in shown and "training loss from 'loss'" in shown
    assert max(map(len, shown.splitlines())) <= 80 or len(str(tmp_path)) > 40


def test_a_finding_is_1_with_onset_page_and_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = log(tmp_path / "a.csv", FALLING, turning())
    page, record = tmp_path / "a.html", tmp_path / "a.json"
    assert main(["curve", name, "--html", str(page), "--json", str(record)]) == 1
    assert "overfitting from step 1" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert 'class="onset warning"' in text and "<script" not in text and "http://" not in text
    kept = json_file.read(record)
    failed = [verdict.claim for verdict in kept.verdicts if verdict.status == Status.FAILED]
    assert failed == ["overfit"] and kept.curves[0].episodes[0].kind == EpisodeKind.OVERFIT
    assert main(["report", str(record), "-o", str(tmp_path / "report.html")]) == 0
    assert "Training curves" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_read_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("step,loss\n0,4\n1,2,3\n", encoding="utf-8")
    assert main(["curve", str(path)]) == 2
    assert "a.csv, line 3: 2 values were expected" in capsys.readouterr().err
    assert main(["curve", str(tmp_path / "none.log")]) == 2


def test_several_files_have_a_row_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [log(tmp_path / "good.csv", FALLING), log(tmp_path / "bad.csv", np.where(STEPS == 200, np.nan, FALLING))]
    assert main(["curve", *names, "--html", str(tmp_path / "a.html")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("healthy") and lines[2].endswith("loss is not finite from step 200")
    assert "1 of 2 are healthy" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_columns_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    rows = "\n".join(f"{s},{v},1" for s, v in zip(STEPS, FALLING, strict=True))
    path.write_text(f"tick,bits,loss\n{rows}\n", encoding="utf-8")
    assert main(["curve", str(path), "--train", "bits", "--step", "tick"]) == 0
    assert "training loss from 'bits'" in capsys.readouterr().out


def test_the_api_takes_files_and_lists(tmp_path: Path) -> None:
    """A list of episodes that shows itself."""
    name = log(tmp_path / "a.csv", np.where(STEPS == 200, np.inf, FALLING))
    for source in (name, Path(name), {"step": STEPS, "loss": np.where(STEPS == 200, np.inf, FALLING)}):
        found = plumbline.curve(source)
        assert [one.kind for one in found] == [EpisodeKind.NAN] and found[0].onset == 200
        assert not found.is_healthy and "loss is not finite" in str(found)
    assert "<svg" in found._repr_html_()


def test_the_record_holds_what_json_has_no_number_for(tmp_path: Path) -> None:
    record = tmp_path / "a.json"
    main(["curve", log(tmp_path / "a.csv", np.where(STEPS == 200, np.nan, FALLING)), "--json", str(record)])
    json.loads(record.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert math.isnan(json_file.read(record).curves[0].tracks["train"].values[200])
