"""Post-norm and parallel blocks pass where declared, are named where not, and mistakes in them are found."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

KNOWN = load_catalogue()
BLOCK = KNOWN.contracts["block"]
CASES = 6
ENCODER = Path(__file__).parents[1] / "styles" / "encoder.py"


def norm(x, weights, which, eps):
    return functional.layer_norm(x, x.shape[-1:], weights[f"norm_{which}_weight"], weights[f"norm_{which}_bias"], eps)


def attend(x, weights, n_heads):
    q, k, v = functional.linear(x, weights["qkv_weight"], weights["qkv_bias"]).chunk(3, -1)
    q, k, v = (part.unflatten(-1, (n_heads, -1)).transpose(1, 2) for part in (q, k, v))
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    return functional.linear(mixed, weights["out_weight"], weights["out_bias"])


def think(x, weights):
    up = functional.gelu(functional.linear(x, weights["up_weight"], weights["up_bias"]), approximate="tanh")
    return functional.linear(up, weights["down_weight"], weights["down_bias"])


def post_norm(x, weights, n_heads, eps=1e-5):
    x = norm(x + attend(x, weights, n_heads), weights, 1, eps)
    return norm(x + think(x, weights), weights, 2, eps)


def parallel(x, weights, n_heads, eps=1e-5):
    return attend(norm(x, weights, 1, eps), weights, n_heads) + think(norm(x, weights, 2, eps), weights) + x


def parallel_with_one_norm(x, weights, n_heads, eps=1e-5):
    normed = norm(x, weights, 1, eps)
    return x + (attend(normed, weights, n_heads) + think(normed, weights))


FORMS = {form.__name__: form for form in (post_norm, parallel, parallel_with_one_norm)}


def inspection(form, variant: str = "") -> Inspection:
    executor = Executor("theirs", {"block": FunctionAdapter(form)}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=2, cases=CASES, variants={"block": variant} if variant else {})


@pytest.mark.parametrize("name", FORMS)
def test_named_where_it_was_not_declared(name: str) -> None:
    """The finding is the variant, which says how to declare it."""
    finding = inspection(FORMS[name]).finding_of("block")
    assert finding is not None and finding.names == (f"block.variant={name}",)


@pytest.mark.parametrize("name", FORMS)
def test_right_where_it_was_declared(name: str) -> None:
    """No claim of pre-norm alone is asked of it, and every other one is."""
    judged, held = inspection(FORMS[name], name), set()
    for claim in KNOWN.claims_of("block"):
        verdict, _ = judged.bench.judge(BLOCK, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst} {verdict.smallest}"
        held |= {claim.name} if verdict.status == Status.PASSED else set()
    assert {
        "agrees_with_the_reference",
        "gradients_agree",
        "is_causal",
        "prefix_consistent",
        "sublayers_compose_as_declared",
    } <= held


def raw_residual(x, weights, n_heads, eps=1e-5):
    """The second sum starts from what stood before the first norm."""
    total = x + attend(x, weights, n_heads)
    return norm(total + think(norm(total, weights, 1, eps), weights), weights, 2, eps)


def no_last_norm(x, weights, n_heads, eps=1e-5):
    x = norm(x + attend(x, weights, n_heads), weights, 1, eps)
    return x + think(x, weights)


def one_after_the_other(x, weights, n_heads, eps=1e-5):
    x = x + attend(norm(x, weights, 1, eps), weights, n_heads)
    return x + think(norm(x, weights, 2, eps), weights)


@pytest.mark.parametrize(
    ("declared", "form", "claims"),
    [
        ("post_norm", raw_residual, {"agrees_with_the_reference"}),
        ("post_norm", no_last_norm, {"agrees_with_the_reference", "sublayers_compose_as_declared"}),
        ("parallel", one_after_the_other, {"agrees_with_the_reference", "sublayers_compose_as_declared"}),
        ("parallel", parallel_with_one_norm, {"agrees_with_the_reference"}),
        ("parallel_with_one_norm", post_norm, {"agrees_with_the_reference", "sublayers_compose_as_declared"}),
    ],
)
def test_what_was_declared_must_be_there(declared: str, form, claims: set[str]) -> None:
    """Another form, or half of one, is wrong."""
    judged = inspection(form, declared)
    verdicts = [judged.bench.judge(BLOCK, claim, shrink=False)[0] for claim in KNOWN.claims_of("block")]
    assert claims <= {verdict.claim for verdict in verdicts if verdict.failing}


def failing(text: str, folder: Path, variants: str, *components: str) -> set[str]:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    judged = inspect_implementation(str(path), cases=6, variants=variants)
    pairs = [(KNOWN.contracts[c], claim) for c in components for claim in KNOWN.claims_of(c)]
    verdicts = [judged.bench.judge(contract, claim, shrink=False)[0] for contract, claim in pairs]
    assert sum(v.status == Status.PASSED for v in verdicts) > 20
    return {f"{v.component}::{v.claim}" for v in verdicts if v.failing}


def test_torchs_encoder_layer_with_its_norms_last(tmp_path: Path) -> None:
    """torch.nn.TransformerEncoderLayer(norm_first=False) inside a model: the block and the whole model."""
    text = ENCODER.read_text(encoding="utf-8").replace("norm_first=True", "norm_first=False")
    assert failing(text, tmp_path, "block=post_norm", "block", "gpt2") == set()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_forms_agree_where_they_must(seed: int) -> None:
    """With one sublayer closed, parallel and pre-norm are the same; with both, post-norm is its two norms."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, 4, generator=source)
    shapes = {
        "qkv_weight": (12, 4),
        "out_weight": (4, 4),
        "up_weight": (16, 4),
        "down_weight": (4, 16),
        "qkv_bias": (12,),
        "out_bias": (4,),
        "up_bias": (16,),
        "down_bias": (4,),
        "norm_1_weight": (4,),
        "norm_1_bias": (4,),
        "norm_2_weight": (4,),
        "norm_2_bias": (4,),
    }
    weights = {name: torch.randn(shape, generator=source) for name, shape in shapes.items()}
    closed = {**weights, "out_weight": torch.zeros(4, 4), "out_bias": torch.zeros(4)}
    torch.testing.assert_close(parallel(x, closed, 2), one_after_the_other(x, closed, 2))
    both = {**closed, "down_weight": torch.zeros(4, 16), "down_bias": torch.zeros(4)}
    torch.testing.assert_close(post_norm(x, both, 2), norm(norm(x, both, 1, 1e-5), both, 2, 1e-5))
