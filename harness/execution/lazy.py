"""A method that takes texts, or other things, one after the other and gives results while it reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.core.case import Call
from harness.core.contract import Signature
from harness.core.implementation import READ_FIRST, MeasuredOutput


class Watched:
    """A list, given out entry by entry. ``read``: how many were."""

    def __init__(self, entries: list[Any]) -> None:
        self.entries, self.read = entries, 0

    def __iter__(self) -> Iterator[Any]:
        for entry in self.entries:
            self.read += 1
            yield entry


def watched(signature: Signature, call: Call) -> tuple[dict[str, Any], Watched]:
    """The arguments of a call with its first one given out entry by entry, and what watches that."""
    stream = Watched(list(call.arguments[signature.arguments[0].name]))
    return {**call.arguments, signature.arguments[0].name: iter(stream)}, stream


def read_to_the_end(results: Iterable[Any], stream: Watched) -> MeasuredOutput:
    """All results in a list, and how far it had read when the first one came. Raises whatever that raises."""
    found: list[Any] = []
    facts: Mapping[str, float] | None = None
    for result in results:
        facts = facts or {READ_FIRST: float(stream.read)}
        found.append(result)
    return MeasuredOutput(found, facts or {READ_FIRST: float(stream.read)})
