"""Hugging Face's GPT-2, whole and in parts, with random weights: nothing is downloaded."""

from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention, GPT2Block

from plumbline import implements

NAMES = {"context": "n_positions", "width": "n_embd", "hidden": "n_inner", "heads": "n_head", "layers": "n_layer"}
NAMES |= {"vocab_size": "vocab_size", "eps": "layer_norm_epsilon", "norm_eps": "layer_norm_epsilon"}


def sizes(config):
    given = {NAMES[name]: value for name, value in config.as_dict().items() if name in NAMES}
    fixed = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "bos_token_id": None, "eos_token_id": None}
    return GPT2Config(**{"n_head": 1, "n_layer": 1, **given}, **fixed, attn_implementation="sdpa")


implements("gpt2")(lambda config: GPT2LMHeadModel(sizes(config)))
implements("block")(lambda config: GPT2Block(sizes(config)))
implements("attention")(lambda config: GPT2Attention(sizes(config)))
implements("mlp")(lambda config: GPT2MLP(config.hidden, sizes(config)))
implements("gelu")(lambda config: GPT2MLP(1, GPT2Config()).act)
implements("layer_norm")(lambda config: GPT2Model(sizes(config)).ln_f)
implements("token_embedding")(lambda config: GPT2Model(sizes(config)).wte)
implements("learned_positions")(lambda config: GPT2Model(sizes(config)).wpe)
