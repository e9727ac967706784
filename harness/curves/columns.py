"""Which column is the loss: roles by the names that loggers use, told in the output and set by hand where wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from harness.core.errors import did_you_mean
from harness.curves.readers._table import CurveUnreadable, Table
from harness.curves.run_curve import RunCurve, Series, empty

STEP = (
    "global_step",
    "trainer_global_step",
    "step",
    "_step",
    "steps",
    "iter",
    "iteration",
    "iterations",
    "iters",
    "it",
    "update",
    "updates",
    "n_iter",
    "num_steps",
    "step_num",
    "optimizer_step",
    "batch",
)
EPOCH = ("epoch", "epochs", "train_epoch")
RATE = ("lr", "learning_rate", "learningrate", "rate")
NORM = ("grad_norm", "gradient_norm", "gnorm", "norm", "grad_norm_total", "total_norm", "gradnorm", "grad_2_norm_total")
LOSS = ("loss", "nll", "ce", "cross_entropy", "crossentropy", "xent", "lm_loss", "ce_loss", "nll_loss")
HELD_OUT = {"val", "valid", "validation", "eval", "evaluation", "dev", "test", "heldout", "vl", "cv"}
TRAIN = {"train", "training", "tr", "trn"}
WRAPPING = {"metrics", "scalars", "log", "logs", "step", "epoch", "avg", "mean", "total", "batch", "running", "global"}
"""Words around a name that do not change what it means."""
ROLES = ("train", "valid", "rate", "norm")


def words(name: str) -> list[str]:
    """The words of a column's name: ``Loss/train_step`` -> loss, train, step; ``valLoss`` -> val, loss."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return [word for word in re.split(r"[^a-z0-9]+", parted) if word]


def role_of(name: str) -> str:
    """The role of a column by its name, or an empty text."""
    found = words(name)
    held_out, trained = HELD_OUT & set(found), TRAIN & set(found)
    rest = [word for word in found if word not in HELD_OUT | TRAIN | WRAPPING]
    core = "_".join(rest)
    if core in LOSS or (rest and rest[0] == "loss" and len(rest) == 1):
        return "valid" if held_out and not trained else "train"
    if core in RATE or (rest and rest[0] == "lr" and not held_out):
        return "rate"
    whole = "_".join(word for word in found if word not in TRAIN)
    return "norm" if core in NORM or whole in NORM else ""


def curve_of(
    table: Table, source: str, given: Mapping[str, str | None] | None = None, growing: bool = False
) -> RunCurve:
    """The run in a table. ``given``: role or ``step`` -> column, by hand.

    Raises CurveUnreadable where a column that was given is not there, or no loss is found.
    """
    chosen = {role: name for role, name in (given or {}).items() if name}
    names = table.names()
    for role, name in chosen.items():
        if name not in names:
            hint = did_you_mean(name, names) or f"the columns are: {', '.join(names[:20])}"
            raise CurveUnreadable(source, 0, f"--{role}: a column {name!r} was expected; {hint}")
    columns = {role: chosen.get(role) or _best(table, names, role) for role in ROLES}
    if columns["valid"] == columns["train"] and "valid" not in chosen:
        columns["valid"] = ""
    if not columns["train"] and not columns["valid"]:
        shown = ", ".join(names[:20]) or "none"
        expected = (
            f"a column with a loss was expected (loss, train_loss, val_loss ...); --train names it. Columns: {shown}"
        )
        raise CurveUnreadable(source, 0, expected)
    unit, step, at = _steps(table, chosen.get("step"), columns)
    found = {role: _series(table, name, at) if name else empty() for role, name in columns.items()}
    train, valid, rate, norm = (found[role] for role in ROLES)
    told = {role: name for role, name in {"step": step, **columns}.items() if name}
    return RunCurve(
        source,
        table.file_format,
        unit,
        told,
        train=train,
        valid=valid,
        rate=rate,
        norm=norm,
        planned=table.planned,
        restarts=(*(float(at[row]) for row in table.restarts if row < len(at)), *_backward(at)),
        growing=growing,
    )


def _best(table: Table, names: Sequence[str], role: str) -> str:
    """The column of a role: the one with most values, then the one that stands first. Where only a mean over epochs and
    values of steps are there, the latter have more."""
    fitting = [name for name in names if role_of(name) == role]
    counts = {name: sum(name in row for row in table.rows) for name in fitting}
    return max(fitting, key=lambda name: counts[name], default="")


def _steps(table: Table, given: str | None, columns: Mapping[str, str]) -> tuple[str, str, np.ndarray]:
    """(unit, name of the column, step of each row). Without a column of steps: epochs, else rows. A row without a step
    has that of the row before."""
    names = table.names()
    shown = {name for name in columns.values() if name}
    for unit, known in (("step", STEP), ("epoch", EPOCH)):
        by_name = {"_".join(words(name)): name for name in reversed(names)}
        by_name |= {name.lower(): name for name in reversed(names)}
        step = given or next((by_name[one] for one in known if one in by_name and by_name[one] not in shown), None)
        if step is None:
            continue
        at = _filled([row.get(step) for row in table.rows])
        unit = "epoch" if set(words(step)) & set(EPOCH) else "step"
        if given or len(set(at.tolist())) > 1:
            return unit, step, at
    return "row", "", np.arange(len(table.rows), dtype=float)


def _filled(values: Sequence[float | None]) -> np.ndarray:
    found, last = [], next((v for v in values if v is not None), 0.0)
    for value in values:
        last = value if value is not None else last
        found.append(last)
    return np.array(found, dtype=float)


def _backward(at: np.ndarray) -> tuple[float, ...]:
    """Steps to which the log goes back: it was continued from a checkpoint there."""
    back = np.flatnonzero(np.diff(at) < 0) + 1
    return tuple(float(at[row]) for row in back)


def _series(table: Table, name: str, at: np.ndarray) -> Series:
    """The values of a column by growing step; of several values of one step, the one that was logged last."""
    found: dict[float, float] = {}
    for step, row in zip(at.tolist(), table.rows, strict=True):
        if name in row:
            if found and step < next(reversed(found)):
                found = {s: v for s, v in found.items() if s < step}
            found[step] = row[name]
    steps = sorted(found)
    return Series(np.array(steps, dtype=float), np.array([found[step] for step in steps], dtype=float))
