"""A few lines of somebody's code, plugged in with nothing written, and compared with the reference on drawn cases."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import torch

from harness.core.implementation import CrashKind, Request
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.reference import reference_executor
from harness.strategies.sampling import draw

KNOWN = load_catalogue().contracts
HEAD = """\
import math
from dataclasses import dataclass
import torch
from torch import nn
from torch.nn import functional as F
"""


class Outcome(NamedTuple):
    """Of the drawn cases: how many agree with the reference, how many differ or crash, how many were not supported."""

    agree: int
    differ: int
    refused: int
    reasons: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether every case that it takes agrees, and there are three at least."""
        return self.agree >= 3 and not self.differ


def plugged(folder: Path, text: str) -> Any:
    """What is found in a file that holds this text, behind the usual imports."""
    path = folder / "theirs.py"
    path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    return discover(str(path), KNOWN)


def compared(implementation: Any, component: str, *forms: str, count: int = 12) -> Outcome:
    """The outputs of one component next to those of the reference in these legal ``forms``, in float64."""
    edits = tuple(e for v in KNOWN[component].variants if v.name in forms for e in v.edits)
    theirs, reference = Executor("theirs", implementation.adapters, KNOWN), reference_executor(KNOWN, edits)
    agree, differ, refused, reasons = 0, 0, 0, []
    offer = theirs.offers(component)
    for case in draw(KNOWN[component].cases(), 5, count):
        case = case if offer is None else case.without(offer.absent)  # as it is judged
        answer, expected = theirs.run(Request(component, case)), reference.run(Request(component, case))
        if expected.crash is not None:
            continue  # a form may refuse a case: an odd size that must be even
        if answer.crash is not None:
            reasons.append(answer.crash.message)
        if answer.crash is not None and answer.crash.kind in (CrashKind.NOT_SUPPORTED, CrashKind.MISFIT):
            refused += 1
        elif answer.crash is None and torch.allclose(answer.value, expected.value, atol=1e-9):
            agree += 1
        else:
            differ += 1
    return Outcome(agree, differ, refused, tuple(dict.fromkeys(reasons)))
