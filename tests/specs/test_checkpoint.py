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


SAVES = """
import torch


def save_checkpoint(path, model, optimizer):
    state = [model.state_dict(), optimizer.state_dict()]
    # save


def load_checkpoint(path, model, optimizer):
    of_model, of_optimizer = torch.load(path)
    model.load_state_dict(of_model)
    optimizer.load_state_dict(of_optimizer)
"""
CLOSES = "with path if hasattr(path, 'write') else open(path, 'wb') as to: torch.save(state, to)"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("torch.save(state, path)", Status.PASSED),
        ("torch.save(state, str(path))", Status.ADVICE),
        ("torch.save(state, open(path, 'wb'))", Status.NOT_APPLICABLE),
        (CLOSES, Status.ADVICE),
    ],
    ids=["as it is", "made a text", "refused", "closed"],
)
def test_a_file_object_is_used_or_refused(tmp_path, line, status):
    """What is written elsewhere, or into a file object that is closed then, cannot be read back."""
    file = tmp_path / "mine.py"
    file.write_text(SAVES.replace("# save", line))
    found = discover(str(file), KNOWN.contracts)
    inspection = Inspection(KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1, cases=2)
    contract = KNOWN.contracts["checkpoint"]
    claim = next(claim for claim in contract.claims if claim.name == "file_objects_work_or_are_refused")
    assert inspection.bench.judge(contract, claim, shrink=False)[0].status is status
