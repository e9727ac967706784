"""Every format of a log is read: steps, losses, rate and norm, and what cannot be read is told with its line."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from log_files import write_events, write_wandb

from harness.curves.columns import curve_of
from harness.curves.readers import read_table, readers
from harness.curves.readers._table import CurveUnreadable
from harness.curves.run_curve import RunCurve


def run_of(path: Path) -> RunCurve:
    return curve_of(read_table(path), path.name)


def written(folder: Path, name: str, text: str) -> RunCurve:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return run_of(path)


def test_keras_csv_counts_epochs(tmp_path: Path) -> None:
    """Keras' CSVLogger has no step: epochs are the unit."""
    run = written(
        tmp_path, "log.csv", "epoch,learning_rate,loss,val_loss\n0,0.1,3.5,3.6\n1,0.1,3.0,3.2\n2,0.05,2.5,3.1\n"
    )
    assert (run.unit, run.columns["train"], run.columns["valid"], run.columns["rate"]) == (
        "epoch",
        "loss",
        "val_loss",
        "learning_rate",
    )
    assert run.train.steps.tolist() == [0, 1, 2] and run.valid.values.tolist() == [3.6, 3.2, 3.1]


def test_lightning_csv_has_blank_cells(tmp_path: Path) -> None:
    """Lightning writes training and validation on rows of their own; the values of steps are taken, not their means."""
    text = (
        "epoch,lr-AdamW,step,train_loss_epoch,train_loss_step,val_loss\n"
        "0,0.1,0,,4.0,\n0,0.1,1,,3.9,\n0,0.1,2,,3.8,\n0,,2,3.9,,3.85\n1,0.1,3,,3.7,\n"
    )
    run = written(tmp_path, "metrics.csv", text)
    assert run.unit == "step" and run.columns["train"] == "train_loss_step"
    assert run.train.values.tolist() == [4.0, 3.9, 3.8, 3.7]
    assert run.valid.steps.tolist() == [2] and run.rate.values.tolist() == [0.1] * 4


def test_not_logged_is_not_nan(tmp_path: Path) -> None:
    """A blank cell is absent; the text nan is a value."""
    run = written(tmp_path, "a.csv", "step,loss,val_loss\n0,4,\n1,nan,\n2,inf,3\n")
    assert math.isnan(run.train.values[1]) and math.isinf(run.train.values[2])
    assert len(run.valid) == 1


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path: Path, separator: str) -> None:
    run = written(tmp_path, "a.csv", f"step{separator}loss\n0{separator}4\n1{separator}3\n")
    assert run.train.values.tolist() == [4, 3]


def test_json_lines_may_be_nested_and_cut_off(tmp_path: Path) -> None:
    lines = [{"global_step": s, "metrics": {"loss": 4.0 - s, "grad_norm": 1.0}} for s in range(3)]
    text = "\n".join(map(json.dumps, lines)) + '\n{"global_step": 3, "met'
    run = written(tmp_path, "a.jsonl", text)
    assert run.train.values.tolist() == [4, 3, 2] and run.columns["norm"] == "metrics/grad_norm"


def test_json_lines_keep_nan_and_drop_null(tmp_path: Path) -> None:
    run = written(tmp_path, "a.jsonl", '{"step": 0, "loss": 4}\n{"step": 1, "loss": NaN}\n{"step": 2, "loss": null}\n')
    assert len(run.train) == 2 and math.isnan(run.train.values[1])


def test_trainer_state(tmp_path: Path) -> None:
    """The history of transformers' Trainer, without the summary at its end."""
    history = [
        {"step": 10, "loss": 4.0, "learning_rate": 1e-3, "grad_norm": 2.0, "epoch": 0.1},
        {"step": 10, "eval_loss": 4.1, "eval_runtime": 1.0, "epoch": 0.1},
        {"step": 20, "loss": 3.5, "learning_rate": 5e-4, "grad_norm": 1.0, "epoch": 0.2},
        {"step": 20, "train_loss": 3.7, "train_runtime": 9.0, "total_flos": 1.0, "epoch": 0.2},
    ]
    run = written(tmp_path, "trainer_state.json", json.dumps({"log_history": history, "max_steps": 100}))
    assert run.train.values.tolist() == [4.0, 3.5] and run.valid.values.tolist() == [4.1]
    assert run.planned == 100 and run.norm.values.tolist() == [2.0, 1.0]


NANOGPT = """\
number of parameters: 0.03M
step 0: train loss 4.60, val loss 4.58
iter 0: loss 4.6028, time 6.03ms, mfu -100.00%
iter 10: loss 4.3290, time 5.77ms, mfu -100.00%
iter 20: loss 3.8, time 5.77ms, mfu 3.00%
step 20: train loss 4.26, val loss 3.82
"""
LLM_C = """\
| max_sequence_length T | 1024 |
val loss 10.99
step    1/19560 | loss 10.98 (+nanz)| norm 15.3 (+nanz)| lr 8.57e-07 | 3056.36 ms | 0% bf16 MFU | 171536 tok/s
step    2/19560 | loss 10.90 (+nanz)| norm 14.9 (+nanz)| lr 1.71e-06 | 2798.12 ms | 0% bf16 MFU | 187370 tok/s
val loss 10.50
"""
BUILD_NANOGPT = "0 val 10.9\n0 hella 0.24\n0 train 10.95\n1 train 10.60\n2 train 10.2\n"
TRAINER = "{'loss': 2.3, 'grad_norm': 1.5, 'learning_rate': 5e-05, 'epoch': 0.1}\n{'eval_loss': 2.2, 'epoch': 0.1}\n{'loss': 2.1, 'grad_norm': 1.4, 'learning_rate': 4e-05, 'epoch': 0.2}\n"  # noqa: E501
KERAS = "Epoch 1/2\n10/10 - 1s - loss: 2.5 - val_loss: 2.6\nEpoch 2/2\n10/10 - 1s - loss: 2.0 - val_loss: 2.4\n"
OWN = "INFO epoch=0 step=0 loss=4.1 lr=0.001\nINFO epoch=0 step=5 loss=3.9 lr=0.001\nresuming from checkpoint\nINFO epoch=0 step=10 loss=4.0 lr=0.001\n"  # noqa: E501


@pytest.mark.parametrize(
    ("text", "train", "valid"),
    [
        (NANOGPT, [4.6028, 4.3290, 3.8], [4.58, 3.82]),
        (LLM_C, [10.98, 10.90], [10.99, 10.50]),
        (BUILD_NANOGPT, [10.95, 10.60, 10.2], [10.9]),
        (TRAINER, [2.3, 2.1], [2.2]),
        (KERAS, [2.5, 2.0], [2.6, 2.4]),
        (OWN, [4.1, 3.9, 4.0], []),
    ],
    ids=["nanoGPT", "llm.c", "build-nanogpt", "transformers", "Keras", "key=value"],
)
def test_printed_output(tmp_path: Path, text: str, train: list[float], valid: list[float]) -> None:
    run = written(tmp_path, "out.log", text)
    assert run.train.values.tolist() == train and run.valid.values.tolist() == valid


def test_what_the_log_says_of_the_run(tmp_path: Path) -> None:
    """llm.c prints how many steps are planned; a line tells of a resume."""
    assert written(tmp_path, "a.log", LLM_C).planned == 19560
    assert written(tmp_path, "b.log", OWN).restarts == (10.0,)


def test_a_log_that_goes_back_was_resumed(tmp_path: Path) -> None:
    """Steps that come again replace what was lost with the crash."""
    run = written(tmp_path, "a.csv", "step,loss\n0,4\n1,3.5\n2,3\n3,2.9\n2,3.1\n3,2.8\n4,2.7\n")
    assert run.restarts == (2.0,) and run.train.values.tolist() == [4, 3.5, 3.1, 2.8, 2.7]


def test_tensorboard_events(tmp_path: Path) -> None:
    rows = [(s, "train/loss", 4.0 - s / 10) for s in range(5)] + [(4, "val/loss", 3.75), (0, "lr", 0.5)]
    path = write_events(tmp_path / "events.out.tfevents.1.host", rows)
    run = run_of(path)
    assert run.file_format == "TensorBoard events" and run.train.values.tolist() == pytest.approx(
        [4.0, 3.9, 3.8, 3.7, 3.6]
    )
    assert run.valid.steps.tolist() == [4] and run_of(tmp_path).train.steps.tolist() == [0, 1, 2, 3, 4]
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])  # a file that grows
    assert len(run_of(path).train) == 5
    path.write_bytes(whole[:30] + b"\x07" + whole[31:])
    with pytest.raises(CurveUnreadable, match="at byte"):
        run_of(path)


def test_tensorboard_reads_our_files_alike(tmp_path: Path) -> None:
    """The file of the test above is one for TensorBoard's own reader too, where that is installed."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_events(tmp_path / "events.out.tfevents.1.host", [(s, "loss", 4.0 - s) for s in range(3)])
    found = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [(0, 4.0), (1, 3.0), (2, 2.0)]


def test_wandb_offline_run(tmp_path: Path) -> None:
    """Records that are split over blocks, too."""
    rows = [{"_step": s, "train/loss": 4.0 - s / 1000, "lr": 0.1} for s in range(900)]
    path = write_wandb(tmp_path / "run-abc.wandb", rows)
    assert path.stat().st_size > 32768
    run = run_of(path)
    assert len(run.train) == 900 and run.columns["step"] == "_step" and run.rate.values[0] == 0.1
    assert len(run_of(tmp_path).train) == 900


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "1,2\n3,4\n", "line 1: names of columns were expected"),
        ("a.csv", "step,loss\n0,4\n1,x\n", "a column with a loss"),
        ("a.csv", "step,loss\n0,4,5\n", "line 2: 2 values were expected"),
        ("a.csv", "step,accuracy\n0,4\n", "a column with a loss was expected"),
        ("a.jsonl", '{"step": 0, "loss": 4}\n{"step": 1, \n{"step": 2, "loss": 3}\n', "line 2: one JSON object"),
        ("a.jsonl", '{"step": 0, "loss": 4}\n[1]\n', "line 2: a JSON object"),
        ("a.json", '{"log_history": [', "JSON was expected"),
        ("a.json", '{"a": 1}', "a list of objects"),
        ("a.log", "nothing to see\n", "lines with a loss were expected"),
        ("run.wandb", "text", "the mark :W&B"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, text: str, expected: str) -> None:
    """The message names the file, the line where there is one, and what was expected."""
    if text.count("x") and name == "a.csv" and "1,x" in text:
        text, expected = "step,loss\nx,y\n", "line 2: numbers were expected"
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CurveUnreadable) as error:
        run_of(path)
    assert expected in str(error.value) and name in str(error.value)


def test_the_log_in_a_folder_is_read(tmp_path: Path) -> None:
    """Of a Trainer's checkpoints the latest, which holds the whole history; of several other logs none."""
    rows = [{"step": n, "loss": 3.0 - n / 10} for n in range(1, 6)]
    for n, some in ((3, rows[:3]), (5, rows)):
        folder = tmp_path / "run" / f"checkpoint-{n}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": some}))
        os.utime(folder / "trainer_state.json", (n, n))
    assert len(read_table(tmp_path / "run").rows) == 5
    logs = tmp_path / "logs"
    logs.mkdir()
    with pytest.raises(CurveUnreadable, match=r"a folder with one of these was expected: trainer_state\.json"):
        read_table(logs)
    for name in ("a.csv", "b.csv"):
        (logs / name).write_text("step,loss\n1,2\n2,1\n")
    with pytest.raises(CurveUnreadable, match=r"one log was expected; name one of the 2 here \(a\.csv, b\.csv"):
        read_table(logs)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CurveUnreadable, match="there is none"):
        read_table(tmp_path / "none.csv")


def test_readers_are_asked_from_the_surest_on() -> None:
    """The reader of printed output takes any text, so it is asked last."""
    assert list(readers())[-1] == "output_log"
