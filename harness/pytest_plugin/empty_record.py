"""The record that a run begins with: on disk before any code of the implementation runs."""

from __future__ import annotations

from harness.core.formatting import signature_line
from harness.core.record import RunRecord
from harness.core.whole import models_of
from harness.judging.catalogue import Catalogue
from harness.pytest_plugin.options import RunOptions


def empty_record(options: RunOptions, known: Catalogue, started: float) -> RunRecord:
    """The record of a run in which nothing was done yet."""
    contracts = known.contracts
    return RunRecord(
        impl=options.impl,
        seed=options.seed,
        planned={},
        order=tuple(contracts),
        parts={name: c.parts for name, c in contracts.items()},
        meanings={name: c.meaning for name, c in contracts.items()},
        verdicts=[],
        summaries={},
        missing=tuple(contracts),
        signatures={name: signature_line(c) for name, c in contracts.items()},
        models=tuple(name for name in contracts if name in models_of(contracts)),
        effort=options.effort,
        hints=options.hints,
        started=started,
    )
