"""Where the ids and targets of a batch come from."""

from __future__ import annotations

import torch

from harness.training.origins import Origins
from harness.training.places import Place

READ, CUT, FLAT, CALL = (
    Place("train.py", line, name) for line, name in ((1, "read"), (2, "cut"), (3, "f"), (9, "main"))
)


def test_a_view_of_the_same_values_keeps_its_origin() -> None:
    """A slice is made where it is cut; flattening it changes nothing, in this step and in later ones."""
    origins, tokens = Origins(), torch.arange(24)
    origins.add(tokens, [], (READ, CALL), 0)
    batch = tokens[:12]
    assert origins.needs(batch, [tokens], 0)
    origins.add(batch, [tokens], (CUT, CALL), 0)
    assert not origins.needs(batch.view(3, 4), [batch], 0)
    assert not origins.needs(batch.view(3, 4), [batch], 5)
    found = origins.of(batch.view(3, 4))
    assert (found.at, found.filled_at, found.step) == (CUT, READ, 0)
    assert found.within(Place("train.py", 7, "main")) == CALL


def test_a_slice_that_is_cut_again_is_made_anew() -> None:
    """The same values, cut again in a later step, come from that step; new values at the same memory do too."""
    origins, tokens = Origins(), torch.arange(24)
    origins.add(tokens[:12], [tokens], (CUT, CALL), 0)
    assert not origins.needs(tokens[:12], [tokens], 0)
    assert origins.needs(tokens[:12], [tokens], 1)
    origins.add(tokens[:12], [], (FLAT, CALL), 1)
    assert origins.of(tokens[:12]).step == 1 and origins.of(tokens[:12]).at == FLAT


def test_nothing_is_known_of_a_tensor_that_was_not_seen() -> None:
    """Its origin is no place."""
    assert not Origins().of(torch.arange(5)).at and not Origins().of(None).filled_at
