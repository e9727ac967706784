"""Code of the implementation runs in one place: under :func:`harness.execution.call.invoke`, and nowhere else.

The implementation of this test looks at the stack whenever a line of it runs, and writes down whether the executor is
on it: while it is imported, searched, built, probed, judged, timed and replayed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import cli
from harness.core.claim import Claim
from harness.core.record import Status
from harness.execution import call
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.training import inspect_script

RECORD = "plumbline_test_record"
"""Name of the module in which the implementation writes down its calls."""

IMPLEMENTATION = f"""
import math, sys
import numpy as np, torch
from torch import nn
from torch.nn import functional as F
from plumbline import implements
from {RECORD} import ran
ran("import")

def gelu(x):
    ran("function")
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

def gelu_backward(grad_out, x):
    ran("backward function")
    c = math.sqrt(2 / math.pi)
    t = torch.tanh(c * (x + 0.044715 * x**3))
    return grad_out * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2))

def softmax(x: np.ndarray) -> np.ndarray:
    ran("function on arrays")
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

def linear(x, w, b):
    ran("dialect")
    return x @ w + b

class Watched(nn.Module):
    def __init__(self):
        ran("constructor")
        super().__init__()
    def __call__(self, *given, **options):
        ran("call")
        return super().__call__(*given, **options)

@implements("rms_norm", output=lambda out: (ran("output function"), out.y)[1])
def build(config):
    ran("factory")
    return Norm(config.width, config.eps)

class Result:
    def __init__(self, y):
        self._y = y
    @property
    def y(self):
        ran("property")
        return self._y

class Norm(Watched):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps
    def forward(self, x):
        ran("forward of a factory's module")
        return Result(x * (x.pow(2).mean(-1, keepdim=True) + self.eps).rsqrt() * self.weight)

class Attention(Watched):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
    def forward(self, x, mask):
        ran("forward of a part called in place")
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.n_head, -1).transpose(1, 2) for z in self.c_attn(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.c_proj(y.transpose(1, 2).reshape(b, t, d))

class Block(Watched):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(n_embd), Attention(n_embd, n_head), nn.LayerNorm(n_embd)
        self.up, self.down = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)
    def forward(self, x):
        ran("forward of a part")
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))

class GPT(Watched):
    def __init__(self, vocab_size, block_size, n_embd, n_head, n_layer):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
    def forward(self, ids):
        ran("forward of a model")
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T
"""

TRAINING = """
import sys, torch
from torch import nn
ran = sys.modules["RECORD"].ran

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.out = nn.Embedding(7, 8), nn.Linear(8, 7)
    def forward(self, x):
        ran("forward of a trained model")
        return self.out(self.tok(x))

model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    ran("statement of a script")
    x = torch.randint(7, (2, 5))
    loss = nn.functional.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""".replace("RECORD", RECORD)

KINDS = {
    "import",
    "function",
    "backward function",
    "function on arrays",
    "dialect",
    "factory",
    "constructor",
    "call",
    "output function",
    "property",
    "forward of a factory's module",
    "forward of a part",
    "forward of a part called in place",
    "forward of a model",
}
JUDGED = ("gelu", "softmax", "linear", "rms_norm", "attention", "block", "gpt2", "weight_tying")


class Record:
    """Which kinds of calls were made under the executor, and which were not, with the place they came from."""

    def __init__(self) -> None:
        self.under: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()

    def ran(self, kind: str) -> None:
        frame, caller = sys._getframe(1), ""
        while frame is not None:
            if frame.f_code is call.invoke.__code__:
                self.under[kind] += 1
                return
            if not caller and "/harness/" in frame.f_code.co_filename:
                caller = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            frame = frame.f_back  # type: ignore[assignment]
        self.outside[f"{kind}, called from {caller}"] += 1


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """Where the implementation writes down its calls."""
    made = Record()
    monkeypatch.setitem(sys.modules, RECORD, made)  # type: ignore[arg-type]
    return made


@pytest.fixture
def impl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record) -> Iterator[str]:
    """The implementation's file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "watched.py").write_text(IMPLEMENTATION)
    yield "./watched.py"
    for name in [n for n in sys.modules if n.startswith("_plumbline_watched")]:
        del sys.modules[name]


def claims(inspection: Inspection, component: str) -> list[Claim]:
    """Those that call the implementation in different ways: outputs, gradients, copies, modes, precisions."""
    found = inspection.catalogue.claims_of(component)
    return found if component in ("gelu", "softmax", "linear", "rms_norm") else found[::4]


def test_discovery_and_judging_run_it_through_the_executor(impl: str, record: Record) -> None:
    """Every kind of code that an implementation can have was called, and each time the executor was on the stack."""
    inspection = inspect_implementation(impl, cases=2)
    assert set(JUDGED) <= set(inspection.implementation.components)
    for component in JUDGED:
        assert inspection.implementation.offers(component) is not None
        for claim in claims(inspection, component):
            inspection.judge(component, claim)
    assert not record.outside
    assert set(record.under) == KINDS


def test_doctor_runs_it_through_the_executor(impl: str, record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    """What it shows of modules comes from trial calls."""
    assert cli.main(["doctor", impl]) == 0
    assert "forward of a model" in record.under and "factory" in record.under
    assert not record.outside


def test_timing_runs_it_through_the_executor(impl: str, record: Record) -> None:
    """Preparing, the calls that are timed, and the look at what they returned."""
    inspection = inspect_implementation(impl)
    for component in ("gelu", "softmax", "block"):
        before = record.under.total()
        for workload in inspection.catalogue.contracts[component].workloads:
            inspection.timed(component, workload, seconds=0.02, axes=False)
        assert record.under.total() > before, component
    assert not record.outside


def test_a_replay_runs_it_through_the_executor(impl: str, record: Record) -> None:
    """A saved case, judged once more by a run of its own: the first keeps its answers."""
    first, inspection = inspect_implementation(impl, cases=2), inspect_implementation(impl, cases=2)
    claim = inspection.catalogue.claims_of("gelu")[0]
    case = first.bench.cases_of(first.catalogue.contracts["gelu"])[0]
    before = record.under["function"]
    assert inspection.judge_case("gelu", claim, case).status is Status.PASSED
    assert record.under["function"] > before and not record.outside


def test_a_training_script_runs_through_the_executor(tmp_path: Path, record: Record) -> None:
    """Its statements, its model, and what a hook of torch calls again."""
    file = tmp_path / "train.py"
    file.write_text(TRAINING)
    result = inspect_script(file, steps=2)
    assert result.steps == 2 and result.crash is None
    assert set(record.under) == {"statement of a script", "forward of a trained model"}
    assert not record.outside


def test_a_call_from_elsewhere_would_be_noticed(impl: str, record: Record) -> None:
    """The same functions, called directly."""
    inspection: Any = inspect_implementation(impl, cases=2)
    adapters = inspection.implementation.adapters
    assert not record.outside
    adapters["gelu"].source(torch.zeros(2))
    adapters["gpt2"].source(7, 8, 4, 2, 1)(torch.zeros(1, 3, dtype=torch.long))
    noticed = " ".join(record.outside)
    assert all(kind in noticed for kind in ("function", "constructor", "call", "forward of a model"))
