"""reference_model/llama.py against Llama and its relatives in transformers, the forms set by their edits."""

import pytest
import torch

from harness.core.forms import LegalForms
from harness.core.mistake import applied
from reference_model import LlamaConfig, initialise_llama, llama, llama_parameter_count
from specs.shared.llama_forms import MODEL_NUMBERS, MODEL_VARIANTS

FORMS = LegalForms("llama", MODEL_VARIANTS, MODEL_NUMBERS)
SIZES = {
    "vocab_size": 31,
    "hidden_size": 16,
    "intermediate_size": 22,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 32,
    "attn_implementation": "eager",
    "pad_token_id": 0,
}
IN_A_LAYER = {
    "input_layernorm.weight": "norm_1_weight",
    "post_attention_layernorm.weight": "norm_2_weight",
    "self_attn.q_proj.weight": "query_weight",
    "self_attn.k_proj.weight": "key_weight",
    "self_attn.v_proj.weight": "value_weight",
    "self_attn.o_proj.weight": "out_weight",
    "self_attn.q_proj.bias": "query_bias",
    "self_attn.k_proj.bias": "key_bias",
    "self_attn.v_proj.bias": "value_bias",
    "self_attn.o_proj.bias": "out_bias",
    "self_attn.q_norm.weight": "q_norm_weight",
    "self_attn.k_norm.weight": "k_norm_weight",
    "mlp.gate_proj.weight": "gate_weight",
    "mlp.up_proj.weight": "up_weight",
    "mlp.down_proj.weight": "down_weight",
}
WITH_FOUR_NORMS = {
    **IN_A_LAYER,
    "post_attention_layernorm.weight": "post_norm_1_weight",
    "pre_feedforward_layernorm.weight": "norm_2_weight",
    "post_feedforward_layernorm.weight": "post_norm_2_weight",
}
OF_OUTPUTS = {
    **IN_A_LAYER,
    "post_attention_layernorm.weight": "norm_1_weight",
    "post_feedforward_layernorm.weight": "norm_2_weight",
}


def their_model(name, names=IN_A_LAYER, tied=False, **more):
    """A small model of this class in float64, no weight at its initial value, and these weights as ours."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{'Gemma3Text' if name == 'Gemma3' else name}Config")(
        **{**SIZES, "tie_word_embeddings": tied, **more}
    )
    model = getattr(transformers, f"{name}ForCausalLM")(config).double().eval()
    source = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            around = 1.0 if "norm" in path and not name.startswith("Gemma") else 0.0
            drawn = torch.randn(parameter.shape, dtype=torch.float64, generator=source)
            parameter.copy_(around + 0.4 * drawn)
    state = dict(model.named_parameters())
    blocks = [
        {names[path]: state[f"model.layers.{i}.{path}"] for path in names if f"model.layers.{i}.{path}" in state}
        for i in range(config.num_hidden_layers)
    ]
    weights = {
        "token_embedding": state["model.embed_tokens.weight"],
        "blocks": blocks,
        "final_norm_weight": state["model.norm.weight"],
    }
    taken = 2 + sum(map(len, blocks))
    if not tied:
        weights["head_weight"] = state["lm_head.weight"]
        taken += 1
    assert len(state) == taken, "a parameter of theirs has no place"
    return model, weights


def sizes(rope_base=10000.0, **more):
    """The configuration of our model."""
    given = {"context": 32, "width": 16, "heads": 4, "kv_heads": 2, "head_size": 6, "hidden": 22, "layers": 3, **more}
    return LlamaConfig(vocab_size=31, norm_eps=given.pop("norm_eps", 1e-6), rope_base=rope_base, **given)


@torch.no_grad()
def agree(model, weights, config, forms="", time=11):
    """Logits within what float32 tables of angles leave; and another form gives others."""
    ids = torch.randint(0, 31, (2, time), generator=torch.Generator().manual_seed(3))
    expected = model(ids, use_cache=False).logits
    with applied([edit for form in FORMS.in_text(forms) for edit in form.edits]):
        found = llama(ids, weights, config)
    assert float((found - expected).abs().max()) <= 3e-6 * float(expected.abs().max())
    if forms:
        assert float((llama(ids, weights, config) - expected).abs().max()) > 1e-4 * float(expected.abs().max())


BASE = {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}}


@pytest.mark.parametrize("tied", [False, True])
def test_llama(tied):
    """With a head of its own and with a tied one; another base."""
    agree(*their_model("Llama", tied=tied, **BASE), sizes(500000.0))


@pytest.mark.parametrize("kind", ["linear", "yarn", "llama3"])
def test_llama_with_scaled_positions(kind):
    """Each with another factor and other trained positions than the reference has by itself."""
    scaling = {"rope_type": kind, "rope_theta": 500000.0, "factor": 4.0}
    forms = f"{kind}+rope_factor=4"
    if kind != "linear":
        scaling["original_max_position_embeddings"] = 4096
        forms += "+rope_trained=4096"
    if kind == "llama3":
        scaling |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    agree(*their_model("Llama", rope_parameters=scaling), sizes(500000.0), forms)


def test_llama_with_a_larger_base_for_longer_texts():
    """NTK-aware scaling: theirs enlarges the base once a text is longer than what the model was trained on.

    For twice as long a text and a factor of 1 of theirs, the base grows by 2.
    """
    scaling = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 1.0}
    model, weights = their_model("Llama", rope_parameters=scaling, max_position_embeddings=8)
    agree(model, weights, sizes(), "ntk+rope_factor=2", time=16)


def test_llama_with_biases():
    """Of all four projections."""
    agree(*their_model("Llama", attention_bias=True), sizes())


@pytest.mark.parametrize("kind", ["gelu_tanh", "gelu_erf", "relu", "relu2"])
def test_llama_with_another_activation(kind):
    """In the place of SiLU."""
    theirs = {"gelu_tanh": "gelu_pytorch_tanh", "gelu_erf": "gelu"}.get(kind, kind)
    agree(*their_model("Llama", hidden_act=theirs), sizes(), kind)


def test_mistral_sees_a_window():
    """The last four positions, in every layer."""
    agree(*their_model("Mistral", sliding_window=4), sizes(window=4))


def test_qwen3_normalises_queries_and_keys():
    """Each head by itself."""
    agree(*their_model("Qwen3"), sizes())


def test_olmo2_normalises_the_outputs_and_all_heads_together():
    """Gains of [H K] and [G K]; the norm comes after each sublayer."""
    model, weights = their_model("Olmo2", OF_OUTPUTS, head_dim=4, rms_norm_eps=1e-6)
    agree(model, weights, sizes(head_size=4), "output_norm")


GEMMA = "gelu_tanh+unit_offset+root_of_width"


def test_gemma2():
    """Four norms of 1 + w, capped scores and logits, every second layer local, a scale of its own."""
    model, weights = their_model("Gemma2", WITH_FOUR_NORMS, tied=True, sliding_window=4, query_pre_attn_scalar=144)
    forms = f"{GEMMA}+alternate+softcap=50+final_softcap=30+attention_scale={144**-0.5!r}"
    agree(model, weights, sizes(window=4), forms)


def test_gemma3():
    """Norm of queries and keys, five local layers to one, which rotates with another base."""
    bases = {
        "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    more = {"sliding_window": 4, "query_pre_attn_scalar": 6, "num_hidden_layers": 7, "rope_parameters": bases}
    model, weights = their_model("Gemma3", WITH_FOUR_NORMS, tied=True, **more)
    agree(model, weights, sizes(1000000.0, layers=7, window=4), f"{GEMMA}+five_to_one+local_base=10000")


def test_parameter_count():
    """That of 7B, and what this very model has."""
    assert llama_parameter_count(LlamaConfig()) == 6_738_415_616
    config = sizes()
    weights = initialise_llama(config, torch.Generator().manual_seed(0))
    blocks = [tensor for layer in weights["blocks"] for tensor in layer.values()]
    top = [weights[name] for name in ("token_embedding", "final_norm_weight", "head_weight")]
    assert sum(t.numel() for t in (*blocks, *top)) == llama_parameter_count(config)
    assert llama_parameter_count(config, tied=True) == llama_parameter_count(config) - 31 * 16


def test_refuses_another_number_of_layers():
    """And says both."""
    weights = initialise_llama(sizes())
    with pytest.raises(ValueError, match="weights hold 3 blocks, but the config has 2 layers"):
        llama(torch.zeros(1, 2, dtype=torch.long), weights, sizes(layers=2))
    with pytest.raises(ValueError, match="heads 4 are not divisible by kv_heads 3"):
        sizes(kv_heads=3)
