"""How people spell it: a method of their model, a function that is given a model. Found, judged, and mistakes named."""

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).parents[1] / "styles"
METHOD = """
    @torch.no_grad()
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None):
        for _ in range(max_new_tokens):
            idx_cond = idx if idx.size(1) <= self.config.block_size else idx[:, -self.config.block_size:]
            logits, _ = self(idx_cond)
            logits = logits[:, -1, :] / temperature
            if top_k is not None:
                v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                logits[logits < v[:, [-1]]] = -float("Inf")
            probs = F.softmax(logits, dim=-1)
            idx_next = torch.multinomial(probs, num_samples=1)
            idx = torch.cat((idx, idx_next), dim=1)
        return idx
"""
FUNCTION = """
import torch
def generate(model, idx, max_new_tokens, context_size, temperature=0.0, top_k=None, eos_id=None):
    for _ in range(max_new_tokens):
        logits = model(idx[:, -context_size:])[:, -1, :]
        if top_k is not None:
            top_logits, _ = torch.topk(logits, top_k)
            logits = torch.where(logits < top_logits[:, [-1]], torch.tensor(float("-inf")), logits)
        if temperature > 0.0:
            idx_next = torch.multinomial(torch.softmax(logits / temperature, dim=-1), num_samples=1)
        else:
            idx_next = torch.argmax(logits, dim=-1, keepdim=True)
        idx = torch.cat((idx, idx_next), dim=1)
        if eos_id is not None and bool((idx_next == eos_id).all()):
            break
    return idx
"""


def judged(text: str, folder: Path):
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    inspection = inspect_implementation(str(path), cases=6)
    claims = inspection.catalogue.claims_of("generation")
    verdicts = [inspection.judge("generation", claim) for claim in claims]
    return (
        {v.claim for v in verdicts if v.failing},
        {v.claim for v in verdicts if v.status == Status.PASSED},
        {n for v in verdicts for n in v.finding},
    )


def module(method: str) -> str:
    """A published style's model with this method."""
    return (STYLES / "nano.py").read_text(encoding="utf-8") + method


def test_a_method_of_a_model_class_is_found_and_holds(tmp_path: Path) -> None:
    """Nothing is written for it; what it does not take is not asked of it."""
    failing, holds, _ = judged(module(METHOD), tmp_path)
    assert not failing
    assert {"greedy_at_top_k_1", "crops_to_the_context_window", "samples_follow_the_distribution"} <= holds
    assert "stops_at_the_end_token" not in holds


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("idx[:, -self.config.block_size:]", "idx[:, :self.config.block_size]", "cropped_to_the_first"),
        ("logits[:, -1, :] / temperature", "logits[:, -1, :] * temperature", "multiplied_by_the_temperature"),
        (
            "idx_next), dim=1)\n        return",
            "idx_next[:1].expand(len(idx), 1)), dim=1)\n        return",
            "first_row_for_all",
        ),
        ("torch.multinomial(probs, num_samples=1)", "probs.argmax(-1, keepdim=True)", "always_greedy"),
    ],
)
def test_a_mistake_in_a_method_is_named(right: str, wrong: str, name: str, tmp_path: Path) -> None:
    """One edit."""
    assert right in METHOD
    failing, _, names = judged(module(METHOD.replace(right, wrong)), tmp_path)
    assert failing and f"generation.{name}" in names


def test_a_function_that_is_given_a_model_holds(tmp_path: Path) -> None:
    """By the names of its arguments. What a row that ended goes on with, while others are not done, is caught."""
    failing, holds, names = judged(FUNCTION, tmp_path)
    assert failing == {"rows_end_independently"} and not names - {
        "generation.ended_rows_keep_generating",
        "generation.end_token_ignored",
    }
    assert {"greedy_at_temperature_0", "stops_at_the_end_token", "crops_to_the_context_window"} <= holds
