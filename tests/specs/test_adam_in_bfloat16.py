"""Claims about AdamW on bfloat16 parameters: what rounding does not explain is caught, what it explains is not."""

from pathlib import Path

import pytest
import torch

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

ADAMW = """
import torch


class AdamW:
    def __init__(self, params, lr, betas, eps, weight_decay):
        self.params, self.settings, self.t = list(params), (lr, *betas, eps, weight_decay), 0
        self.wide = [p.detach().float() for p in self.params]
        self.m, self.v = ([torch.zeros_like(w) for w in self.wide] for _ in range(2))

    @torch.no_grad()
    def step(self):
        lr, b1, b2, eps, decay = self.settings
        self.t += 1
        for p, w, m, v in zip(self.params, self.wide, self.m, self.v):
            if p.grad is None:
                continue
            g = p.grad.float()
            m.mul_(b1).add_((1 - b1) * g)
            v.mul_(b2).add_((1 - b2) * g * g)
            move = lr * (m / (1 - b1**self.t)) / ((v / (1 - b2**self.t)).sqrt() + eps)
            # move
"""
MASTER = "w.mul_(1 - lr * decay).sub_(move); p.copy_(w)"
RANDOM = """w.copy_(p).mul_(1 - lr * decay).sub_(move)
            bits = w.view(torch.int32) + torch.randint(0, 1 << 16, w.shape, dtype=torch.int32)
            p.copy_((bits & -65536).view(torch.float32))"""
NEAREST = "p.mul_(1 - lr * decay).sub_(move)"
SUMMED = "self.kept = {**getattr(self, 'kept', {})}; d = move + lr * decay * p.float() + self.kept.get(id(p), 0.0)\n"
SUMMED += "            q = p.float() - d; p.copy_(q); self.kept[id(p)] = p.float() - q"
LONG, SHORT = "long_steps_arrive_in_bfloat16", "short_decays_arrive_in_bfloat16"


def judged(line: str, name: str, folder: Path) -> Status:
    """What becomes of one claim where the parameter moves by this line."""
    (folder / "mine.py").write_text(ADAMW.replace("# move", line), encoding="utf-8")
    found = inspect_implementation(str(folder / "mine.py"), seed=1, cases=4)
    claim = next(claim for claim in found.catalogue.claims_of("adamw") if claim.name == name)
    return found.judge("adamw", claim).status


@pytest.mark.parametrize(
    ("line", "short"),
    [
        (MASTER, Status.PASSED),
        (RANDOM, Status.PASSED),
        (SUMMED, Status.PASSED),
        (NEAREST, Status.NOT_APPLICABLE),
    ],
    ids=["a copy in float32", "rounded at random", "with the rounding kept", "rounded to the nearest"],
)
def test_no_way_to_round_is_wrong(line: str, short: Status, tmp_path: Path) -> None:
    """A copy in float32 is asked of nobody: torch.optim.AdamW keeps none."""
    assert judged(line, LONG, tmp_path) is Status.PASSED
    assert judged(line, SHORT, tmp_path) is short


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (RANDOM.replace("w.copy_(p).mul_(1 - lr * decay)", "w.copy_(p * (1 - lr * decay))"), SHORT),
        (MASTER.replace("w.mul_(1 - lr * decay)", "w").replace("p.copy_(w)", "p.copy_(w - w * 0 * decay)"), SHORT),
        ("p.mul_(1 - lr * decay).sub_(move.to(torch.int8))", LONG),
        ("p.sub_(move)", LONG),
        (
            "p.mul_(1 - lr * decay).sub_(move * torch.tensor(1 - b2, dtype=p.dtype) / (1 - torch.tensor(b2).to(p)))",
            LONG,
        ),
    ],
    ids=["decay rounded away", "decay left out", "move rounded away", "no decay at all", "a correction of 0"],
)
def test_a_lost_step_or_decay_is_caught(line: str, name: str, tmp_path: Path) -> None:
    """By code that names a 16-bit dtype."""
    assert judged("torch.bfloat16; " + line, name, tmp_path) is Status.FAILED


def test_code_for_float32_is_advised(tmp_path: Path) -> None:
    """It is not held to numbers that it names nowhere."""
    assert judged("p.sub_(move)", LONG, tmp_path) is Status.ADVICE


def test_the_reference_does_not_stall() -> None:
    """Steps of an eighth of the distance between two numbers, 32 times, with a decay of the same size."""
    from reference_model import adamw

    optimizer = adamw([torch.full((2,), 1.5, dtype=torch.bfloat16)], lr=2.0**-10, weight_decay=1 / 1.5)
    for _ in range(32):
        (param,) = optimizer.step([torch.tensor([1.0, -1.0], dtype=torch.bfloat16)])
    assert param.dtype == torch.bfloat16
    torch.testing.assert_close(param.float(), torch.tensor([1.5 - 0.0617, 1.5]), rtol=0.0, atol=2.0**-8)
