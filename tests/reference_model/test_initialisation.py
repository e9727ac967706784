"""reference_model/initialisation.py: what is drawn, and the first loss of GPT-2 small's relatives."""

import math

import pytest
import torch

from reference_model import Config, initialisation


@pytest.mark.parametrize("layers", [1, 6])
def test_standard_deviations(layers):
    """Of 100,000 numbers and more, within 1 %."""
    weights = initialisation(Config(vocab_size=400, context=300, width=256, heads=4, layers=layers), 3).weights()
    less = 0.02 / math.sqrt(2 * layers)
    expected = {"qkv_weight": 0.02, "out_weight": less, "up_weight": 0.02, "down_weight": less}
    for block in weights["blocks"]:
        assert {n: float(block[n].std()) for n in expected} == pytest.approx(expected, rel=0.02)
        assert not any(block[n].any() for n in block if n.endswith("bias"))
    assert float(weights["token_embedding"].std()) == pytest.approx(0.02, rel=0.02)
    assert float(weights["position_embedding"].std()) == pytest.approx(0.01, rel=0.02)


def test_a_seed_is_a_model_and_the_global_generator_is_left_alone():
    """The same twice, another with another seed."""
    config = Config(vocab_size=10, context=4, width=8, heads=2, layers=1)
    before = torch.get_rng_state()
    one, same, other = (initialisation(config, seed).weights()["token_embedding"] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_first_loss():
    """ln V."""
    model = initialisation(Config(vocab_size=500, context=32, width=64, heads=4, layers=3), 0)
    ids = torch.randint(0, 500, (16, 32), generator=torch.Generator().manual_seed(1))
    loss = torch.nn.functional.cross_entropy(model.logits(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert float(loss) == pytest.approx(math.log(500), abs=0.1)
