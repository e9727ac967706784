"""A Llama with a method ``generate`` is judged by its own logits: right or wrong whatever the model computes."""

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).parents[1] / "styles"
METHOD = """
    @torch.inference_mode()
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None):
        for _ in range(max_new_tokens):
            idx_cond = idx if idx.size(1) <= self.params.max_seq_len else idx[:, -self.params.max_seq_len :]
            logits = self(idx_cond)[:, -1, :]
            if temperature == 0.0:
                _, idx_next = torch.topk(logits, k=1, dim=-1)
            else:
                logits = logits / temperature
                if top_k is not None:
                    v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                    logits[logits < v[:, [-1]]] = -float("Inf")
                idx_next = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)
            idx = torch.cat((idx, idx_next), dim=1)
        return idx
"""
CLAIMS = ("agrees_with_the_reference", "greedy_at_top_k_1", "crops_to_the_context_window")
NORM, SCALE = "        h = self.norm(h)\n", "math.sqrt(self.head_dim)"


def judged(right: str, wrong: str, folder: Path, *more: str):
    """The verdicts on the style of one file with this method and one edit, and the names of what was found."""
    text = (STYLES / "llama_single_file.py").read_text(encoding="utf-8") + METHOD
    assert right in text
    path = folder / "mine.py"
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    inspection = inspect_implementation(str(path), cases=3)
    chosen = [c for c in inspection.catalogue.claims_of("generation") if c.name in (*CLAIMS, *more)]
    verdicts = [inspection.judge("generation", claim) for claim in chosen]
    return {v.claim: v.status for v in verdicts}, {name for v in verdicts for name in v.finding}


@pytest.mark.parametrize(
    ("right", "wrong"), [("", ""), (NORM, ""), (SCALE, "self.head_dim")], ids=["right", "no_norm", "scaled_wrongly"]
)
def test_a_mistake_in_the_model_is_none_of_generation(right: str, wrong: str, tmp_path: Path) -> None:
    """It is told once, of the model."""
    found, names = judged(right, wrong, tmp_path)
    assert set(found.values()) == {Status.PASSED} and not names


def test_a_rotary_model_need_not_crop(tmp_path: Path) -> None:
    """Its positions have no end: it may be given all ids."""
    crop = "idx if idx.size(1) <= self.params.max_seq_len else idx[:, -self.params.max_seq_len :]"
    text = (STYLES / "llama_single_file.py").read_text(encoding="utf-8")
    tables = "precompute_freqs_cis(params.dim // params.n_heads, params.max_seq_len)"
    longer, mask = tables.replace("max_seq_len", "max_seq_len * 4"), "(1, 1, args.max_seq_len, args.max_seq_len)"
    assert tables in text and mask in text and crop in METHOD
    path = tmp_path / "mine.py"
    path.write_text(text.replace(tables, longer).replace(mask, "(1, 1, 99, 99)") + METHOD.replace(crop, "idx"))
    inspection = inspect_implementation(str(path), cases=3)
    (claim,) = (c for c in inspection.catalogue.claims_of("generation") if c.name == "crops_to_the_context_window")
    assert inspection.judge("generation", claim).status == Status.PASSED


@pytest.mark.parametrize(
    ("right", "wrong", "claim", "name"),
    [
        (
            "idx[:, -self.params.max_seq_len :]",
            "idx[:, : self.params.max_seq_len]",
            "crops_to_the_context_window",
            "cropped_to_the_first",
        ),
        ("range(max_new_tokens)", "range(max_new_tokens + 1)", "starts_with_the_prompt", "one_id_too_many"),
        (
            "logits / temperature",
            "logits * temperature",
            "samples_follow_the_distribution",
            "multiplied_by_the_temperature",
        ),
    ],
)
def test_a_mistake_in_its_method_is_named(right: str, wrong: str, claim: str, name: str, tmp_path: Path) -> None:
    """By the same known mistakes as those of GPT-2, though the file's model is another one."""
    found, names = judged(right, wrong, tmp_path, claim)
    assert found[claim] == Status.FAILED and f"generation.{name}" in names


def test_a_model_that_gives_no_numbers_is_no_failure_of_generation(tmp_path: Path) -> None:
    """Nothing is said of generation then."""
    found, _ = judged(NORM, NORM + '        h = h * float("nan")\n', tmp_path)
    assert set(found.values()) <= {Status.NOT_CHECKED, Status.NOT_APPLICABLE}
