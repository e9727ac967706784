"""How a script is run: as Python would run it, for so many steps, and without a trace afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.optim.optimizer as torch_optimizer
from support_training import SCRIPT, edited, inspected, kinds

from harness.core.errors import UsageError
from harness.training import inspect_script, inspecting


def test_a_healthy_script_has_no_finding(tmp_path: Path) -> None:
    """And exactly as many steps were watched as were asked for."""
    result = inspected(tmp_path, SCRIPT, steps=4)
    assert kinds(result) == [] and result.steps == 4


@pytest.mark.parametrize("catch", ["Exception", "BaseException", ""])
def test_a_script_that_catches_what_it_can_still_ends(tmp_path: Path, catch: str) -> None:
    """The loop never ends by itself, and goes on after whatever is raised."""
    step = SCRIPT[SCRIPT.index("    x, y = batch()") :]
    body = "".join(f"    {line}\n" for line in step.splitlines())
    endless = f"while True:\n    try:\n{body}    except {catch}:\n        continue\n"
    text = SCRIPT.replace("for step in range(12):\n" + step, endless)
    assert inspected(tmp_path, text).steps == 3


def test_everything_is_as_before(tmp_path: Path) -> None:
    """torch's functions, the arguments, the path, the modules and the random generator."""
    names = [(torch.autograd, "backward"), (torch.optim.Optimizer, "zero_grad"), (torch.nn.Module, "zero_grad")]
    before = [getattr(owner, name) for owner, name in names]
    main, path, argv, state = sys.modules["__main__"], list(sys.path), list(sys.argv), torch.get_rng_state()
    inspected(tmp_path, SCRIPT, arguments=("--x",))
    assert [getattr(owner, name) for owner, name in names] == before
    assert (sys.modules["__main__"], sys.path, sys.argv) == (main, path, argv)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch_optimizer._global_optimizer_post_hooks


def test_a_script_sees_its_arguments_and_its_folder(tmp_path: Path) -> None:
    """It is ``__main__``, and imports what lies beside it."""
    (tmp_path / "beside_it.py").write_text("V = 13\n")
    lines = "import sys, beside_it\nassert sys.argv[1:] == ['--a', 'b'] and __name__ == '__main__'\n"
    result = inspected(tmp_path, lines + SCRIPT, arguments=("--a", "b"))
    assert kinds(result) == [] and result.steps == 3
    assert "beside_it" not in sys.modules


def test_a_script_that_breaks_is_told_apart(tmp_path: Path) -> None:
    """What it raised is kept, with what was seen before."""
    result = inspected(tmp_path, edited(("    optimizer.step()", "    optimizer.step()\n    1 / 0")))
    assert isinstance(result.crash, ZeroDivisionError) and result.steps == 1


def test_a_missing_script_is_wrong_usage(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(UsageError, match=r"nothing\.py"):
        inspect_script(tmp_path / "nothing.py")


def test_a_block_is_watched_like_a_script() -> None:
    """As in a notebook: the model may exist before."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspecting(steps=3) as run:
        for _ in range(10):
            loss = model(torch.randn(4, 3)).square().mean()
            loss.backward()
            optimizer.step()
    assert run.steps == 3 and [each.kind for each in run.failed] == ["zero_grad_missing"]
    assert run.failed[0].file == __file__
