"""How a module wants to be called is seen on its shapes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.modules.holder import Holder
from harness.modules.output_form import Calling, calling, result_of

IDS = torch.tensor([[1, 0, 2], [0, 2, 1]])
EXPECTED = torch.Size((2, 3, 5))


class Last(nn.Module):
    """The last position alone, unless there are targets."""

    flat = False

    def forward(self, ids, targets=None):
        logits = torch.zeros(*ids.shape, 5)
        if targets is None:
            return logits[:, [-1]], None
        return (logits.flatten(0, 1) if self.flat else logits), torch.tensor(0.0)


class FlatWithTargets(Last):
    flat = True


class Flat(nn.Module):
    def forward(self, ids):
        return torch.zeros(ids.numel(), 5)


class WholeModel(nn.Module):
    def forward(self, ids, labels=None):
        return torch.zeros(*ids.shape, 5)


class OnlyLast(nn.Module):
    def forward(self, ids):
        return torch.zeros(ids.shape[0], 1, 5)


def seen(kind: type) -> Calling:
    return calling(Holder(kind(), None), (IDS,), EXPECTED)


def test_what_returns_everything_is_left_alone():
    assert seen(WholeModel) == Calling()


def test_targets_are_given_where_they_bring_every_position():
    assert seen(Last).options == ("targets",) and not seen(Last).flat and "last position" in seen(Last).note
    assert seen(FlatWithTargets).options == ("targets",) and seen(FlatWithTargets).flat
    assert seen(Flat).flat and not seen(Flat).options


def test_the_last_position_alone_is_told():
    assert not seen(OnlyLast).options and "every position" in seen(OnlyLast).note


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (torch.ones(2, 2), ""),
        ((torch.ones(2, 2), None), "first of the 2"),
        ((torch.tensor(0.5), torch.ones(2, 2)), "second of the 2"),
        (SimpleNamespace(logits=torch.ones(2, 2)), ".logits"),
        ({"loss": 1.0, "logits": torch.ones(2, 2)}, ".logits"),
    ],
)
def test_the_result_is_found_in_what_is_returned(returned, said):
    """Alone, in a tuple (a loss is no result), in a record or a dictionary."""
    value, where = result_of(returned)
    assert torch.equal(value, torch.ones(2, 2)) and said in where


def test_what_is_no_known_form_stays():
    """It is for the claim about forms to tell."""
    assert type(result_of([torch.ones(1)])[0]) is list
    assert result_of("text") == ("text", "")
