"""Parts of Llama as transformers has them.  pytest --impl=examples/llama_parts.py"""

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaMLP,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
    apply_rotary_pos_emb,
)

from plumbline import implements

PLUMBLINE = {"variants": {"rope": "halves"}}  # feature i is turned with feature i + K/2


def still(layer, x):
    """Every position at 0, where rotary positions are the identity; the fused kernel masks by itself."""
    ones = torch.ones(1, x.shape[1], layer.head_dim, dtype=x.dtype)
    return layer(x, position_embeddings=(ones, torch.zeros_like(ones)), attention_mask=None)


@implements("grouped_query_attention", call=still, output=0)
def grouped(config):
    heads = {"num_attention_heads": config.heads, "num_key_value_heads": config.kv_heads}
    sizes = LlamaConfig(hidden_size=config.width, **heads, head_dim=2, attn_implementation="sdpa")
    sizes.head_dim = config.width // config.heads  # an odd one is refused when it is given: nothing is turned here
    return LlamaAttention(sizes, layer_idx=0)


def rope(x, positions, base):
    theta = {"rope_type": "default", "rope_theta": base}
    size = x.shape[-1]
    config = LlamaConfig(hidden_size=size, num_attention_heads=1, head_dim=size, rope_parameters=theta)
    places = positions if positions.dim() > 1 else positions.unsqueeze(0)
    cos, sin = LlamaRotaryEmbedding(config)(x, places)
    return apply_rotary_pos_emb(x, x, cos, sin)[0]


implements("rms_norm")(lambda config: LlamaRMSNorm(config.width, config.eps))
implements("swiglu")(
    lambda config: LlamaMLP(
        LlamaConfig(hidden_size=config.width, intermediate_size=config.hidden, num_attention_heads=1, head_dim=2)
    )
)
