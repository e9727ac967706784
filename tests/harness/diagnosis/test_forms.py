"""Legal forms that were not declared are found together, with the numbers of the implementation's own source."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.contract import NumberForm, Variant
from harness.core.mistake import Edit
from harness.diagnosis.forms import FAR, NAMED, NEAR, PUBLISHED, candidates, combinations
from harness.diagnosis.literals import Literal, literals_of
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation
from harness.project.variants import declaration_of

KNOWN = load_catalogue()
ATTENTION = """
import torch
from torch.nn import functional

CAP = 7.5

def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    q, k, v = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
    if q.shape[-1] % 2:
        raise ValueError("an odd head size")
    angles = torch.arange(x.shape[1])[:, None] / BASE ** (torch.arange(0, q.shape[-1], 2).double() / q.shape[-1])
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    q, k = turned(q, cos, sin), turned(k, cos, sin)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
    SCORES
    mixed = torch.softmax(scores, -1) @ v
    return functional.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)

def turned(x, cos, sin):
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)
"""
RIGHT = 'scores = (CAP * torch.tanh(scores / CAP)).masked_fill(hidden, float("-inf"))'
WRONG = 'scores = CAP * torch.tanh(scores.masked_fill(hidden, float("-inf")) / CAP)'


def written(folder: Path, scores: str = RIGHT, base: str = "10000.0") -> str:
    file = folder / "mine.py"
    file.write_text(ATTENTION.replace("SCORES", scores).replace("BASE", base))
    return str(file)


def test_forms_are_found_together_and_one_declaration_makes_it_green(tmp_path: Path) -> None:
    """Three at once: two numbers and a layout. What the finding says, pasted, is right in every claim."""
    mine = written(tmp_path, base="500000.0")
    finding = inspect_implementation(mine, seed=1, cases=12).finding_of("attention")
    assert finding is not None
    pairs = [declaration_of(form, KNOWN.contracts) for form in finding.mistakes]
    assert sorted(pairs) == ["positions=rotary_halves", "rope_base=500000", "softcap=7.5"]
    declared = inspect_implementation(mine, seed=1, cases=12, variants=",".join(pairs))
    assert declared.variants["attention"] == "rotary_halves+softcap=7.5+rope_base=500000"
    failing = [c.name for c in KNOWN.claims_of("attention") if declared.judge("attention", c).failing]
    assert failing == []


def test_a_mistake_beside_declared_forms_is_named(tmp_path: Path) -> None:
    """The cap after the mask exists in this form only."""
    inspection = inspect_implementation(
        written(tmp_path, WRONG), seed=1, cases=12, variants="softcap=7.5,positions=rotary_halves"
    )
    finding = inspection.finding_of("attention")
    assert finding is not None and finding.names == ("attention.softcap_after_the_mask",)


def test_a_form_does_not_explain_what_it_has_no_place_for(tmp_path: Path) -> None:
    """Code that only raises is no rotary attention because that refuses odd heads too."""
    mine = tmp_path / "mine.py"
    mine.write_text("def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):\n    raise KeyError('q')\n")
    assert inspect_implementation(str(mine), seed=1, cases=8).finding_of("attention") is None


BLIND = """
import torch
from torch.nn import functional
from reference_model import layer_norm

def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    q, k, v = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
    mixed = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v
    return functional.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)

def block(x, weights, n_heads, eps=1e-5):
    w = weights.get
    x = x + attention(
        layer_norm(x, w("norm_1_weight"), w("norm_1_bias"), eps),
        w("qkv_weight"), w("qkv_bias"), w("out_weight"), w("out_bias"), n_heads,
    )
    up = functional.linear(layer_norm(x, w("norm_2_weight"), w("norm_2_bias"), eps), w("up_weight"), w("up_bias"))
    return x + functional.linear(functional.gelu(up), w("down_weight"), w("down_bias"))
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_a_form_comes_with_another_only_where_it_shows(tmp_path: Path, seed: int) -> None:
    """Rotary positions refuse odd heads and change nothing at one position: they do not come with another GELU."""
    mine = tmp_path / "mine.py"
    mine.write_text(BLIND)
    finding = inspect_implementation(str(mine), seed=seed, effort="quick").finding_of("block")
    assert finding is not None and set(finding.names) == {"attention.no_mask", "gelu.variant=erf"}


def target(x: float) -> float:
    first = x
    second = first
    third = second
    return third


CAP = NumberForm(
    "cap",
    "At most {}.",
    lambda n: (Edit(target, "second = first", f"second = min(first, {n})"),),
    (9.0,),
    hints=("cap",),
)
TURNED = Variant("turned", "Turned.", (Edit(target, "first = x", "first = -x"),), axis="turn")
TWICE = Variant("twice", "Twice.", (Edit(target, "first = x", "first = 2 * x"),), axis="turn")


@pytest.fixture
def contract():
    from dataclasses import replace

    return replace(KNOWN.contracts["gelu"], reference=target, variants=(TURNED, TWICE), numbers=(CAP,))


def test_numbers_are_tried_in_the_order_of_what_tells_most(contract) -> None:
    """A name that says what it is, the definition itself, published models, the rest of the file."""
    literals = (Literal(3.0, is_near=True), Literal(5.0), Literal(7.0, "soft_cap"), Literal(-1.0), Literal(9.0))
    found = [(c.form.variant, c.cost) for c in candidates([contract], {"gelu": literals})]
    assert found == [
        ("turned", 1),
        ("twice", 1),
        ("cap=7", NAMED),
        ("cap=3", NEAR),
        ("cap=9", PUBLISHED),
        ("cap=5", FAR),
    ]


def test_combinations_have_one_form_of_an_axis_and_the_likeliest_are_first(contract) -> None:
    """And what was found in the parts stays in force beside them."""
    found = candidates([contract], {"gelu": (Literal(7.0, "cap"),)})
    sets = [tuple(form.variant for form in chosen) for chosen in combinations(found)]
    assert sets[:5] == [("turned",), ("twice",), ("cap=7",), ("turned", "cap=7"), ("twice", "cap=7")]
    assert not any({"turned", "twice"} <= set(chosen) for chosen in sets)
    assert len(sets) == len(set(sets))
    base = (found[0].form,)
    again = [tuple(form.variant for form in chosen) for chosen in combinations(found, [base])]
    assert again[0] == ("turned",)  # before it stands beside a form that changes nothing
    assert ("turned", "cap=7") in again and ("turned", "twice") not in again


def test_numbers_of_a_source_have_their_names(tmp_path: Path) -> None:
    """Those of the definition at the line first; of assignments, defaults, keywords and dictionaries."""
    file = tmp_path / "mine.py"
    file.write_text(
        "CAP = 50.0\n\ndef other(window=4, *, theta=1e6):\n    return dict(size=8), {'scale': 0.5}\n\n"
        "class It:\n    base: float = 10.0\n    def run(self):\n        self.limit = 3\n        return 2.5\n"
    )
    found = literals_of(str(file), 8)
    assert found[:3] == (Literal(10.0, "base", True), Literal(3.0, "limit", True), Literal(2.5, "", True))
    assert set(found[3:]) == {
        Literal(50.0, "CAP"),
        Literal(4.0, "window"),
        Literal(1e6, "theta"),
        Literal(8.0, "size"),
        Literal(0.5, "scale"),
    }
    assert literals_of(str(tmp_path / "none.py"), 1) == ()
