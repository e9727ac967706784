"""reference_model/config.py: sizes and their cost."""

import pytest
import torch

from reference_model import GPT2_LARGE, GPT2_MEDIUM, GPT2_SMALL, GPT2_XL, Config, initialise, parameter_count

PRESETS = {"small": GPT2_SMALL, "medium": GPT2_MEDIUM, "large": GPT2_LARGE, "xl": GPT2_XL}
PUBLISHED = {"small": 124_439_808, "medium": 354_823_168, "large": 774_030_080, "xl": 1_557_611_200}


@pytest.mark.parametrize("name", PRESETS)
def test_counts_the_parameters_of_the_published_models(name):
    """The closed formula gives the parameter counts of the four released models."""
    assert parameter_count(PRESETS[name]) == PUBLISHED[name]


@pytest.mark.parametrize("name", PRESETS)
def test_counts_what_transformers_counts(name):
    """A GPT2LMHeadModel of the same sizes, built without memory, has as many parameters."""
    transformers = pytest.importorskip("transformers")
    config = PRESETS[name]
    theirs = transformers.GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.context,
        n_embd=config.width,
        n_head=config.heads,
        n_layer=config.layers,
    )
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(theirs)
    model.tie_weights()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameter_count(config)


def test_counts_what_initialise_makes():
    """The formula is the sum over the tensors of a model whose sizes all differ."""
    config = Config(vocab_size=31, context=7, width=12, heads=3, layers=2)
    weights = initialise(config)
    blocks = [tensor for block in weights.pop("blocks") for tensor in block.values()]
    assert sum(tensor.numel() for tensor in [*weights.values(), *blocks]) == parameter_count(config)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"width": 770}, ValueError, "width 770 is not divisible by heads 12"),
        ({"layers": 0}, ValueError, "layers must be at least 1, not 0"),
        ({"vocab_size": -5}, ValueError, "vocab_size must be at least 1, not -5"),
        ({"context": 10.0}, TypeError, "context must be an int, not 10.0"),
        ({"heads": True}, TypeError, "heads must be an int, not True"),
        ({"norm_eps": 0.0}, ValueError, "norm_eps must be positive and finite, not 0.0"),
        ({"norm_eps": float("nan")}, ValueError, "norm_eps must be positive and finite, not nan"),
    ],
)
def test_refuses_impossible_sizes_by_name(changes, error, message):
    """The message names the size and its value."""
    with pytest.raises(error, match=message):
        Config(**changes)


def test_cannot_be_changed():
    """A config is a value."""
    with pytest.raises(AttributeError):
        GPT2_SMALL.width = 1
