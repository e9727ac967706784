"""Clipping inside a training run: it is seen wherever it stands, and the watch leaves nothing behind."""

from pathlib import Path

import pytest
from torch.nn.utils import clip_grad
from torch.optim.optimizer import _global_optimizer_pre_hooks

from harness.core.record import Status
from harness.judging.loading import inspect_implementation
from specs.shared.watched_steps import seen, watch

TRAINER = """
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_


def shorten(parameters, limit):
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack([g.norm() for g in grads]).norm()
    for grad in grads:
        grad.mul_((limit / norm).clamp(max=1.0))


def trainer(config, data, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(config.vocab_size, config.width), nn.Linear(config.width, config.vocab_size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr)
    losses = []
    for _ in range(config.steps):
        at = torch.randint(0, len(data) - config.context, (config.batch_size,))
        x, y = (torch.stack([data[i + k : i + k + config.context] for i in at]) for k in (0, 1))
        loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        # loop
        losses.append(loss.item())
    return losses
"""
CLEAR, BACK, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"
CLIP, OWN = "clip_grad_norm_(model.parameters(), 0.1)", "shorten(list(model.parameters()), 0.1)"
SUMMED = "(loss / 2).backward(retain_graph=True)"
LATE, NOTHING = "clip them between backward() and step()", "finds no gradients"


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        ((CLEAR, BACK, CLIP, STEP), Status.PASSED, ""),
        (("optimizer.zero_grad(set_to_none=False)", BACK, CLIP, STEP), Status.PASSED, ""),
        ((SUMMED, SUMMED, CLIP, STEP, CLEAR), Status.PASSED, ""),
        ((CLEAR, BACK, OWN, STEP), Status.NOT_APPLICABLE, "does not call"),
        ((CLEAR, BACK, STEP), Status.NOT_APPLICABLE, "does not call"),
        ((CLEAR, BACK, STEP, CLIP), Status.FAILED, LATE),
        ((BACK, STEP, CLIP, CLEAR), Status.FAILED, LATE),
        ((CLEAR, BACK, STEP, OWN), Status.FAILED, LATE),
        ((CLEAR, CLIP, BACK, STEP), Status.FAILED, NOTHING),
        ((BACK, STEP, CLEAR, CLIP), Status.FAILED, NOTHING),
    ],
    ids=lambda lines: "; ".join(lines) if isinstance(lines, tuple) else "",
)
def test_clipping_is_judged_by_when_it_happens(
    lines: tuple[str, ...], status: Status, said: str, tmp_path: Path
) -> None:
    """With torch's function or with one's own."""
    text = TRAINER.replace("# loop", "\n        ".join(lines))
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    found = inspect_implementation(str(tmp_path / "mine.py"), seed=1, cases=1)
    claim = next(claim for claim in found.catalogue.claims_of("trainer") if claim.name == "clipped_before_the_step")
    verdict, _ = found.bench.judge(found.catalogue.contracts["trainer"], claim, shrink=False)
    assert verdict.status is status, verdict.message
    assert said in verdict.message


def test_a_watch_that_is_dropped_leaves_nothing_behind() -> None:
    """Also where the trainer raised, and nobody asked what was seen."""
    before, hooks = vars(clip_grad).copy(), len(_global_optimizer_pre_hooks)
    (held,) = watch()
    assert len(_global_optimizer_pre_hooks) == hooks + 1
    del held
    assert vars(clip_grad) == before
    assert len(_global_optimizer_pre_hooks) == hooks
    (held,) = watch()
    assert seen(held)["steps"] == 0
    assert vars(clip_grad) == before
