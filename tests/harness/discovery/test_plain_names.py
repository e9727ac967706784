"""Classes whose names tell little: a ``Norm``, and a whole model whose parameters have names of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Cause, Status
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

NORM = """
import torch
from torch import nn

class Norm(nn.Module):
    def __init__(self, size, eps=1e-5):
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        CENTRED
        return self.gain * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)
"""
MODEL = """
class Layer(nn.Module):
    def __init__(self, size, n_heads, n_groups, hidden):
        super().__init__()
        self.n1, self.n2 = Norm(size), Norm(size)
        self.wq, self.wo = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.wk = nn.Linear(size, size // n_heads * n_groups, bias=False)
        self.wv = nn.Linear(size, size // n_heads * n_groups, bias=False)
        self.a, self.b = nn.Linear(size, hidden, bias=False), nn.Linear(size, hidden, bias=False)
        self.c = nn.Linear(hidden, size, bias=False)

class TinyLM(nn.Module):
    def __init__(self, vocab_size, size, n_heads, n_groups, hidden, n_layers):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, size)
        self.layers = nn.ModuleList([Layer(size, n_heads, n_groups, hidden) for _ in range(n_layers)])
        self.last, self.out = Norm(size), nn.Linear(size, vocab_size, bias=False)
"""


def inspected(folder: Path, text: str) -> Inspection:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return inspect_implementation(str(folder / "mine.py"), seed=1, cases=4)


@pytest.mark.parametrize(
    ("line", "component", "right"),
    [
        ("pass", "rms_norm", True),
        ("x = x - x.mean(-1, keepdim=True)", "layer_norm", True),
        ("x = x * 1.01", "rms_norm", False),
    ],
    ids=["root mean square", "centred", "neither"],
)
def test_a_norm_without_a_bias_is_the_one_that_it_computes(
    tmp_path: Path, line: str, component: str, right: bool
) -> None:
    """A wrong one is the one that has all its tensors, and is wrong."""
    judged = inspected(tmp_path, NORM.replace("CENTRED", line))
    assert {"rms_norm", "layer_norm"} & set(judged.begun) == {component}
    assert judged.agrees(component) is right


def test_a_whole_model_that_fits_none_is_told(tmp_path: Path) -> None:
    """With why, and the line that says which parameter is which; not where a whole model is found."""
    notes = [note.text for note in inspected(tmp_path, NORM.replace("CENTRED", "pass") + MODEL).notes]
    (told,) = [text for text in notes if text.startswith("the class TinyLM is built like a whole model")]
    assert "as llama, its parameters do not fit" in told and '@implements("llama", names={...})' in told
    assert not [text for text in notes if "class Layer is built like" in text]


def test_building_shows_no_warnings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Sizes that only a trial has make torch warn of tensors without elements."""
    text = NORM.replace("CENTRED", "pass").replace(
        "super().__init__()", "super().__init__(); warnings.warn('odd size')"
    )
    judged = inspected(tmp_path, "import warnings\n" + text)
    assert judged.agrees("rms_norm") and not [w for w in recwarn if "odd size" in str(w.message)]


@pytest.mark.parametrize("slip", ["torch.onse(size)", "torch.ones(sise)"], ids=["an attribute", "a name"])
def test_a_slip_in_a_constructor_is_a_crash(tmp_path: Path, slip: str) -> None:
    """And not a class that only looks like the component: nothing would be red."""
    text = NORM.replace("CENTRED", "pass").replace("class Norm", "class RMSNorm").replace("torch.ones(size)", slip)
    judged = inspected(tmp_path, text)
    claims = {claim.name: claim for claim in judged.catalogue.claims_of("rms_norm")}
    verdict = judged.judge("rms_norm", claims["agrees_with_the_reference"])
    assert verdict.status is Status.CRASHED and verdict.cause is Cause.OWN_CRASH, verdict.message
