"""reference_model/gpt2.py against transformers' GPT2LMHeadModel."""

import math
from types import SimpleNamespace

import pytest
import torch

from reference_model import Config, gpt2, initialise

CONFIG = Config(vocab_size=43, context=13, width=24, heads=3, layers=2)


def moved(weights, source):
    """The weights, each element a little away from where it started."""
    return {
        name: value + 0.1 * torch.randn(value.shape, dtype=value.dtype, generator=source)
        for name, value in weights.items()
    }


def draw(config=CONFIG, seed=9):
    """Ids with repeats, and weights none of which is at its initial value."""
    source = torch.Generator().manual_seed(seed)
    weights = initialise(config, source, torch.float64)
    blocks = [moved(layer, source) for layer in weights.pop("blocks")]
    weights = moved(weights, source) | {"blocks": blocks}
    ids = torch.randint(0, config.vocab_size, (3, 11), generator=source)
    ids[:, 4] = ids[:, 1]
    return ids, weights


THEIR_NAMES = {
    "norm_1_weight": "ln_1.weight",
    "norm_1_bias": "ln_1.bias",
    "qkv_weight": "attn.c_attn.weight",
    "qkv_bias": "attn.c_attn.bias",
    "out_weight": "attn.c_proj.weight",
    "out_bias": "attn.c_proj.bias",
    "norm_2_weight": "ln_2.weight",
    "norm_2_bias": "ln_2.bias",
    "up_weight": "mlp.c_fc.weight",
    "up_bias": "mlp.c_fc.bias",
    "down_weight": "mlp.c_proj.weight",
    "down_bias": "mlp.c_proj.bias",
}


def their_model(weights, config=CONFIG):
    """A GPT2LMHeadModel with these weights, in float64, in eval mode; its Conv1D matrices are [in, out]."""
    transformers = pytest.importorskip("transformers")
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context,
            n_embd=config.width,
            n_head=config.heads,
            n_layer=config.layers,
            layer_norm_epsilon=config.norm_eps,
        )
    )
    model = model.double().eval()
    state = {
        "transformer.wte.weight": weights["token_embedding"],
        "transformer.wpe.weight": weights["position_embedding"],
        "transformer.ln_f.weight": weights["final_norm_weight"],
        "transformer.ln_f.bias": weights["final_norm_bias"],
        "lm_head.weight": weights["token_embedding"],
    }
    for index, layer in enumerate(weights["blocks"]):
        for name, value in layer.items():
            turned = value.T if value.dim() == 2 else value
            state[f"transformer.h.{index}.{THEIR_NAMES[name]}"] = turned
    model.load_state_dict(state)
    return model


@pytest.mark.parametrize(
    "config",
    [CONFIG, Config(vocab_size=29, context=11, width=10, heads=5, layers=1, norm_eps=1e-3)],
    ids=["two layers", "another eps"],
)
def test_logits_equal_transformers(config):
    """The logits agree to 1e-10 in float64."""
    ids, weights = draw(config)
    with torch.no_grad():
        expected = their_model(weights, config)(ids).logits
        out = gpt2(ids, weights, config)
    assert out.shape == (3, 11, config.vocab_size)
    assert (out - expected).abs().max() <= 1e-10


def test_gradients_equal_transformers():
    """The table gets the sum of both its uses; first and last layer get what theirs get."""
    ids, weights = draw()
    model = their_model(weights)
    table = weights["token_embedding"].requires_grad_()
    qkv = weights["blocks"][0]["qkv_weight"].requires_grad_()
    down = weights["blocks"][1]["down_bias"].requires_grad_()
    cotangent = torch.randn(3, 11, 43, dtype=torch.float64, generator=torch.Generator().manual_seed(10))
    (gpt2(ids, weights, CONFIG) * cotangent).sum().backward()
    (model(ids).logits * cotangent).sum().backward()
    theirs = model.transformer
    for mine, other in [
        (table.grad, theirs.wte.weight.grad),
        (qkv.grad, theirs.h[0].attn.c_attn.weight.grad.T),
        (down.grad, theirs.h[1].mlp.c_proj.bias.grad),
    ]:
        assert (mine - other).abs().max() <= 1e-10 * other.abs().max()


def test_any_object_with_the_sizes_is_a_config():
    """norm_eps is 1e-5 where the object does not say."""
    ids, weights = draw()
    sizes = SimpleNamespace(vocab_size=43, context=13, width=24, heads=3, layers=2)
    assert torch.equal(gpt2(ids, weights, sizes), gpt2(ids, weights, CONFIG))


def test_refuses_more_ids_than_the_context():
    """Both numbers are named, and the context itself still fits."""
    _, weights = draw()
    assert gpt2(torch.zeros(1, 13, dtype=torch.int64), weights, CONFIG).shape == (1, 13, 43)
    with pytest.raises(ValueError, match="14 ids are more than the context of 13"):
        gpt2(torch.zeros(1, 14, dtype=torch.int64), weights, CONFIG)


def test_refuses_the_wrong_number_of_blocks_and_unknown_ids():
    """A model cut short is no model, and id V is no id."""
    ids, weights = draw()
    with pytest.raises(ValueError, match="weights hold 1 blocks, but the config has 2 layers"):
        gpt2(ids, weights | {"blocks": weights["blocks"][:1]}, CONFIG)
    with pytest.raises(IndexError, match="token id 43"):
        gpt2(torch.tensor([[0, 43]]), weights, CONFIG)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_runs_in_every_dtype(dtype):
    """Lower precision stays what it is and stays near the float64 logits."""
    ids = draw()[0]
    weights = initialise(CONFIG, torch.Generator().manual_seed(11), dtype)
    exact = initialise(CONFIG, torch.Generator().manual_seed(11), torch.float64)
    out = gpt2(ids, weights, CONFIG)
    assert out.dtype == dtype
    expected = gpt2(ids, exact, CONFIG)
    assert (out.double() - expected).abs().max() <= 16 * torch.finfo(dtype).eps * expected.abs().max()


def test_initialise_draws_the_published_spreads():
    """0.02 for matrices, 0.01 for positions, 0.02 / sqrt(2 L) into the stream, each within six standard errors."""
    config = Config(vocab_size=600, context=300, width=96, heads=4, layers=3)
    weights = initialise(config, torch.Generator().manual_seed(12))
    layer = weights["blocks"][1]
    residual = 0.02 / math.sqrt(6)
    for value, spread in [
        (weights["token_embedding"], 0.02),
        (weights["position_embedding"], 0.01),
        (layer["qkv_weight"], 0.02),
        (layer["up_weight"], 0.02),
        (layer["out_weight"], residual),
        (layer["down_weight"], residual),
    ]:
        assert abs(value.std().item() / spread - 1) <= 6 / math.sqrt(2 * value.numel())
        assert abs(value.mean().item()) <= 6 * spread / math.sqrt(value.numel())
    assert all(layer[name].abs().max() == 0 for name in layer if "bias" in name)
    assert all((layer[name] == 1).all() for name in ("norm_1_weight", "norm_2_weight"))
    assert not torch.equal(layer["qkv_weight"], weights["blocks"][0]["qkv_weight"])


def test_first_loss_is_the_log_of_the_vocabulary():
    """A fresh model knows nothing: its cross-entropy is within 0.1 of ln V."""
    weights = initialise(CONFIG, torch.Generator().manual_seed(13))
    ids = draw()[0]
    logits = gpt2(ids[:, :-1], weights, CONFIG)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    assert abs(loss.item() - math.log(43)) <= 0.1


def test_one_seed_is_one_model_and_the_global_state_is_left_alone():
    """The generator alone decides."""
    state = torch.get_rng_state()
    one = initialise(CONFIG, torch.Generator().manual_seed(1))
    same = initialise(CONFIG, torch.Generator().manual_seed(1))
    other = initialise(CONFIG, torch.Generator().manual_seed(2))
    assert torch.equal(one["blocks"][1]["up_weight"], same["blocks"][1]["up_weight"])
    assert not torch.equal(one["blocks"][1]["up_weight"], other["blocks"][1]["up_weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_padding_equals_transformers():
    """Left padding with a mask and positions: the logits of real ids are those of transformers' GPT-2."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=13, n_positions=8, n_embd=12, n_layer=2, n_head=2)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    state = model.transformer.state_dict()
    blocks = [
        {
            "norm_1_weight": state[f"h.{i}.ln_1.weight"],
            "norm_1_bias": state[f"h.{i}.ln_1.bias"],
            "qkv_weight": state[f"h.{i}.attn.c_attn.weight"].T,
            "qkv_bias": state[f"h.{i}.attn.c_attn.bias"],
            "out_weight": state[f"h.{i}.attn.c_proj.weight"].T,
            "out_bias": state[f"h.{i}.attn.c_proj.bias"],
            "norm_2_weight": state[f"h.{i}.ln_2.weight"],
            "norm_2_bias": state[f"h.{i}.ln_2.bias"],
            "up_weight": state[f"h.{i}.mlp.c_fc.weight"].T,
            "up_bias": state[f"h.{i}.mlp.c_fc.bias"],
            "down_weight": state[f"h.{i}.mlp.c_proj.weight"].T,
            "down_bias": state[f"h.{i}.mlp.c_proj.bias"],
        }
        for i in range(2)
    ]
    weights = {
        "token_embedding": state["wte.weight"],
        "position_embedding": state["wpe.weight"],
        "blocks": blocks,
        "final_norm_weight": state["ln_f.weight"],
        "final_norm_bias": state["ln_f.bias"],
    }
    sizes = Config(vocab_size=13, context=8, width=12, heads=2, layers=2)
    ids = torch.randint(0, 13, (2, 6))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        theirs = model(ids, attention_mask=mask, position_ids=places).logits
    ours = gpt2(ids, weights, sizes, mask, places)
    real = mask.bool()
    torch.testing.assert_close(ours[real], theirs[real], rtol=1e-4, atol=1e-5)
    assert torch.isfinite(ours).all()
