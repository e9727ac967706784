"""Ten published models in miniature: red with one declaration, green with it pasted, and mistakes beside it are named.

That the miniatures are the published models: tests/test_published_models.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support_lanes import FULL, sample
from support_published import FOLDER, MISTAKES, PUBLISHED
from support_styles import BARELY, FAILS, PASSES, inspect_style, outcomes
from support_told import judged_claims, told

DECLARED = {
    "gpt2": "",
    "gptj": "positions=rotary,norm_place=parallel_with_one_norm,tied=untied",
    "llama2": "positions=rotary",
    "llama3": "rope_scaling=llama3",
    "qwen3": "",
    "gemma2": "norm=unit_offset,activation=gelu_tanh,softcap=50,embedding_scale=root_of_width,final_softcap=30,"
    "window_layers=alternate",
    "gemma3": "norm=unit_offset,activation=gelu_tanh,local_base=10000,embedding_scale=root_of_width,"
    "window_layers=five_to_one",
    "gpt_oss": "window_layers=alternate",
    "nanochat": "activation=relu2,qk_norm=rms,rotation=backwards,qk_norm_eps=1e-06,eps=1e-6,embedding_norm=normalised,"
    "final_softcap=15",
    "olmo2": "norm_place=output_norm",
}
"""What differs from GPT-2 or Llama and does not show in the parameters."""
CLAIMS = ("agrees_with_the_reference", "window_holds_in_its_layers", "one_tensor")
"""Claims that tell the forms."""
CASES, FEW = 6, 3
SELDOM = {"olmo2": 16}
"""Few cases have norms of all heads together, as OLMo 2 has them."""
UNTRAINED = "initialisation"
"""The miniatures start from what torch starts from: that is red, and no form."""


def pairs(text: str) -> set[str]:
    """The pieces of a declaration."""
    return set(filter(None, text.split(",")))


@pytest.mark.parametrize("name", sample(PUBLISHED, str, lambda name: "", 2))
def test_what_is_told_of_a_published_model_makes_it_green(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a declaration it is red, unless it has none to make; with what is told, pasted, no claim fails."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    path = str(FOLDER / f"{name}.py")
    undeclared = inspect_style(path, cases=CASES)
    verdicts = judged_claims(undeclared, CLAIMS)
    assert any(verdict.failing for verdict in verdicts) == bool(DECLARED[name])
    declaration = told(undeclared, verdicts)
    assert pairs(declaration) == pairs(DECLARED[name])
    found = outcomes(path, declaration, cases=SELDOM.get(name, CASES if FULL else FEW))
    found.pop(UNTRAINED, None)
    assert {c: o for c, o in found.items() if o.status in (FAILS, BARELY)} == {}
    whole = "gpt2" if name.startswith("gpt") and name != "gpt_oss" else "llama"
    assert found[whole].status == PASSES


PLANTED = [(name, *planted) for name, all_of_it in MISTAKES.items() for planted in all_of_it]
CHOSEN = sample(PLANTED, lambda planted: planted[1] + planted[2], lambda planted: "", 4)


def test_three_mistakes_are_planted_in_each() -> None:
    """In every model."""
    assert set(MISTAKES) == set(PUBLISHED) == set(DECLARED)
    assert {len(planted) for planted in MISTAKES.values()} == {3}


@pytest.mark.parametrize(
    ("name", "right", "wrong", "names"), CHOSEN, ids=[f"{m[0]}-{PLANTED.index(m) % 3}" for m in CHOSEN]
)
def test_a_mistake_in_a_published_model_is_named(
    name: str, right: str, wrong: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the declaration: the first component that is explained names the mistake, and it alone."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.count(right) >= 1, f"{name}.py has no {right!r}"
    path = tmp_path / f"{name}.py"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    judged = inspect_style(str(path), DECLARED[name], cases=CASES)
    components = [c for c in judged.implementation.components if c != UNTRAINED]
    found = next((f for c in components if (f := judged.finding_of(c)) is not None), None)
    assert found is not None, "nothing was named"
    assert len(found.names) == 1 and set(found.names) <= names
