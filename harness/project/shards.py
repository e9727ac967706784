"""``--impl-shard=2/4``: the second quarter of the components, for runs that several machines share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.core.errors import UsageError
from harness.core.record import RunRecord


@dataclass(frozen=True)
class Shard:
    """Every ``of``-th component from the ``number``-th on: cases are generated once per component, so one is never
    divided."""

    number: int = 1
    of: int = 1

    def has(self, place: int) -> bool:
        """Whether the component at this place of the reading order is judged here."""
        return place % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_of(text: str) -> Shard:
    """``2/4``; an empty text is the whole. Raises UsageError naming what is none."""
    if not text:
        return Shard()
    number, slash, of = text.partition("/")
    if not (slash and number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--impl-shard takes K/N, the K-th of N parts (1/4 to 4/4), not {text!r}")
    return Shard(int(number), int(of))


def joined(records: list[RunRecord], names: list[str]) -> RunRecord:
    """The records of all shards of one run as one. Raises UsageError naming two that are not of one run."""
    first = records[0]
    judged: dict[tuple[str, str], str] = {}
    for record, name in zip(records, names, strict=True):
        for what in ("impl", "effort", "order", "variants", "seed"):
            if (this := getattr(record, what)) != (that := getattr(first, what)):
                advice = "; give all shards the same --impl-seed" if what == "seed" else ""
                raise UsageError(
                    f"{names[0]} and {name} are not parts of one run: {what} {that!r} and {this!r}{advice}"
                )
        for verdict in record.verdicts:
            key = (verdict.component, verdict.claim)
            if key in judged:
                raise UsageError(
                    f"{judged[key]} and {name} both hold {key[0]}::{key[1]}; parts of one run share no check"
                )
            judged[key] = name
    return replace(
        first,
        planned={k: v for record in records for k, v in record.planned.items()},
        verdicts=[v for record in records for v in record.verdicts],
        summaries={k: v for record in records for k, v in record.summaries.items()},
        measurements=[fact for record in records for fact in record.measurements],
        benchmarks=[b for record in records for b in record.benchmarks],
        notes=tuple(dict.fromkeys(note for record in records for note in record.notes)),
        started=min(record.started for record in records),
        seconds=sum(record.seconds for record in records),
        finished=all(record.finished for record in records),
    )
