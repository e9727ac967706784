"""Code that never ends while it is imported, built or called for the first time is reported in seconds.

The rest of the implementation is found and judged all the same.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from harness.core.errors import ImportFailed
from harness.core.implementation import Answer, CrashKind, Request
from harness.core.record import Status
from harness.discovery import importing
from harness.discovery.search import Found, discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation
from harness.modules import probing
from harness.modules.probing import probe_seconds
from harness.modules.telling_cases import telling_cases

CONTRACTS = load_catalogue().contracts
LIMIT = 10.0
"""Processor seconds for one case. What comes after the trial calls must take far less."""
AT_ONCE = 2.0

MODEL = """\
import torch
from torch import nn
class Attention(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = (t.view(batch, time, self.n_head, -1).transpose(1, 2) for t in self.c_attn(x).chunk(3, -1))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, time, width))
class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(n_embd), Attention(n_embd, n_head), nn.LayerNorm(n_embd)
        self.up, self.down = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)
    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.down(nn.functional.gelu(self.up(self.ln_2(x)), approximate="tanh"))
class GPT(nn.Module):
    def __init__(self, vocab_size, block_size, n_embd, n_head, n_layer):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T
"""
ENDLESS = "while True: pass"


@pytest.fixture(autouse=True)
def short_trial_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second each."""
    monkeypatch.setattr(probing, "LEAST_SECONDS", 0.5)


def found(folder: Path, text: str) -> tuple[Found, Executor, float]:
    """What is discovered in a file, its executor, and the processor seconds that it took."""
    path = folder / "model.py"
    path.write_text(text)
    start = time.process_time()
    implementation = discover(str(path), CONTRACTS, LIMIT)
    seconds = time.process_time() - start
    return implementation, Executor("it", implementation.adapters, CONTRACTS, time_limit=LIMIT), seconds


def with_line(before: str, line: str = ENDLESS) -> str:
    """The model with a line put before another one."""
    assert MODEL.count(before) == 1
    indent = before[: len(before) - len(before.lstrip())]
    return MODEL.replace(before, f"{indent}{line}\n{before}")


def run(executor: Executor, component: str) -> tuple[Answer, float]:
    """The answer to the first case that the component supports, and the processor seconds for all up to that one."""
    start = time.process_time()
    for case in telling_cases(CONTRACTS[component]):
        answer = executor.run(Request(component, case))
        if answer.crash is None or answer.crash.kind is not CrashKind.NOT_SUPPORTED:
            break
    return answer, time.process_time() - start


ENDLESS_FORWARD = with_line("        return self.ln_f(x)")


def test_a_model_whose_forward_never_ends_is_reported_in_seconds(tmp_path: Path) -> None:
    """With its class, the line, and what to do; no case waits for it again."""
    _, executor, seconds = found(tmp_path, ENDLESS_FORWARD)
    assert seconds < LIMIT
    answer, wait = run(executor, "gpt2")
    crash = answer.crash
    assert crash.kind is CrashKind.TIMED_OUT and wait < AT_ONCE
    line = next(i for i, text in enumerate(ENDLESS_FORWARD.splitlines(), 1) if ENDLESS in text)
    assert "calling GPT (model.py:21) took more than 0.5 s" in crash.message and "--impl-timeout" in crash.message
    assert f"model.py:{line}" in crash.frames[-1]
    assert any(f"interrupted at model.py:{line}" in note for note in executor.offers("gpt2").notes)


def test_its_parts_are_found_and_judged_all_the_same(tmp_path: Path) -> None:
    """What the model called before the loop was seen."""
    _, executor, _ = found(tmp_path, ENDLESS_FORWARD)
    for component in ("token_embedding", "learned_positions", "layer_norm", "attention", "block"):
        answer, _ = run(executor, component)
        assert answer.crash is None, (component, answer.crash)


def test_every_claim_of_such_a_model_is_answered_at_once(tmp_path: Path) -> None:
    """Not one time limit for each of them; neither for what is run on the whole model."""
    (tmp_path / "model.py").write_text(ENDLESS_FORWARD)
    inspection = inspect_implementation(str(tmp_path / "model.py"), cases=3, time_limit=LIMIT)
    start = time.process_time()
    for component in ("gpt2", "weight_tying"):
        claims = inspection.catalogue.claims_of(component)
        verdicts = [inspection.judge(component, claim) for claim in claims]
        assert any(verdict.status is Status.TIMED_OUT for verdict in verdicts)
    assert time.process_time() - start < LIMIT


def test_a_part_whose_forward_never_ends_takes_its_model_along(tmp_path: Path) -> None:
    """Each is reported, the others are judged."""
    _, executor, seconds = found(tmp_path, with_line("        batch, time, width = x.shape"))
    assert seconds < 2 * LIMIT
    for component in ("attention", "block", "gpt2"):
        answer, wait = run(executor, component)
        assert answer.crash.kind is CrashKind.TIMED_OUT and wait < AT_ONCE, component
    assert run(executor, "layer_norm")[0].crash is None


def test_a_constructor_that_never_ends_is_reported(tmp_path: Path) -> None:
    """Its class is the model, by its name; the other classes are tried by themselves."""
    _, executor, seconds = found(tmp_path, with_line("        self.wte, self.wpe = "))
    assert seconds < LIMIT
    crash = run(executor, "gpt2")[0].crash
    assert crash.kind is CrashKind.TIMED_OUT and "building GPT (model.py:21) took more than 0.5 s" in crash.message
    assert run(executor, "attention")[0].crash is None


def test_a_nameless_constructor_that_never_ends_is_tried_once(tmp_path: Path) -> None:
    """It may be anything, and is none of the components."""
    text = f"{MODEL}class Thing(nn.Module):\n    def __init__(self, n_embd):\n        {ENDLESS}\n"
    implementation, _, seconds = found(tmp_path, text)
    assert seconds < LIMIT and "gpt2" in implementation.adapters


def test_a_declared_factory_that_never_ends_is_reported(tmp_path: Path) -> None:
    """It is built when it is first asked for."""
    text = f"from plumbline import implements\n@implements('layer_norm')\ndef build(config):\n    {ENDLESS}\n"
    _, executor, _ = found(tmp_path, text)
    assert "building build (model.py:2)" in executor.offers("layer_norm").notes[-1]
    answer, wait = run(executor, "layer_norm")
    assert answer.crash.kind is CrashKind.TIMED_OUT and wait < AT_ONCE


def test_an_import_that_never_ends_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line, and where such code belongs."""
    monkeypatch.setattr(importing, "LEAST_SECONDS", 0.2)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "model.py").write_text(f"import torch\n{ENDLESS}\n")
    with pytest.raises(ImportFailed) as refused:
        discover(str(tmp_path / "model.py"), CONTRACTS, 0.3)
    message = str(refused.value)
    assert "importing model.py took more than 0.2 s of processor time" in message and "line 2" in message
    assert '__name__ == "__main__"' in message and "time_limit.py" not in message


def test_no_limit_is_no_limit() -> None:
    """``--impl-timeout=0`` is for debuggers."""
    assert importing.import_seconds(0.0) == 0.0 and probe_seconds(0.0) == 0.0


def test_a_trial_call_takes_a_small_part_of_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds by default; never more than a case may take."""
    monkeypatch.undo()
    assert probe_seconds(60.0) == 3.0 and probe_seconds(10.0) == 2.0 and probe_seconds(0.5) == 0.5
