"""Claims on training runs, each seen to fail: one change of a healthy script, and the finding with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_training import edited, inspected, kinds, line_of

STEP = "    optimizer.step()\n"
BACKWARD = "    loss.backward()\n"
MASK = '        w = w.masked_fill(torch.ones(t, t).tril() == 0, float("-inf"))\n'
CE = "F.cross_entropy(model(x).flatten(0, 1), y.flatten())"
TWICE = "    for _ in range(2):\n        x, y = batch()\n        "
CLIP = "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
CASES = [
    (
        "gradients_cleared_before_step",
        "optimizer.zero_grad()",
        ((BACKWARD, ""), ("    optimizer.zero_grad()\n", BACKWARD + "    optimizer.zero_grad()\n")),
    ),
    ("backward_missing", "loss.backward", (("loss.backward()", "loss.backward"),)),
    ("step_missing", "optimizer.step", (("optimizer.step()", "optimizer.step"),)),
    ("clip_after_step", "clip_grad_norm_", ((STEP, STEP + CLIP),)),
    (
        "clip_of_exhausted_generator",
        "clip_grad_norm_(some",
        (
            ("optimizer = ", "some = model.parameters()\nlist(some)\noptimizer = "),
            (STEP, CLIP.replace("model.parameters()", "some") + STEP),
        ),
    ),
    ("clip_of_some_parameters", "clip_grad_norm_", ((STEP, CLIP.replace("model.p", "model.head.p") + STEP),)),
    ("parameter_not_in_optimizer", "AdamW", (("AdamW(model.parameters()", "AdamW([*model.parameters()][:-2]"),)),
    ("gradient_missing", "detach", (("w.softmax(-1) @ v))", "w.softmax(-1) @ v).detach())"),)),
    ("gradient_ascent", "backward", (("loss.backward()", "(-loss).backward()"),)),
    (
        "batch_repeated",
        "torch.manual_seed(3)",
        (("    x, y = batch()\n", "    torch.manual_seed(3)\n    x, y = batch()\n"),),
    ),
    (
        "targets_not_shifted",
        "data[a:a + T] for a in at])\n    return",
        (
            (
                "    y = torch.stack([data[a + 1:a + T + 1] for a in at])",
                "    y = torch.stack([data[a:a + T] for a in at])",
            ),
        ),
    ),
    (
        "causal_mask_missing",
        "softmax(-1)",
        ((MASK, ""),),
    ),
    ("causal_mask_off_by_one", "masked_fill", (("tril()", "tril(1)"),)),
    (
        "training_in_evaluation_mode",
        "model.eval()",
        (("for step in range(12):\n", "for step in range(12):\n    if step == 1:\n        model.eval()\n"),),
    ),
    (
        "evaluation_in_training_mode",
        "val = ",
        (
            (
                STEP,
                STEP
                + "    with torch.no_grad():\n        val = F.cross_entropy(model(x).flatten(0, 1), y.flatten())\n",
            ),
        ),
    ),
    (
        "no_grad_missing_in_evaluation",
        "val = ",
        (
            (
                STEP,
                STEP + f"    model.eval()\n    val = {CE}.item()\n    model.train()\n",
            ),
        ),
    ),
    (
        "loss_over_softmax",
        "F.cross_entropy(model(x).softmax",
        (("F.cross_entropy(model(x).flatten", "F.cross_entropy(model(x).softmax(-1).flatten"),),
    ),
    (
        "rate_not_applied",
        "optimizer.step()",
        (("    optimizer.zero_grad()\n", "    optimizer.lr = 0.1 / (step + 1)\n    optimizer.zero_grad()\n"),),
    ),
    ("betas_swapped", "betas", (("lr=1e-3", "lr=1e-3, betas=(0.999, 0.9)"),)),
    (
        "weights_not_loaded",
        "load_state_dict",
        (("optimizer = ", "model.load_state_dict({'x': torch.ones(1)}, strict=False)\noptimizer = "),),
    ),
    ("loss_not_finite", "backward", (("y.flatten())\n    optimizer", "y.flatten()) * float('nan')\n    optimizer"),)),
    (
        "accumulation_not_divided",
        "backward",
        (
            (
                BACKWARD,
                f"{TWICE}{CE}.backward()\n",
            ),
        ),
    ),
]


@pytest.mark.parametrize(("kind", "line", "changes"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_is_found(tmp_path: Path, kind: str, line: str, changes: tuple[tuple[str, str], ...]) -> None:
    """The finding has this kind, and shows the line with this text."""
    text = edited(*changes)
    result = inspected(tmp_path, text, steps=4)
    found = [each for each in result.failed if each.kind == kind]
    assert found, kinds(result)
    first = next(n for n, _ in enumerate(text.splitlines(), 1) if line.split("\n")[0] in text.splitlines()[n - 1])
    assert found[0].line is not None and found[0].line >= first and result.troubles == []


RIGHT = {
    "accumulation": (
        (
            BACKWARD,
            f"{TWICE}({CE} / 2).backward()\n",
        ),
    ),
    "clip of a list": ((STEP, CLIP.replace("model.parameters()", "list(model.parameters())") + STEP),),
    "evaluation": (
        (STEP, STEP + "    model.eval()\n    with torch.no_grad():\n        model(batch()[0])\n    model.train()\n"),
    ),
    "no dropout": (("nn.Dropout(0.1)", "nn.Dropout(0.0)"), (STEP, STEP + "    model.eval()\n")),
    "schedule": (
        ("for step in range(12):", "s = torch.optim.lr_scheduler.StepLR(optimizer, 3)\nfor step in range(12):"),
        (STEP, STEP + "    s.step()\n"),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_left_alone(tmp_path: Path, name: str) -> None:
    """Nothing is found."""
    assert kinds(inspected(tmp_path, edited(*RIGHT[name]), steps=4)) == []


def test_a_finding_shows_its_statement(tmp_path: Path) -> None:
    """The line of a finding is the statement itself, with its text."""
    text = edited(("loss.backward()", "(-loss).backward()"))
    finding = inspected(tmp_path, text).failed[0]
    assert finding.line == line_of(text, "(-loss).backward()") and finding.text.strip() == "(-loss).backward()"
