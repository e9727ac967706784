"""Which column is what: the names that loggers use, and what is set by hand."""

from __future__ import annotations

import pytest

from harness.curves.columns import curve_of, role_of
from harness.curves.readers._table import CurveUnreadable, Table


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("loss", "train"),
        ("train/loss", "train"),
        ("Loss/train", "train"),
        ("train_loss_step", "train"),
        ("training loss", "train"),
        ("lm_loss", "train"),
        ("valLoss", "valid"),
        ("val_loss", "valid"),
        ("eval/loss", "valid"),
        ("validation/loss", "valid"),
        ("metrics/eval_loss", "valid"),
        ("test_loss", "valid"),
        ("lr", "rate"),
        ("lr-AdamW", "rate"),
        ("train/learning_rate", "rate"),
        ("grad_norm", "norm"),
        ("train/grad_norm", "norm"),
        ("norm", "norm"),
        ("accuracy", ""),
        ("val_accuracy", ""),
        ("epoch", ""),
        ("weight_norm_of_head", ""),
        ("time", ""),
    ],
)
def test_roles(name: str, role: str) -> None:
    assert role_of(name) == role


def table(*rows: dict[str, float]) -> Table:
    return Table("test", list(rows))


def test_columns_are_told_and_can_be_set() -> None:
    found = table({"i": 0, "loss": 4, "other": 9}, {"i": 5, "loss": 3, "other": 8})
    assert curve_of(found, "a").columns == {"train": "loss"}
    run = curve_of(found, "a", {"train": "other", "step": "i"})
    assert run.columns == {"step": "i", "train": "other"} and run.train.steps.tolist() == [0, 5]


def test_rows_are_counted_where_no_step_is_known() -> None:
    run = curve_of(table({"loss": 4.0}, {"loss": 3.0}), "a")
    assert run.unit == "row" and run.train.steps.tolist() == [0, 1]


def test_validation_alone_is_a_curve() -> None:
    run = curve_of(table({"epoch": 0, "val_loss": 4}, {"epoch": 1, "val_loss": 3}), "a")
    assert len(run.valid) == 2 and not len(run.train)


def test_a_wrong_column_is_told() -> None:
    with pytest.raises(CurveUnreadable, match="--train: a column 'lss' was expected; did you mean loss"):
        curve_of(table({"loss": 4.0}), "a", {"train": "lss"})
