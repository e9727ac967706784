"""The names of classes that components share."""

from pathlib import Path

import pytest

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

CONTRACTS = load_catalogue().contracts
SHARING = [contract.name for contract in CONTRACTS.values() if contract.told_by]
HEADS = """
import math
import torch
from torch import nn


class SelfAttn(nn.Module):
    def __init__(self, width, heads, context):
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(width, width) for _ in range(4))
        self.heads = heads

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (w(x).reshape(b, t, self.heads, -1).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~torch.ones(t, t).tril().bool(), -math.inf)
        return self.wo((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
"""


@pytest.mark.parametrize("name", SHARING)
def test_a_shared_name_is_another_component_s_too(name: str) -> None:
    """A class of such a name that does not take what tells this component is another one: it must not go unjudged."""
    others = [contract for contract in CONTRACTS.values() if contract.name != name]
    own = {known for contract in others for known in contract.classes}
    assert set(CONTRACTS[name].shared_classes) <= own


def test_a_class_of_a_shared_name_is_judged_without_what_tells_the_other(tmp_path: Path) -> None:
    """Heads of their own keys and values, in a class that takes no number of them."""
    (tmp_path / "heads.py").write_text(HEADS)
    inspection: Inspection = inspect_implementation(str(tmp_path / "heads.py"), cases=4)
    assert inspection.begun == ("attention",)
    assert inspection.agrees("attention")
