"""reference_model/generation.py against transformers' generate(), and by hand."""

import pytest
import torch

from reference_model import Config, generation, gpt2, initialise

CONFIG = Config(vocab_size=23, context=12, width=8, heads=2, layers=2)


def weights():
    """Large enough that what comes next is far from a tie."""
    found = initialise(CONFIG, torch.Generator().manual_seed(4))
    found["blocks"] = [{n: v * 25 if v.dim() > 1 else v for n, v in block.items()} for block in found["blocks"]]
    return {
        **found,
        "token_embedding": found["token_embedding"] * 50,
        "position_embedding": found["position_embedding"] * 100,
    }


def test_greedy_equals_transformers():
    """Its GPT-2 with these weights, its cache on."""
    transformers = pytest.importorskip("transformers")
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=23, n_positions=12, n_embd=8, n_head=2, n_layer=2)
    ).eval()
    w, state = weights(), {}
    for i, block in enumerate(w["blocks"]):
        names = {
            "norm_1": "ln_1",
            "qkv": "attn.c_attn",
            "out": "attn.c_proj",
            "norm_2": "ln_2",
            "up": "mlp.c_fc",
            "down": "mlp.c_proj",
        }
        for ours, theirs in names.items():
            for kind in ("weight", "bias"):
                value = block[f"{ours}_{kind}"]
                state[f"transformer.h.{i}.{theirs}.{kind}"] = value.T if value.dim() == 2 else value
    state |= {
        "transformer.wte.weight": w["token_embedding"],
        "transformer.wpe.weight": w["position_embedding"],
        "lm_head.weight": w["token_embedding"],
        "transformer.ln_f.weight": w["final_norm_weight"],
        "transformer.ln_f.bias": w["final_norm_bias"],
    }
    model.load_state_dict(state)
    ids = torch.tensor([[1, 2, 3], [20, 0, 7]])
    expected = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert generation(w, CONFIG).generate(ids, 8, top_k=1).tolist() == expected.tolist()


def test_crop():
    """Each id past the context follows from the last twelve."""
    w = weights()
    out = generation(w, CONFIG).generate(torch.tensor([[3, 9]]), 20, temperature=0.0)
    for at in range(2, 22):
        assert int(gpt2(out[:, max(0, at - 12) : at], w, CONFIG)[0, -1].argmax()) == int(out[0, at])


def test_ends():
    """Each row at its own end; nothing more once all have ended."""
    w = weights()
    free = generation(w, CONFIG).generate(torch.tensor([[3, 9], [5, 1]]), 8, top_k=1)
    end = int(free[0, 4])
    out = generation(w, CONFIG).generate(torch.tensor([[3, 9], [5, 1]]), 8, top_k=1, end_token=end)
    first = free[0, 2:].tolist().index(end) + 2
    assert out[0, : first + 1].tolist() == free[0, : first + 1].tolist() and set(out[0, first:].tolist()) == {end}
    alone = generation(w, CONFIG).generate(torch.tensor([[3, 9]]), 8, top_k=1, end_token=end)
    assert alone.shape[1] == first + 1


def test_refuses():
    """Less than nothing, and nothing to begin with."""
    model = generation(weights(), CONFIG)
    with pytest.raises(ValueError, match="max_new_tokens"):
        model.generate(torch.tensor([[1]]), -1)
    with pytest.raises(ValueError, match="prompt"):
        model.generate(torch.empty(1, 0, dtype=torch.long), 1)
    assert model.generate(torch.tensor([[1]]), 0).tolist() == [[1]]
