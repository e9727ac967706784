"""Somebody's constructor is given sizes by the names it uses for them, and nothing else is guessed."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from torch import nn

from harness.modules.construction import construct, global_sizes, globals_set
from harness.modules.size_names import CannotBuild, Namespace, Sizes
from specs.naming.sizes import SIZES

VALUES = {
    "width": 12,
    "heads": 3,
    "layers": 2,
    "context": 16,
    "vocab_size": 50,
    "hidden": 40,
    "head_size": 4,
    "ratio": 4,
    "eps": 1e-6,
}


def sizes(read: list[str] | None = None) -> Sizes:
    return Sizes(VALUES, SIZES, read.append if read is not None else lambda _: None)


class Kept(nn.Module):
    """Keeps what it was built with."""

    def __init__(self, **given):
        super().__init__()
        self.given = given


class Lecture(Kept):
    def __init__(self, vocab_size, n_embd, n_head, n_layer, block_size, dropout):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})


class Papers(Kept):
    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, bias: bool = False, h: float = 0.5):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})


class Hidden(Kept):
    def __init__(self, d_model, hidden_dim):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})


class OnlyHidden(Kept):
    def __init__(self, hidden_size):
        super().__init__(hidden_size=hidden_size)


class Strange(Kept):
    def __init__(self, d_model, flavour):
        super().__init__()


def given(kind: type, namespace: dict | None = None) -> dict:
    return construct(kind, sizes(), namespace or {}).given


def test_sizes_go_where_their_names_stand():
    """Dropout is off, biases are on, what has a default and no known name keeps it."""
    assert given(Lecture) == {
        "vocab_size": 50,
        "n_embd": 12,
        "n_head": 3,
        "n_layer": 2,
        "block_size": 16,
        "dropout": 0.0,
    }
    assert given(Papers) == {"d_model": 12, "nhead": 3, "dim_feedforward": 40, "bias": True, "h": 0.5}


def test_a_name_of_two_sizes_is_read_beside_the_others():
    """``hidden_dim`` is the hidden size where the width has a name of its own, and the width where it has none."""
    assert given(Hidden) == {"d_model": 12, "hidden_dim": 40}
    assert given(OnlyHidden) == {"hidden_size": 12}


def test_what_is_read_is_told():
    """A size that nobody asked for is not offered."""
    read: list[str] = []
    construct(Papers, sizes(read), {})
    assert set(read) == {"width", "heads", "hidden"}


def test_an_argument_of_unknown_meaning_is_named():
    with pytest.raises(CannotBuild, match=r"needs 'flavour'.*def build"):
        construct(Strange, sizes(), {})


# configurations ------------------------------------------------------------------------------------------------------


@dataclass
class GPTConfig:
    n_embd: int = 768
    n_head: int = 12
    n_layer: int = 12
    block_size: int = 1024
    vocab_size: int = 50304
    dropout: float = 0.1
    bias: bool = False
    beta: float = 0.9
    made: int = field(init=False, default=0)

    def __post_init__(self):
        self.made = self.n_embd // self.n_head


class Annotated(Kept):
    def __init__(self, settings_of_mine: GPTConfig):
        super().__init__(config=settings_of_mine)


class Plain(Kept):
    def __init__(self, config):
        super().__init__(config=config)


class GPT(Plain):
    """A configuration class is found by its name."""


class WithDefaults(Plain):
    @staticmethod
    def get_default_config():
        return SimpleNamespace(n_embd=None, n_head=None, model_type="gpt2", resid_pdrop=0.1, other=7)


class Preset(Plain):
    config_class = GPTConfig


@pytest.mark.parametrize(("kind", "namespace"), [(Annotated, {}), (GPT, {"GPTConfig": GPTConfig}), (Preset, {})])
def test_a_configuration_class_is_filled(kind, namespace):
    """By annotation, by its name in the module, or by ``config_class``; what follows from the sizes is worked out."""
    config = given(kind, namespace)["config"]
    assert isinstance(config, GPTConfig)
    assert (config.n_embd, config.n_head, config.made, config.dropout, config.bias, config.beta) == (
        12,
        3,
        4,
        0.0,
        True,
        0.9,
    )


def test_a_default_configuration_is_filled():
    """A preset is switched off, for sizes are given."""
    config = given(WithDefaults)["config"]
    assert (config.n_embd, config.n_head, config.model_type, config.resid_pdrop, config.other) == (12, 3, None, 0.0, 7)


def test_a_dictionary_of_the_module_is_filled_as_a_copy():
    book = {"emb_dim": 768, "n_heads": 12, "qkv_bias": False, "drop_rate": 0.1, "name": "small"}
    config = given(Plain, {"GPT_CONFIG_124M": book})["config"]
    assert config == {"emb_dim": 12, "n_heads": 3, "qkv_bias": True, "drop_rate": 0.0, "name": "small"}
    assert book["emb_dim"] == 768


def test_without_any_it_answers_to_every_usual_name():
    config = given(Plain)["config"]
    assert isinstance(config, Namespace)
    assert (config.n_embd, config["d_model"], config.get("num_heads"), config.get("flavour", 5)) == (12, 12, 3, 5)
    assert config.dropout == 0.0 and "n_layers" in config and "flavour" not in config
    config.extra = 3
    assert config.extra == 3
    with pytest.raises(AttributeError, match=r"flavour.*@implements"):
        _ = config.flavour
    with pytest.raises(KeyError, match="flavour"):
        _ = config["flavour"]


# globals -------------------------------------------------------------------------------------------------------------


def test_sizes_that_are_globals_are_found_and_set_for_a_moment():
    module = types.ModuleType("_lecture_of_a_test")
    source = (
        "from torch import nn\nn_embd = 384\ndropout = 0.2\nlearning_rate = 3e-4\nunread_n_head = 6\n"
        "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.width, self.dropout, self.rate = n_embd, dropout, learning_rate\n"
    )
    sys.modules[module.__name__] = module
    try:
        exec(source, module.__dict__)
        names = global_sizes(module.Model, sizes())
        assert names == ("dropout", "n_embd")
        with globals_set(module.__name__, {"n_embd": 12, "dropout": 0.0}):
            made = module.Model()
        assert (made.width, made.dropout, made.rate, module.n_embd) == (12, 0.0, 3e-4, 384)
    finally:
        del sys.modules[module.__name__]
