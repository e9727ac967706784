"""Model classes are judged on what their constructors leave, with nothing written for it."""

from pathlib import Path

import pytest
import torch

from harness.core.record import Status
from harness.core.values import Settings
from harness.judging.loading import inspect_implementation
from specs.shared.initial_weights import law_of

STYLES = Path(__file__).parents[1] / "styles"
SCALED = """        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.n_layer))
"""
APPLIED = "        self.apply(self._init_weights)\n"


def failing(text: str, folder: Path, variants: str = "") -> dict[str, str]:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    judged = inspect_implementation(str(path), cases=2, variants=variants)
    contract = judged.catalogue.contracts["initialisation"]
    verdicts = [judged.bench.judge(contract, c, shrink=False)[0] for c in judged.catalogue.claims_of("initialisation")]
    assert sum(v.status == Status.PASSED for v in verdicts) >= 4
    return {v.claim: v.message for v in verdicts if v.failing}


def nano() -> str:
    return (STYLES / "nano.py").read_text(encoding="utf-8")


def test_gpt2s_own(tmp_path: Path) -> None:
    """N(0, 0.02), and what writes to the residual stream scaled."""
    assert failing(nano().replace(APPLIED, APPLIED + SCALED), tmp_path) == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("", "standard deviation of 0.0198"),
        (
            SCALED.replace('name.endswith("c_proj.weight")', 'name == "c_proj.weight"'),
            "(0.02); it must be 0.02 / sqrt(2 L)",
        ),
        (SCALED.replace("2 * config", "config"), "(0.02 / sqrt(L)); it must be"),
    ],
)
def test_residual_projections_in_words(wrong: str, message: str, tmp_path: Path) -> None:
    """Which law they follow is said."""
    found = failing(nano().replace(APPLIED, APPLIED + wrong), tmp_path)
    assert set(found) == {"residual_projections_are_scaled"} and message in found["residual_projections_are_scaled"]


def test_residual_projections_like_all_others_may_be_declared(tmp_path: Path) -> None:
    """GPT-NeoX and OPT draw them so; the message says how."""
    found = failing(nano(), tmp_path)
    assert "--impl-variant=residual_scale=all_alike" in found["residual_projections_are_scaled"]
    assert failing(nano(), tmp_path, "residual_scale=all_alike") == {}


def test_what_torch_draws_is_told_as_that_and_may_be_declared(tmp_path: Path) -> None:
    """One message for all claims that it breaks; none of them is judged where it is declared."""
    text = (STYLES / "mini.py").read_text(encoding="utf-8")
    assert len(set(failing(text, tmp_path).values())) == 1
    assert failing(text, tmp_path, "initialisation=torch_default") == {}


def test_transformer_encoder_copies_one_layer(tmp_path: Path) -> None:
    """torch.nn.TransformerEncoder makes its layers by copying the one that it is given, numbers and all."""
    found = failing((STYLES / "encoder.py").read_text(encoding="utf-8"), tmp_path)
    assert "equals that of layer 0" in found["layers_differ"]


TIED, ONES = "self.tok_embeddings.weight = self.output.weight", "nn.Parameter(torch.ones(dim))"


def llama() -> str:
    return (STYLES / "llama_single_file.py").read_text(encoding="utf-8")


def test_a_llama_need_not_follow_the_law_of_gpt2(tmp_path: Path) -> None:
    """Published ones have many laws; what torch draws is one of them."""
    assert failing(llama(), tmp_path) == {}


@pytest.mark.parametrize(
    ("right", "wrong", "claim"),
    [
        (
            TIED,
            f"{TIED}\n        [torch.nn.init.normal_(p) for p in self.parameters() if p.dim() > 1]",
            "initial_loss_is_ln_vocab_size",
        ),
        (
            TIED,
            f"{TIED}\n        [b.load_state_dict(self.layers[0].state_dict()) for b in self.layers]",
            "layers_differ",
        ),
        ("        self.params = params\n", "        torch.manual_seed(1337)\n", "seed_changes_the_weights"),
        (ONES, "nn.Parameter(torch.randn(dim))", "biases_are_zero_and_gains_one"),
    ],
)
def test_what_no_law_allows_is_told_of_a_llama(right: str, wrong: str, claim: str, tmp_path: Path) -> None:
    """A tied head with numbers as large as 1, layers that are copies, a fixed seed, gains that are drawn."""
    assert right in llama()
    assert claim in failing(llama().replace(right, wrong), tmp_path)


def test_laws_that_give_the_same_number_are_all_named() -> None:
    """With four layers 0.02 / sqrt(L) is 0.01."""
    values = 0.01 * torch.randn(200, 200, generator=torch.Generator().manual_seed(0))
    assert law_of(Settings(layers=4), values).endswith("(0.02 / sqrt(L) or 0.01)")
    assert law_of(Settings(layers=3), values).endswith("(0.01)")
