"""Two separate functions, as in CS336's assignment, are one component."""

import textwrap

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()


@pytest.mark.parametrize("prefix", ["", "run_"])
def test_the_functions_of_cs336(tmp_path, prefix):
    """They take no schedule and no generator: those claims are not supported, the others pass."""
    file = tmp_path / "mine.py"
    file.write_text(
        textwrap.dedent(f"""
        import torch
        def {prefix}save_checkpoint(model, optimizer, iteration, out):
            torch.save((model.state_dict(), optimizer.state_dict(), iteration), out)
        def {prefix}load_checkpoint(src, model, optimizer):
            of_model, of_optimizer, iteration = torch.load(src)
            model.load_state_dict(of_model)
            optimizer.load_state_dict(of_optimizer)
            return iteration
        """)
    )
    found = discover(str(file), KNOWN.contracts)
    inspection = Inspection(KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1, cases=4)
    contract = KNOWN.contracts["checkpoint"]
    verdicts = {
        claim.name: inspection.bench.judge(contract, claim, shrink=False)[0].status for claim in contract.claims
    }
    assert {name for name, status in verdicts.items() if status != Status.PASSED} == {
        "schedule_is_restored",
        "generator_is_restored",
    }
