"""The loss that is logged is that of the step."""

from __future__ import annotations

import ast
import math

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, LossComputed
from harness.training.observations import NumberRead
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream

LEAST = 3
"""In so many steps a line has to read the wrong number."""


def judge(stream: Stream) -> Judgement:
    """Looks at lines that print, and at which loss each of them reads."""
    outcome = Judgement()
    reads: dict[Place, list[NumberRead]] = {}
    for read in stream.of(NumberRead):
        reads.setdefault(read.at, []).append(read)
    outcome.judged = len(reads)
    for place, mine in reads.items():
        if _is_printed(place) and (_of_one_micro_batch(stream, outcome, mine) or _stale(stream, outcome, mine)):
            break
    return outcome


def _of_one_micro_batch(stream: Stream, outcome: Judgement, reads: list[NumberRead]) -> bool:
    """The share of the last micro-batch is read after the step, and no line reads the sum."""
    backwards, found = list(stream.of(BackwardRan)), set()
    for read in reads:
        mine = [event.loss for event in backwards if event.step == read.step - 1 and event.loss is not None]
        if len(mine) < 2 or not math.isclose(read.value, mine[-1], rel_tol=1e-5):
            continue
        total = sum(mine)
        read_elsewhere = any(math.isclose(other.value, total, rel_tol=1e-3) for other in stream.of(NumberRead))
        if not read_elsewhere and abs(total - mine[-1]) > 0.2 * abs(total):
            found.add(read.step)
    if not _is_usual(found, reads):
        return False
    message = "The number that is printed is the last micro-batch's share of the loss, not the loss of the step."
    outcome.find("logged_loss_differs", message, reads[0].at, value=reads[0].value)
    return True


def _stale(stream: Stream, outcome: Judgement, reads: list[NumberRead]) -> bool:
    """The loss of an evaluation is read again and again after steps, and nobody reads those of the steps."""
    trained = [event.value for event in stream.of(LossComputed) if event.gradient]
    evaluated = {event.value for event in stream.of(LossComputed) if not event.gradient}
    others = [read.value for read in stream.of(NumberRead)]
    if any(math.isclose(value, loss, rel_tol=1e-6) for value in others for loss in trained):
        return False
    old = [read for read in reads if any(math.isclose(read.value, loss, rel_tol=1e-6) for loss in evaluated)]
    values = [read.value for read in old]
    if len(set(values)) == len(values) or not _is_usual({read.step for read in old}, reads):
        return False
    message = "The number that is printed after each step is the loss of the last evaluation, not that of the step."
    outcome.find("logged_loss_differs", message, reads[0].at, value=reads[0].value)
    return True


def _is_usual(found: set[int], reads: list[NumberRead]) -> bool:
    """Whether a line reads the wrong number in nearly every step."""
    return len(found) >= LEAST and len(found) >= 0.8 * len({read.step for read in reads})


def _is_printed(place: Place) -> bool:
    """Whether the line reads a number in a call that stands alone, as ``print`` does, and computes nothing with it."""
    for node in ast.walk(source_of(place.file).tree):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        if node.lineno <= place.line <= (node.end_lineno or node.lineno):
            computed = [one for one in ast.walk(node) if isinstance(one, ast.BinOp) and _reads(one)]
            return _reads(node) and not computed
    return False


def _reads(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "item" for one in ast.walk(node)) or any(
        isinstance(one, ast.FormattedValue) for one in ast.walk(node)
    )


CLAIM = TrainingClaim(Topic.LOSS, "logged_loss", "The loss that is printed after a step is that of the step.", judge)
