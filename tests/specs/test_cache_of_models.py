"""A whole model with a cache must give, chunk by chunk, what it gives for all ids at once."""

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).parents[1] / "styles"
CLAIMS = ("agrees_with_the_reference", "consistent_across_splits", "chunks_are_causal")
LATER = "torch.arange(start + time, device=q.device) > positions[:, None]"
APPENDED = "k, v = torch.cat((past_key_value[0], k), dim=2), torch.cat((past_key_value[1], v), dim=2)"
EXCHANGED = "k, v = torch.cat((past_key_value[0], k), dim=2), torch.cat((v, past_key_value[1]), dim=2)"
CACHE = "self.cache_k[:bsz, start_pos : start_pos + seqlen] = xk"


def judged(style: str, right: str, wrong: str, folder: Path, *more: str) -> dict[str, Status]:
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    assert right in text
    (folder / "mine.py").write_text(text.replace(right, wrong) if right else text, encoding="utf-8")
    inspection = inspect_implementation(str(folder / "mine.py"), cases=4)
    chosen = [c for c in inspection.catalogue.claims_of("kv_cache") if c.name in (*CLAIMS, *more)]
    contract = inspection.catalogue.contracts["kv_cache"]
    return {claim.name: inspection.bench.judge(contract, claim, shrink=False)[0].status for claim in chosen}


@pytest.mark.parametrize(
    ("style", "right", "wrong"),
    [
        ("llama_past", "", ""),
        ("llama_meta", "", ""),
        ("llama_past", "self.size**0.5", "self.size"),  # a mistake in the model, which is told there
        ("llama_past", "self.norm(hidden_states)", "hidden_states"),
    ],
)
def test_a_right_cache_passes_whatever_the_model_computes(style: str, right: str, wrong: str, tmp_path: Path) -> None:
    """One that is handed back and forth, and one that the model keeps."""
    assert set(judged(style, right, wrong, tmp_path).values()) == {Status.PASSED}


@pytest.mark.parametrize(
    ("style", "right", "wrong"),
    [
        ("llama_past", "rotated(k, positions, self.base)", "rotated(k, positions - start, self.base)"),
        ("llama_past", APPENDED, EXCHANGED),
        ("llama_meta", "[start_pos : start_pos + seqlen]\n", "[:seqlen]\n"),
        ("llama_meta", CACHE, CACHE.replace("start_pos : start_pos + seqlen", ":seqlen")),
    ],
)  # fmt: skip
def test_a_wrong_cache_fails(style: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Positions that start anew, what was cached last put first, rows exchanged."""
    found = judged(style, right, wrong, tmp_path)
    assert Status.FAILED in found.values() or Status.CRASHED in found.values()


@pytest.mark.parametrize(
    ("style", "right", "wrong"),
    [
        ("llama_past", LATER, "torch.zeros(time, start + time, dtype=torch.bool)"),
        ("llama_past", "present if use_cache else None", "None"),
    ],
)
def test_what_no_cache_can_give_is_not_judged(style: str, right: str, wrong: str, tmp_path: Path) -> None:
    """A model that is not causal, and one that takes a cache and gives none."""
    found = judged(style, right, wrong, tmp_path)
    assert found and set(found.values()) <= {Status.NOT_CHECKED, Status.NOT_APPLICABLE, Status.BARELY_CHECKED}


def test_a_slip_in_the_first_call_is_a_crash(tmp_path: Path) -> None:
    """No cache that it is given can be the reason for a name that does not exist."""
    found = judged("llama_past", "present if use_cache else None", "presents if use_cache else None", tmp_path)
    assert set(found.values()) == {Status.CRASHED}


def test_a_model_that_refuses_float64_is_judged_in_float32(tmp_path: Path) -> None:
    """Its first call raises there."""
    right, single = "self.lm_head(self.norm(hidden_states))", "self.lm_head(self.norm(hidden_states).float())"
    found = judged("llama_past", right, single, tmp_path)
    assert set(found.values()) == {Status.PASSED}
