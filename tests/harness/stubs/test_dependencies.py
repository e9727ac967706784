"""Which unfinished part an error or a missing result comes from."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from harness.core.contract import Argument, Contract, Signature
from harness.stubs import dependencies as waiting

THEIRS = """
import torch
from torch import nn

def act(x):
    pass

def log(x):
    pass

def mlp(x):
    h = act(x * 2)
    return h @ x

def passes_on(x):
    return act(x)

def unrelated(x):
    log(x)
    return x.nosuch

def none_of_its_own(x, mask=None):
    return x + mask

class Half(nn.Module):
    def forward(self, x): ...

class WholeModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Half()
        self.many = nn.Sequential(nn.Linear(2, 2), Half())
    def forward(self, x):
        return x + self.inner(x)

class Chain(WholeModel):
    def forward(self, x):
        return 1 + self.many(x)

def build(config):
    return Half()
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    path = Path(tmp_path_factory.mktemp("theirs")) / "theirs_waiting.py"
    path.write_text(THEIRS)
    spec = importlib.util.spec_from_file_location("theirs_waiting", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["theirs_waiting"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["theirs_waiting"]


def behind(call: object, *arguments: object) -> str:
    with pytest.raises((TypeError, AttributeError)) as caught:
        call(*arguments)  # type: ignore[operator]
    return waiting.behind(caught.value)


def test_a_crash_on_none_names_the_part_that_is_to_do(theirs: ModuleType) -> None:
    """With where it stands and why; inside containers of torch's too."""
    x = torch.ones(2, 2)
    assert behind(theirs.mlp, x) == "its act is to do (only `pass`, theirs_waiting.py:5); write that first"
    assert "its inner is to do (Half.forward() is to do: only `...`" in behind(theirs.WholeModel(), x)
    assert "its many is to do" in behind(theirs.Chain(), x)


def test_other_crashes_stay_crashes(theirs: ModuleType) -> None:
    """An error about something else, although a part is to do; and a None of their own."""
    assert behind(theirs.unrelated, torch.ones(1)) == "" and behind(theirs.none_of_its_own, torch.ones(1)) == ""


def test_a_missing_result_is_traced_down(theirs: ModuleType) -> None:
    """Who returns what an unfinished part returns."""
    assert "its act is to do" in waiting.beneath(theirs.passes_on)
    assert waiting.beneath(theirs.none_of_its_own) == ""
    assert waiting.beneath(theirs.mlp, modules=True) == ""


def test_a_factory_of_an_unfinished_class_is_to_do(theirs: ModuleType) -> None:
    """MeasuredOutput without building anything."""
    contract = Contract(
        "half", "A half.", {"call": Signature((Argument("x", "float[...]"),), "float[...]")}, print, print
    )
    assert "Half.forward() is to do" in waiting.as_a_whole(theirs.build, contract)
    assert waiting.as_a_whole(theirs.mlp, contract) == ""


def test_module_classes_that_are_to_do_are_found_by_their_names(tmp_path: Path) -> None:
    """With their reasons, and those that wait for them; what is written beside them is judged."""
    from harness.judging.loading import inspect_implementation

    (tmp_path / "begun.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class LayerNorm(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
        "    def forward(self, x):\n        pass\n"
        "class Block(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
        "        self.ln_1 = LayerNorm(width)\n"
        "    def forward(self, x):\n        return x + self.ln_1(x)\n"
        "class GELU(nn.Module):\n    def forward(self, x):\n"
        "        return torch.nn.functional.gelu(x, approximate='tanh')\n"
    )
    inspection = inspect_implementation(str(tmp_path / "begun.py"))
    assert inspection.begun == ("gelu",)
    offers = {name: inspection.implementation.offers(name) for name in ("layer_norm", "block")}
    assert offers["layer_norm"].to_do == "LayerNorm.forward() is to do: only `pass`"
    assert "its LayerNorm is to do" in offers["block"].to_do and "write that first" in offers["block"].to_do
