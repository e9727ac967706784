"""What a record of weights notes of how it is read."""

from __future__ import annotations

from harness.core.values import TrackedWeights, tracked_weights
from harness.execution.functions import _has


def test_a_record_that_is_left_out_says_nothing_of_its_names() -> None:
    """A layer that is skipped is not code that lacks what the layer has."""
    read: set[str] = set()
    weights = tracked_weights({"blocks": [{"gate": 1.0, "up": 2.0}, {"gate": 1.0, "up": 2.0}]}, read)
    blocks = weights["blocks"]
    assert isinstance(blocks[0], TrackedWeights) and not blocks[0].is_read and not _has(weights, "gate")
    assert blocks[1].get("up") == 2.0
    assert read == {"blocks", "up"} and _has(weights, "gate")
