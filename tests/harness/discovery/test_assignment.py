"""The adapters file of Stanford's CS336: every function that is called, its own rules, and the helpers beside them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

FILE = Path(__file__).parents[2] / "styles" / "assignment.py"
FOUND = (
    *("tokenizer", "token_embedding", "attention", "train_bpe", "linear", "softmax", "rms_norm", "rope", "swiglu"),
    *("scaled_dot_product_attention", "lm_loss", "get_batch", "clip_grad_norm", "lr_schedule", "adamw", "checkpoint"),
    *("llama_block", "llama"),
)
RULES = {
    "train_bpe": "greatest",
    "adamw": "cs336",
    "scaled_dot_product_attention": "nan_where_all_is_hidden",
    "llama_block": "rotary",
    "llama": "rotary",
}
"""The greater of two pairs is merged, weights decay after the step, no query lacks keys, neighbours are rotated."""


@cache
def right(cases: int = 3) -> Inspection:
    return inspect_implementation(str(FILE), cases=cases)


def failing(judged: Inspection, component: str) -> set[str]:
    contract = judged.catalogue.contracts[component]
    verdicts = [judged.bench.judge(contract, c, shrink=False)[0] for c in judged.catalogue.claims_of(component)]
    assert any(verdict.status == Status.PASSED for verdict in verdicts)
    return {verdict.claim for verdict in verdicts if verdict.failing}


def edited(tmp_path: Path, *edits: tuple[str, str], cases: int = 3) -> Inspection:
    text = FILE.read_text(encoding="utf-8")
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "adapters.py"
    path.write_text(text, encoding="utf-8")
    return inspect_implementation(str(path), cases=cases)


def test_every_function_of_the_file_is_found_and_its_rules_with_it() -> None:
    """Also where the student's own helper has a component's name."""
    judged = right()
    assert set(judged.implementation.components) == set(FOUND) and judged.variants == RULES
    assert [note.text.partition(" is a helper")[0] for note in judged.notes] == ["block"]


@pytest.mark.parametrize("component", FOUND)
def test_a_right_file_is_right(component: str) -> None:
    assert failing(right(8 if component.startswith("llama") else 3), component) == set()


def test_a_rule_that_is_broken_is_seen(tmp_path: Path) -> None:
    """The form is not chosen by what the code computes: the smaller of two pairs is wrong here."""
    judged = edited(tmp_path, ("(counts[pair], pair))", "(counts[pair], [-b[0] for b in pair]))"), cases=20)
    assert judged.variants["train_bpe"] == "greatest" and failing(judged, "train_bpe")


@pytest.mark.parametrize(
    ("edit", "form", "is_right"),
    [
        (("    return AdamW", "    return torch.optim.AdamW"), None, True),
        (('p -= group["lr"] * group', "p -= group"), "cs336", False),
        (("1 - beta_2**t) / (1", "1 - beta_1**t) / (1"), "cs336", False),
    ],
)
def test_what_the_course_accepts_beside_its_rule_is_right(
    tmp_path: Path, edit: tuple[str, str], form: str | None, is_right: bool
) -> None:
    """Its tests take torch's own order too; what is neither is judged by the rule."""
    judged = edited(tmp_path, edit)
    assert judged.variants.get("adamw") == form and (failing(judged, "adamw") == set()) is is_right


def test_positions_inside_the_heads_are_judged_as_such() -> None:
    """``run_multihead_self_attention_with_rope`` alone is the component in its rotary form."""
    judged = inspect_implementation(f"{FILE}:run_multihead_self_attention_with_rope", cases=3)
    assert judged.variants == {"attention": "rotary"} and failing(judged, "attention") == set()


def test_helpers_beside_its_functions_are_no_components(tmp_path: Path) -> None:
    """Named alone, each is one."""
    path, contracts = tmp_path / "adapters.py", load_catalogue().contracts
    path.write_text("def run_softmax(in_features, dim): ...\ndef gelu(x): ...\ndef block(x, w): ...\n")
    found = discover(str(path), contracts)
    assert set(found.adapters) == {"softmax"}
    assert [note.text.partition(" are")[0] for note in found.notes] == ["gelu, block"]
    assert set(discover(f"{path}:gelu", contracts).adapters) == {"gelu"}
