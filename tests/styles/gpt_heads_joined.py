"""A GPT with rotary positions and no table of them, whose queries, keys and values stand head by head in one matrix."""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class ModelConfig:
    vocab_size: int = 512
    hidden_size: int = 64
    num_layers: int = 2
    num_attention_heads: int = 4
    max_position_embeddings: int = 128
    rotary_pct: float = 0.25
    rotary_base: float = 10000.0
    layer_norm_eps: float = 1e-5


def turned(x, share, base):
    size = int(x.shape[-1] * share)
    angles = torch.outer(
        torch.arange(x.shape[-2], dtype=torch.float32), base ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    ).to(x)
    cos, sin = torch.cat((angles.cos(),) * 2, -1), torch.cat((angles.sin(),) * 2, -1)
    part, rest = x[..., :size], x[..., size:]
    first, second = part.chunk(2, -1)
    return torch.cat((part * cos + torch.cat((-second, first), -1) * sin, rest), -1)


class SelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.share, self.base = config.num_attention_heads, config.rotary_pct, config.rotary_base
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        batch, time, width = x.shape
        joined = self.query_key_value(x).view(batch, time, self.heads, -1).transpose(1, 2)
        q, k, v = joined.chunk(3, dim=-1)
        q, k = turned(q, self.share, self.base), turned(k, self.share, self.base)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.dense(mixed.transpose(1, 2).reshape(batch, time, width))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = SelfAttention(config)
        self.mlp = nn.Sequential()
        self.mlp.add_module("dense_h_to_4h", nn.Linear(config.hidden_size, 4 * config.hidden_size))
        self.mlp.add_module("act", nn.GELU())
        self.mlp.add_module("dense_4h_to_h", nn.Linear(4 * config.hidden_size, config.hidden_size))

    def forward(self, x):
        return x + self.attention(self.input_layernorm(x)) + self.mlp(self.post_attention_layernorm(x))


class RotaryGPT(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_in = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.embed_out = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.apply(self._draw)

    def _draw(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)

    def forward(self, ids):
        x = self.embed_in(ids)
        for layer in self.layers:
            x = layer(x)
        return self.embed_out(self.final_layer_norm(x))
