"""Training steps as people write them are called as they are."""

import textwrap

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()
LOOP = """
    import torch
    import torch.nn.functional as F

    def HEAD:
        CLEAR
        total = sum((y != -100).sum() for _, y in BATCHES)
        loss = 0.0
        for x, y in BATCHES:
            part = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum") / total
            part.backward()
            loss += part.item()
        STEP
        return loss
    """


@pytest.mark.parametrize(
    "head",
    [
        "train_step(model, micro_batches)",
        "train_step(model, optimizer, micro_batches)",
        "training_step(model, batches, opt)",
        "gradient_accumulation(model, micro_batches, optimizer)",
        "train_step(model, optimizer, batches, accumulation_steps)",
    ],
)
def test_a_step_is_called_as_it_is(tmp_path, head):
    """With an optimiser or without, in any order of arguments."""
    optimizer = "optimizer" if "optimizer" in head else "opt" if "opt" in head else ""
    text = LOOP.replace("HEAD", head).replace("BATCHES", "micro_batches" if "micro" in head else "batches")
    text = text.replace("CLEAR", f"{optimizer}.zero_grad()" if optimizer else "pass").replace(
        "STEP", f"{optimizer}.step()" if optimizer else "pass"
    )
    file = tmp_path / "mine.py"
    file.write_text(textwrap.dedent(text))
    found = discover(str(file), KNOWN.contracts)
    inspection = Inspection(KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1, cases=3)
    contract = KNOWN.contracts["gradient_accumulation"]
    assert all(
        inspection.bench.judge(contract, claim, shrink=False)[0].status == Status.PASSED for claim in contract.claims
    )
