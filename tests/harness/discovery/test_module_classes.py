"""Module classes are found by name and shape, taken apart by who owns what, and never helped along."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.core.errors import UsageError
from harness.core.implementation import CrashKind, OfferKind, Request
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.reference import reference_executor
from harness.modules.adapter import telling_cases
from harness.strategies.sampling import draw

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


def agrees(implementation, component: str) -> bool:
    """Whether it gives the reference's output on every drawn case that it takes."""
    executor, reference, compared = Executor("theirs", implementation.adapters, KNOWN), reference_executor(KNOWN), 0
    for case in draw(KNOWN[component].cases(), 3, 12):
        theirs, ours = executor.run(Request(component, case)), reference.run(Request(component, case))
        if theirs.crash is not None and theirs.crash.kind == CrashKind.NOT_SUPPORTED:
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
    implementation = discover(str(STYLES / f"{style}.py"), KNOWN)
    executor = Executor("theirs", implementation.adapters, KNOWN)
    lines = (STYLES / f"{style}.py").read_text(encoding="utf-8").splitlines()
    for name in PARTS:
        offer = executor.offers(name)
        assert offer is not None
        if offer.where.endswith(f"{style}.py"):
            line = lines[offer.line - 1]
            assert line.startswith(("class ", "def ")) or "nn." in line or "(" in line, (name, line)


def test_a_part_that_the_model_hands_a_mask_is_called_by_the_model():
    """Its block gets our x and the model's own mask, whatever that looks like."""
    implementation = discover(str(STYLES / "lit.py"), KNOWN)
    assert "called as it calls it" in " ".join(implementation.adapters["attention"].notes)
    assert agrees(implementation, "attention") and agrees(implementation, "block")


def test_a_wrong_mask_of_the_model_is_not_made_right(tmp_path):
    implementation = edited(tmp_path, "lit", (".tril()", ".tril(1)"))
    assert not agrees(implementation, "attention")


def test_time_before_batch_is_seen_and_turned(tmp_path):
    """A model that hands its blocks [time, batch, width]."""
    implementation = edited(
        tmp_path,
        "nano",
        (
            "            x = block(x)\n        x = self.transformer.ln_f(x)",
            "            x = block(x.transpose(0, 1)).transpose(0, 1)\n        x = self.transformer.ln_f(x)",
        ),
        ("B, T, C = x.size()", "x = x.transpose(0, 1)\n        B, T, C = x.size()"),
        ("return self.resid_dropout(self.c_proj(y))", "return self.resid_dropout(self.c_proj(y)).transpose(0, 1)"),
    )
    assert "time before batch" in " ".join(implementation.adapters["block"].notes)
    assert agrees(implementation, "block") and agrees(implementation, "attention") and agrees(implementation, "gpt2")


def test_a_transposed_square_weight_is_not_mapped_away(tmp_path):
    """Shapes say nothing of it, names do, and what it computes runs no part."""
    implementation = edited(
        tmp_path, "book", ("self.out_proj(context_vec)", "context_vec @ self.out_proj.weight + self.out_proj.bias")
    )
    assert not agrees(implementation, "attention")
    rows = implementation.adapters["attention"].rows()
    assert next(r for r in rows if r.name == "out_weight").layout == "[out, in]"


def test_swapped_names_are_a_finding_too(tmp_path):
    implementation = edited(
        tmp_path,
        "book",
        ("keys = self.W_key(x)", "keys = self.W_query(x)"),
        ("queries = self.W_query(x)", "queries = self.W_key(x)"),
    )
    case = telling_cases(KNOWN["attention"])[0]
    assert Executor("theirs", implementation.adapters, KNOWN).run(Request("attention", case)).crash is None
    assert not agrees(implementation, "attention")


def test_a_norm_that_is_missing_altogether_is_judged_as_missing(tmp_path):
    """There is no tensor to give it; everything else fits."""
    implementation = edited(
        tmp_path,
        "nano",
        ("                ln_f=LayerNorm(config.n_embd, bias=config.bias),\n", ""),
        ("x = self.transformer.ln_f(x)", "pass"),
    )
    assert "it has no weights.final_norm_weight" in " ".join(implementation.adapters["gpt2"].notes)
    assert not agrees(implementation, "gpt2") and agrees(implementation, "block")


def test_classes_that_are_no_gpt2_are_told_and_not_judged(tmp_path):
    """A recurrent network named like a model."""
    with pytest.raises(UsageError, match="looks like gpt2, but its parameters do not fit"):
        found(
            tmp_path,
            "from torch import nn\nclass LanguageModel(nn.Module):\n"
            "    def __init__(self, vocab_size, d_model):\n        super().__init__()\n"
            "        self.embedding = nn.Embedding(vocab_size, d_model)\n"
            "        self.rnn = nn.LSTM(d_model, d_model)\n        self.out = nn.Linear(d_model, vocab_size)\n"
            "    def forward(self, ids):\n        return self.out(self.rnn(self.embedding(ids))[0])\n",
        )


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
    implementation = found(tmp_path, text[: text.index("class GPT(nn.Module)")])
    assert (
        set(implementation.adapters) >= {"layer_norm", "attention", "mlp", "block"}
        and "gpt2" not in implementation.adapters
    )
    assert all(agrees(implementation, name) for name in ("attention", "mlp", "block"))


def test_a_function_of_a_components_name_goes_before_a_class(tmp_path):
    text = (STYLES / "nano.py").read_text(encoding="utf-8") + "\n\ndef gelu(x):\n    return x\n"
    assert found(tmp_path, text).adapters["gelu"].kind is OfferKind.FUNCTION


# names that tell nothing ---------------------------------------------------------------------------------------------

NAMELESS = """
import torch
from torch import nn
from torch.nn import functional as F

class Mixer(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h, self.l1, self.l2 = h, nn.Linear(d, d), nn.Linear(d, d)
        self.l3, self.l4 = nn.Linear(d, d), nn.Linear(d, d)
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (l(x).view(B, T, self.h, -1).transpose(1, 2) for l in (self.l1, self.l2, self.l3))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.l4(y.transpose(1, 2).reshape(B, T, C))

class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.a, self.x1, self.x2 = Mixer(d, h), nn.LayerNorm(d), nn.LayerNorm(d)
        self.m1, self.m2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
    def forward(self, x):
        x = x + self.a(self.x1(x))
        return x + self.m2(F.gelu(self.m1(self.x2(x)), approximate="tanh"))

class Net(nn.Module):
    def __init__(self, vocab_size, d_model, n_heads, n_layers, max_len):
        super().__init__()
        self.e1, self.e2 = nn.Embedding(vocab_size, d_model), nn.Embedding(max_len, d_model)
        self.bs = nn.Sequential(*[Block(d_model, n_heads) for _ in range(n_layers)])
        self.f = nn.LayerNorm(d_model)
    def forward(self, ids):
        x = self.e1(ids) + self.e2(torch.arange(ids.shape[1]))
        return self.f(self.bs(x)) @ self.e1.weight.T
"""


def layout_of(implementation) -> dict[str, tuple[str, str]]:
    return {row.name: (row.parameter, row.confidence) for row in implementation.adapters["attention"].rows()}


def test_names_that_tell_nothing_are_matched_by_shape_and_order(tmp_path):
    """Wide and tall matrices by shape; q, k, v, out and the norms by the order in which they are made."""
    implementation = found(tmp_path, NAMELESS)
    rows = layout_of(implementation)
    assert [rows[f"qkv_weight ({n})"][0] for n in ("query", "key", "value")] == ["l1.weight", "l2.weight", "l3.weight"]
    assert rows["out_weight"][0] == "l4.weight" and all(
        agrees(implementation, n) for n in ("attention", "block", "gpt2")
    )


def test_another_order_is_told_by_what_it_computes(tmp_path):
    """Several mappings fit by shape: the one that gives the reference is meant."""
    text = NAMELESS.replace("(self.l1, self.l2, self.l3)", "(self.l2, self.l4, self.l1)").replace(
        "self.l4(y", "self.l3(y"
    )
    implementation = found(tmp_path, text)
    rows = layout_of(implementation)
    assert [rows[f"qkv_weight ({n})"][0] for n in ("query", "key", "value")] == ["l2.weight", "l4.weight", "l1.weight"]
    assert rows["out_weight"] == ("l3.weight", "sure") and agrees(implementation, "gpt2")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("y.transpose(1, 2).reshape", "y.reshape"),
        ("is_causal=True", "is_causal=False"),
        ("x + self.a(self.x1(x))", "x + self.a(x)"),
    ],
)
def test_a_wrong_model_keeps_its_order_and_stays_wrong(tmp_path, right, wrong):
    """None of the mappings gives the reference, so none is chosen for it."""
    assert right in NAMELESS
    implementation = found(tmp_path, NAMELESS.replace(right, wrong))
    assert layout_of(implementation)["out_weight"] == ("l4.weight", "guessed")
    assert not agrees(implementation, "gpt2")


def test_dropout_that_is_no_argument_is_off(tmp_path):
    """In training too: contracts are about what is computed without."""
    text = NAMELESS.replace("return self.l4(", "return nn.Dropout(0.5)(self.l4(").replace(
        "reshape(B, T, C))", "reshape(B, T, C)))"
    )
    kept = text.replace("self.l3, self.l4 =", "self.drop = nn.Dropout(0.5)\n        self.l3, self.l4 =").replace(
        "nn.Dropout(0.5)(self.l4", "self.drop(self.l4"
    )
    implementation = found(tmp_path, kept)
    executor, case = Executor("theirs", implementation.adapters, KNOWN), draw(KNOWN["attention"].cases(), 3, 1)[0]
    one, other = (executor.run(Request("attention", case, mode=mode)) for mode in ("train", "eval"))
    assert torch.equal(one.value, other.value)
