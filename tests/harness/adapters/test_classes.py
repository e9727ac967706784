"""Module classes are found by name and shape, taken apart by who owns what, and never helped along."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.adapters.discover import discover
from harness.adapters.door import Door
from harness.adapters.modules import telling_cases
from harness.adapters.wrong_use import WrongUse
from harness.core.subject import Request
from harness.inspection import load_catalogue, reference_door
from harness.run import draw

KNOWN = load_catalogue().contracts
STYLES = Path(__file__).parents[2] / "styles"
PARTS = ("gelu", "token_embedding", "learned_positions", "layer_norm", "mlp", "attention", "block", "gpt2")


def found(tmp_path: Path, text: str, attribute: str = ""):
    path = tmp_path / "model.py"
    path.write_text(text, encoding="utf-8")
    return discover(f"{path}:{attribute}" if attribute else str(path), KNOWN)


def edited(tmp_path: Path, style: str, *pairs: tuple[str, str]):
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    for right, wrong in pairs:
        assert right in text
        text = text.replace(right, wrong, 1)
    return found(tmp_path, text)


def agrees(subject, component: str) -> bool:
    """Whether it gives the reference's output on every drawn case that it takes."""
    door, reference, compared = Door("theirs", subject.adapters, KNOWN), reference_door(KNOWN), 0
    for case in draw(KNOWN[component].cases(), 3, 12):
        theirs, ours = door.play(Request(component, case)), reference.play(Request(component, case))
        if theirs.crash is not None and theirs.crash.kind == "not offered":
            continue
        assert theirs.crash is None, theirs.crash
        compared += 1
        if not torch.allclose(theirs.value, ours.value, atol=1e-9):
            return False
    assert compared
    return True


@pytest.mark.parametrize("style", ["nano", "mini", "book", "lens", "lecture", "encoder", "lit"])
def test_every_part_is_found_or_said_to_be_inside(style):
    """With the class, or the line that makes it, as the place of its source."""
    subject = discover(str(STYLES / f"{style}.py"), KNOWN)
    door = Door("theirs", subject.adapters, KNOWN)
    lines = (STYLES / f"{style}.py").read_text(encoding="utf-8").splitlines()
    for name in PARTS:
        offer = door.offers(name)
        assert offer is not None
        if offer.where.endswith(f"{style}.py"):
            line = lines[offer.line - 1]
            assert line.startswith(("class ", "def ")) or "nn." in line or "(" in line, (name, line)


def test_a_part_that_the_model_hands_a_mask_is_called_by_the_model():
    """Its block gets our x and the model's own mask, whatever that looks like."""
    subject = discover(str(STYLES / "lit.py"), KNOWN)
    assert "called as it calls it" in " ".join(subject.adapters["attention"].notes)
    assert agrees(subject, "attention") and agrees(subject, "block")


def test_a_wrong_mask_of_the_model_is_not_made_right(tmp_path):
    subject = edited(tmp_path, "lit", (".tril()", ".tril(1)"))
    assert not agrees(subject, "attention")


def test_time_before_batch_is_seen_and_turned(tmp_path):
    """A model that hands its blocks [time, batch, width]."""
    subject = edited(
        tmp_path, "nano",
        ("            x = block(x)\n        x = self.transformer.ln_f(x)",
         "            x = block(x.transpose(0, 1)).transpose(0, 1)\n        x = self.transformer.ln_f(x)"),
        ("B, T, C = x.size()", "x = x.transpose(0, 1)\n        B, T, C = x.size()"),
        ("return self.resid_dropout(self.c_proj(y))", "return self.resid_dropout(self.c_proj(y)).transpose(0, 1)"),
    )  # fmt: skip
    assert "time before batch" in " ".join(subject.adapters["block"].notes)
    assert agrees(subject, "block") and agrees(subject, "attention") and agrees(subject, "gpt2")


def test_a_transposed_square_weight_is_not_mapped_away(tmp_path):
    """Shapes say nothing of it, names do, and what it computes plays no part."""
    subject = edited(
        tmp_path, "book", ("self.out_proj(context_vec)", "context_vec @ self.out_proj.weight + self.out_proj.bias")
    )
    assert not agrees(subject, "attention")
    rows = subject.adapters["attention"].rows()
    assert next(r for r in rows if r.canonical == "out_weight").layout == "[out, in]"


def test_swapped_names_are_a_finding_too(tmp_path):
    subject = edited(
        tmp_path,
        "book",
        ("keys = self.W_key(x)", "keys = self.W_query(x)"),
        ("queries = self.W_query(x)", "queries = self.W_key(x)"),
    )
    case = telling_cases(KNOWN["attention"])[0]
    assert Door("theirs", subject.adapters, KNOWN).play(Request("attention", case)).crash is None
    assert not agrees(subject, "attention")


def test_a_norm_that_is_missing_altogether_is_judged_as_missing(tmp_path):
    """There is no tensor to give it; everything else fits."""
    subject = edited(
        tmp_path, "nano", ("                ln_f=LayerNorm(config.n_embd, bias=config.bias),\n", ""),
        ("x = self.transformer.ln_f(x)", "pass"),
    )  # fmt: skip
    assert "it has no weights.final_norm_weight" in " ".join(subject.adapters["gpt2"].notes)
    assert not agrees(subject, "gpt2") and agrees(subject, "block")


def test_classes_that_are_no_gpt2_are_told_and_not_judged(tmp_path):
    """A recurrent network named like a model."""
    with pytest.raises(WrongUse, match="looks like gpt2, but its parameters do not fit"):
        found(tmp_path, "from torch import nn\nclass LanguageModel(nn.Module):\n"
                        "    def __init__(self, vocab_size, d_model):\n        super().__init__()\n"
                        "        self.embedding = nn.Embedding(vocab_size, d_model)\n"
                        "        self.rnn = nn.LSTM(d_model, d_model)\n        self.out = nn.Linear(d_model, vocab_size)\n"
                        "    def forward(self, ids):\n        return self.out(self.rnn(self.embedding(ids))[0])\n")  # fmt: skip


def test_a_class_of_a_better_name_is_not_taken_for_a_worse_one(tmp_path):
    """RMSNorm ends in norm, and is no layer norm."""
    text = (STYLES / "cs336.py").read_text(encoding="utf-8")
    assert "layer_norm" not in found(tmp_path, text).adapters


def test_one_class_is_taken_with_its_parts(tmp_path):
    """``model.py:GPT``."""
    text = (STYLES / "nano.py").read_text(encoding="utf-8")
    assert set(PARTS) <= set(found(tmp_path, text, "GPT").adapters)
    assert set(found(tmp_path, text, "MLP").adapters) >= {"mlp"}


def test_parts_alone_are_built_by_their_own_constructors(tmp_path):
    """No whole model in the file."""
    text = (STYLES / "nano.py").read_text(encoding="utf-8")
    subject = found(tmp_path, text[: text.index("class GPT(nn.Module)")])
    assert set(subject.adapters) >= {"layer_norm", "attention", "mlp", "block"} and "gpt2" not in subject.adapters
    assert all(agrees(subject, name) for name in ("attention", "mlp", "block"))


def test_a_function_of_a_components_name_goes_before_a_class(tmp_path):
    text = (STYLES / "nano.py").read_text(encoding="utf-8") + "\n\ndef gelu(x):\n    return x\n"
    assert found(tmp_path, text).adapters["gelu"].kind == "function"
