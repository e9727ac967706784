"""The functions that training code has for it are called as they are."""

import textwrap

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()


@pytest.mark.parametrize(
    "head",
    [
        "configure_optimizers(self, weight_decay, learning_rate, betas, device_type)",
        "get_param_groups(model, weight_decay=0.1)",
        "parameter_groups(model, weight_decay)",
        "configure_optimizers(model, weight_decay, lr)",
    ],
)
def test_published_functions_are_called_as_they_are(tmp_path, head):
    """An optimiser or a list of groups, with whatever else they ask for."""
    model = "self" if "self" in head else "model"
    file = tmp_path / "mine.py"
    file.write_text(
        textwrap.dedent(f"""
        import torch
        def {head}:
            trained = [p for p in {model}.parameters() if p.requires_grad]
            groups = [{{"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay}},
                      {{"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}}]
            return {"torch.optim.AdamW(groups)" if "configure" in head else "groups"}
        """)
    )
    found = discover(str(file), KNOWN.contracts)
    inspection = Inspection(KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1, cases=4)
    contract = KNOWN.contracts["parameter_groups"]
    assert all(
        inspection.bench.judge(contract, claim, shrink=False)[0].status == Status.PASSED for claim in contract.claims
    )
