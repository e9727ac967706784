"""WholeModel models as their constructors leave them, for components that are about how a model is made and used."""

from pathlib import Path

import pytest
import torch
from torch import nn

from harness.core.claim import NotSupported
from harness.core.declaration import Declaration
from harness.core.values import Settings
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation
from harness.modules.adapter import ModuleAdapter
from harness.modules.whole_model import ModelBuilder, with_whole_model
from reference_model import Config, gpt2, initialise

KNOWN = load_catalogue()
STYLES = Path(__file__).parents[2] / "styles"
SIZES = {"vocab_size": 11, "context": 9, "width": 12, "heads": 3, "layers": 2, "norm_eps": 1e-5}
CONFIG = Settings(**SIZES)
LIKE = initialise(Config(**SIZES), torch.Generator().manual_seed(1), torch.float64)
IDS = torch.tensor([[1, 5, 5, 0], [10, 2, 3, 4]])


def making(style: str) -> ModelBuilder:
    adapter = inspect_implementation(str(STYLES / f"{style}.py"), cases=4).implementation.adapters["gpt2"]
    assert isinstance(adapter, ModuleAdapter)
    return ModelBuilder(adapter)


@pytest.mark.parametrize("style", ["nano", "lens", "lecture", "encoder"])
def test_weights_go_in_and_come_out(style):
    """Fused or apart, turned, per head: what was loaded is read back, and computed with."""
    built = making(style)(CONFIG, dtype=torch.float64)
    built.load(LIKE)
    built.module.eval()
    torch.testing.assert_close(built(IDS), gpt2(IDS, built.weights(LIKE), CONFIG))
    found = built.weights(LIKE)
    assert torch.equal(found["token_embedding"], LIKE["token_embedding"])
    for ours, theirs in zip(LIKE["blocks"], found["blocks"], strict=True):
        assert all(theirs[name] is None or torch.equal(theirs[name], value) for name, value in ours.items())


def test_what_a_module_lacks_is_none():
    """The lecture's has no bias at q, k and v."""
    found = making("lecture")(CONFIG).weights(LIKE)
    assert found["blocks"][0]["qkv_bias"] is None and found["blocks"][0]["out_bias"] is not None


def test_names_of_a_tensor_with_all_its_uses():
    """One parameter under two names, or two parameters that are given the same."""
    assert making("nano")(CONFIG).names_of(LIKE, "token_embedding") == ["transformer.wte.weight", "lm_head.weight"]
    assert making("book")(CONFIG).names_of(LIKE, "token_embedding") == ["tok_emb.weight", "out_head.weight"]


def test_a_seed_is_one_model():
    """And another seed another one."""
    make = making("nano")
    one, same, other = (make(CONFIG, seed=seed).weights(LIKE)["token_embedding"] for seed in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert make(CONFIG, seed=3).another().module is not None


def test_a_declared_factory_has_them_too_and_a_function_does_not():
    """They are about objects."""
    adapter = ModuleAdapter(
        Declaration("gpt2", lambda config: lambda ids, weights, config: None), KNOWN.contracts["gpt2"]
    )
    with pytest.raises(NotSupported, match="function"):
        ModelBuilder(adapter)(CONFIG)


def test_a_class_without_the_method_does_not_have_the_component():
    """``method`` says what it takes."""
    wanted = {name: c for name, c in KNOWN.contracts.items() if c.whole is not None and c.whole.method}
    assert wanted
    adapter = making("nano").adapter
    assert not set(with_whole_model({"gpt2": adapter}, KNOWN.contracts)) & set(wanted)

    class Speaking(nn.Module):
        def generate(self, ids, max_new_tokens):
            return ids

    adapter.source = Speaking
    assert set(wanted) <= set(with_whole_model({"gpt2": adapter}, KNOWN.contracts))
