"""get_batch beside plain slices and exact counts; how the two published spellings of it are called."""

import bisect
import math
import types
from collections import Counter

import numpy as np
import pytest
import torch

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.dialects import DialectAdapter, dialect_of
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.numerics.statistics import binomial_two_sided
from reference_model.get_batch import get_batch
from specs.get_batch import LEVEL, PER_START

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
    adapter = dialect_of(KNOWN.contracts["get_batch"], lambda member: getattr(module, member, None))
    assert isinstance(adapter, DialectAdapter)
    judged = Inspection(KNOWN, Executor(name, {"get_batch": adapter}, KNOWN.contracts), seed=2, cases=8)
    held = []
    for claim in KNOWN.claims_of("get_batch"):
        verdict, _ = judged.bench.judge(KNOWN.contracts["get_batch"], claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"
        held += [claim.name] if verdict.status == Status.PASSED else []
    assert {"starts_are_uniform", "every_batch_is_redrawn", "y_is_the_next_token"} <= set(held)
    assert "uses_the_given_generator" not in held


WITH_GLOBALS = """
import torch
from plumbline import implements

train_data, batch_size, block_size = None, 1, 1

def get_batch(split):
    data = train_data if split == "train" else None
    ix = torch.randint(len(data) - block_size, (batch_size,))
    x = torch.stack([data[i:i+block_size].long() for i in ix])
    y = torch.stack([data[i+1:i+1+block_size].long() for i in ix])
    return x, y

@implements("get_batch")
def get_batch_of(tokens, batch, time):
    global train_data, batch_size, block_size
    train_data, batch_size, block_size = tokens, batch, time
    return get_batch("train")
"""


def test_a_function_of_globals_is_judged_with_three_lines(tmp_path):
    """nanoGPT's get_batch(split), which reads its data and sizes from the file it stands in."""
    (tmp_path / "trainer.py").write_text(WITH_GLOBALS)
    found = discover(str(tmp_path / "trainer.py"), KNOWN.contracts)
    judged = Inspection(KNOWN, Executor("theirs", found.adapters, KNOWN.contracts), seed=3, cases=8)
    for claim in KNOWN.claims_of("get_batch"):
        verdict, _ = judged.bench.judge(KNOWN.contracts["get_batch"], claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"


@pytest.mark.parametrize("legal", [5, 6])
@pytest.mark.parametrize("share", [0.5, 2.0])
def test_the_power_that_is_stated(legal, share):
    """One start that is drawn half or twice as often as it is due is told in one of two cases with 0.999; exactly.

    A start that is never drawn is told with certainty.
    """
    draws = PER_START * legal

    def is_told(count):
        return binomial_two_sided(count, draws, 1 / legal) < LEVEL / legal

    low = bisect.bisect_left(range(PER_START), True, key=lambda count: not is_told(count))
    high = bisect.bisect_left(range(PER_START, draws), True, key=is_told) + PER_START
    told = [*range(low), *range(high, draws + 1)]

    def odds(p):
        def log_mass(k):
            return (
                math.lgamma(draws + 1)
                - math.lgamma(k + 1)
                - math.lgamma(draws - k + 1)
                + k * math.log(p)
                + (draws - k) * math.log1p(-p)
            )

        return math.fsum(math.exp(log_mass(count)) for count in told)

    assert 0 in told
    assert legal * odds(1 / legal) <= LEVEL
    assert 1 - (1 - odds(share / legal)) ** 2 >= 0.999
