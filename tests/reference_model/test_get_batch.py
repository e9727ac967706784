"""get_batch beside plain slices and exact counts; how the two published spellings of it are called."""

import types
from collections import Counter

import numpy as np
import pytest
import torch

from harness.adapters.dialects import DialectAdapter, spoken
from harness.adapters.door import Door
from harness.core.verdict import HOLDS
from harness.inspection import Inspection, load_catalogue
from reference_model.get_batch import get_batch

KNOWN = load_catalogue()


def test_rows_are_slices():
    """Each row is the slice at the start that the generator gave, its targets the slice one later."""
    tokens = torch.tensor([9, 3, 7, 5, 8, 1, 4])
    x, y = get_batch(tokens, 4, 3, torch.Generator().manual_seed(3))
    starts = torch.randint(4, (4,), generator=torch.Generator().manual_seed(3))
    assert x.dtype == y.dtype == torch.int64
    for b, start in enumerate(starts.tolist()):
        assert x[b].tolist() == tokens[start : start + 3].tolist()
        assert y[b].tolist() == tokens[start + 1 : start + 4].tolist()


def test_every_start_comes_up():
    """Of six legal starts each is drawn about 1000 times in 6000: five standard deviations are 144."""
    x, _ = get_batch(torch.arange(10), 6000, 4, torch.Generator().manual_seed(0))
    counts = Counter(x[:, 0].tolist())
    assert sorted(counts) == list(range(6))
    assert all(abs(count - 1000) < 144 for count in counts.values())


def test_too_little_data_is_refused():
    """One token more than a row is enough, one row is not."""
    assert [t.tolist() for t in get_batch(torch.tensor([4, 2, 6]), 1, 2)] == [[[4, 2]], [[2, 6]]]
    with pytest.raises(ValueError, match="3 are too few for rows of 3"):
        get_batch(torch.tensor([4, 2, 6]), 1, 3)


def cs336(dataset, batch_size, context_length, device):
    starts = np.random.randint(0, len(dataset) - context_length, size=batch_size)
    x = np.stack([dataset[s : s + context_length] for s in starts]).astype(np.int64)
    y = np.stack([dataset[s + 1 : s + context_length + 1] for s in starts]).astype(np.int64)
    return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)


def block_size_first(data, block_size, batch_size):
    """Three sizes in another order, told by their names."""
    starts = torch.randint(len(data) - block_size, (batch_size,))
    rows = torch.stack([data[s : s + block_size + 1] for s in starts]).long()
    return rows[:, :-1], rows[:, 1:]


@pytest.mark.parametrize(("name", "function"), [("run_get_batch", cs336), ("get_batch", block_size_first)])
def test_published_spellings_keep_every_claim(name, function):
    """CS336's adapter with a NumPy array, and nanoGPT's names in another order; neither takes a generator."""
    module = types.SimpleNamespace(**{name: function})
    adapter = spoken(KNOWN.contracts["get_batch"], lambda member: getattr(module, member, None))
    assert isinstance(adapter, DialectAdapter)
    judged = Inspection(KNOWN, Door(name, {"get_batch": adapter}, KNOWN.contracts), seed=2, cases=8)
    held = []
    for claim in KNOWN.claims_of("get_batch"):
        verdict, _ = judged.bench.judge(KNOWN.contracts["get_batch"], claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"
        held += [claim.name] if verdict.status == HOLDS else []
    assert {"every_start_equally_often", "every_batch_is_drawn_anew", "y_is_what_follows"} <= set(held)
    assert "given_generator_decides" not in held
