"""reference_model/weight_tying.py: one tensor, whatever is done to the model."""

import torch

from reference_model import Config, weight_tying

CONFIG = Config(vocab_size=11, context=6, width=4, heads=1, layers=1)
IDS, TARGETS = torch.tensor([[1, 5, 5], [0, 10, 2]]), torch.tensor([[5, 5, 0], [10, 2, 1]])


def test_one_parameter_whatever_is_done():
    """As built, moved, loaded, copied."""
    for change in (
        lambda m: None,
        lambda m: m.cast("float64"),
        weight_tying.reload,
        weight_tying.reload_without_head,
        weight_tying.duplicate,
    ):
        model = weight_tying(CONFIG, 3)
        before = model.logits(IDS)
        change(model)
        assert model.head.weight is model.token_embedding.weight
        assert model.shared() == {"parameters": 1, "memories": 1, "numbers": 11 * 4 + 6 * 4 + 2 * 4}
        torch.testing.assert_close(model.logits(IDS).float(), before)


def test_the_gradient_is_the_sum_of_both_uses():
    """Checked with central differences in one direction, and part by part."""
    model = weight_tying(CONFIG, 3)
    model.cast("float64")
    found = model.gradients(IDS, TARGETS)
    torch.testing.assert_close(found["whole"], found["embedding"] + found["head"])
    assert found["embedding"].abs().max() > 1e-3 and found["head"].abs().max() > 1e-3

    def loss():
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(model(IDS).flatten(0, 1), TARGETS.flatten())

    way = torch.randn(11, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        model.token_embedding.weight += 1e-5 * way
        above = loss()
        model.token_embedding.weight -= 2e-5 * way
        slope = (above - loss()) / 2e-5
    torch.testing.assert_close(slope, (found["whole"] * way).sum(), rtol=1e-7, atol=0)


def test_what_the_two_hold():
    """After writing, and after a step."""
    model = weight_tying(CONFIG, 3)
    written = model.add(2.0)
    stepped = model.step(IDS, TARGETS, 0.1)
    assert torch.equal(written["embedding"], written["head"]) and torch.equal(stepped["after"], stepped["head"])
    assert 0.09 < (stepped["after"] - stepped["before"]).abs().max() <= 0.1001
