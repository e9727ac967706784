"""Optimisers as people write them are judged with nothing written for it; what they keep is measured."""

from __future__ import annotations

import textwrap

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
COURSE = """
import math
import torch

class NAME(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, betas=betas, eps=eps))

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                t = state.get("t", 1)
                m = group["betas"][0] * state.get("m", 0) + (1 - group["betas"][0]) * p.grad
                v = group["betas"][1] * state.get("v", 0) + (1 - group["betas"][1]) * p.grad**2
                m_hat, v_hat = m / (1 - group["betas"][0]**t), v / (1 - group["betas"][1]**t)
                p.data -= group["lr"] * group["weight_decay"] * p.data
                p.data -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])
                state["t"], state["m"], state["v"] = t + 1, m, v
"""


def judged(text: str, component: str = "adamw", cases: int = 4) -> dict[str, str]:
    found = discover(text, KNOWN.contracts)
    executor = Executor(found.name, found.adapters, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=1, cases=cases)
    bench, contract = inspection.bench, KNOWN.contracts[component]
    return {claim.name: bench.judge(contract, claim, shrink=False)[0].status for claim in KNOWN.claims_of(component)}


def held(verdicts: dict[str, str]) -> bool:
    """Everything, but for a deep copy, which torch makes of the state_dict alone, and for short decays, which it rounds
    away in bfloat16 as it does short steps."""
    return {name for name, status in verdicts.items() if status != Status.PASSED} == {
        "deepcopy_and_state_dict_round_trip",
        "short_decays_arrive_in_bfloat16",
    }


@pytest.mark.parametrize(
    ("source", "which"),
    [
        (COURSE.replace("NAME", "AdamW"), ""),
        (COURSE.replace("NAME", "AdamW"), ":AdamW"),
        (COURSE.replace("NAME", "Mine") + "\nadamw = Mine\n", ""),
        (COURSE.replace("NAME", "Mine") + "\nfrom plumbline import implements\nimplements('adamw')(Mine)\n", ""),
        (COURSE.replace("NAME", "Mine") + "\ndef get_adamw_cls():\n    return Mine\n", ""),
        ("import torch\nAdamW = torch.optim.AdamW\n", ""),
    ],
    ids=["class", "named class", "alias", "decorated", "cs336", "torch"],
)
def test_a_class_of_torch_s_form_is_judged_as_it_is(tmp_path, source, which):
    """Under its usual name, named, renamed in one line, decorated, or behind CS336's function."""
    file = tmp_path / "mine.py"
    file.write_text(textwrap.dedent(source))
    assert held(judged(f"{file}{which}"))


def test_torch_s_own_needs_no_file():
    assert held(judged("torch.optim:AdamW", cases=2))


def test_what_a_plain_class_has_no_place_for_is_not_offered(tmp_path):
    """No groups, no eps, no saved state: the rest is judged."""
    file = tmp_path / "mine.py"
    file.write_text(
        textwrap.dedent("""
        import torch
        class AdamW:
            def __init__(self, params, lr, b1=0.9, b2=0.999, wd=0.0):
                self.params, self.lr, self.b1, self.b2, self.wd = params, lr, b1, b2, wd
                self.s = [[0, torch.zeros_like(p), torch.zeros_like(p)] for p in params]
            @torch.no_grad()
            def step(self):
                for p, s in zip(self.params, self.s):
                    if p.grad is not None:
                        s[0] += 1
                        s[1] = self.b1 * s[1] + (1 - self.b1) * p.grad
                        s[2] = self.b2 * s[2] + (1 - self.b2) * p.grad ** 2
                        root = (s[2] / (1 - self.b2 ** s[0])).sqrt() + 1e-8
                        p -= self.lr * (s[1] / (1 - self.b1 ** s[0]) / root + self.wd * p)
        """)
    )
    verdicts = judged(str(file), cases=12)
    absent = {name for name, status in verdicts.items() if status == Status.NOT_APPLICABLE}
    assert {"groups_keep_their_own_settings", "resuming_changes_nothing"} <= absent
    assert (
        set(verdicts.values()) == {Status.PASSED, Status.NOT_APPLICABLE}
        and verdicts["agrees_with_the_reference"] == Status.PASSED
    )


def test_a_class_that_is_not_written_is_to_do(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(COURSE.replace("NAME", "AdamW").partition("for group")[0] + "raise NotImplementedError\n")
    assert set(judged(str(file), cases=2).values()) == {Status.TO_DO}


@pytest.mark.parametrize(
    ("component", "facts"),
    [
        ("adamw", {"state_bytes": ("takes 8 bytes", 8.0)}),
        ("adamw_8bit", {"state_bytes": ("takes 2.03 bytes", 2.03125), "memory_saved": ("74.6 % less", 74.609375)}),
    ],
)
def test_what_is_kept_is_measured(component, facts):
    """Two moments of four bytes each, or of one byte with a scale of four for every 256."""
    inspection = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=0)
    contract = KNOWN.contracts[component]
    found = {measure.name: inspection.bench.measure(contract, measure) for measure in contract.measures}
    assert {name: fact.value for name, fact in found.items()} == {name: value for name, (_, value) in facts.items()}
    assert all(text in found[name].sentence for name, (text, _) in facts.items())


def test_gradients_of_a_class_are_laid_out_as_backward_does(tmp_path):
    """Like their parameters: torch's fused form reads both in the order of memory, and is right."""
    file = tmp_path / "mine.py"
    file.write_text(
        textwrap.dedent("""
        import torch
        class AdamW(torch.optim.AdamW):
            def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
                super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)
        """)
    )
    assert judged(str(file))["stored_transposed_moves_the_same"] == Status.PASSED
