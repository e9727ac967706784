"""Parts of Llama as transformers has them.  pytest --impl=examples/llama_parts.py"""

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaAttention

from plumbline import implements


def sizes(config):
    given = {"num_attention_heads": config.heads, "num_key_value_heads": config.kv_heads, "hidden_size": config.width}
    config_of_theirs = LlamaConfig(**given, head_dim=2, attn_implementation="sdpa")
    config_of_theirs.head_dim = config.width // config.heads  # an odd one is refused when it is given: nothing is turned here
    return config_of_theirs


def still(layer, x):
    """Every position at 0, where rotary positions are the identity; the fused kernel masks by itself."""
    ones = torch.ones(1, x.shape[1], layer.head_dim, dtype=x.dtype)
    return layer(x, position_embeddings=(ones, torch.zeros_like(ones)), attention_mask=None)


@implements("grouped_query_attention", call=still, output=0)
def grouped(config):
    return LlamaAttention(sizes(config), layer_idx=0)
