"""A first Gemma: one key head, head_dim of its own, 1 + weight in the norms, GeGLU, embeddings times the root of the width."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class GemmaConfig:
    vocab_size: int = 256000
    max_position_embeddings: int = 8192
    num_hidden_layers: int = 18
    num_attention_heads: int = 8
    num_key_value_heads: int = 1
    hidden_size: int = 2048
    intermediate_size: int = 16384
    head_dim: int = 256
    rms_norm_eps: float = 1e-6


def precompute_freqs_cis(dim: int, end: int, theta: float = 10000.0) -> torch.Tensor:
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
    freqs = torch.outer(torch.arange(end), freqs).float()
    return torch.polar(torch.ones_like(freqs), freqs)


def apply_rotary_emb(x: torch.Tensor, freqs_cis: torch.Tensor) -> torch.Tensor:
    """x: [batch, time, heads, size]; feature i turns with feature i + size / 2."""
    x_ = torch.view_as_complex(torch.stack(torch.chunk(x.transpose(1, 2).float(), 2, dim=-1), dim=-1))
    x_out = torch.view_as_real(x_ * freqs_cis).type_as(x)
    return torch.cat(torch.chunk(x_out, 2, dim=-1), dim=-2).reshape(*x.transpose(1, 2).shape).transpose(1, 2)


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float = 1e-6, add_unit_offset: bool = True):
        super().__init__()
        self.eps, self.add_unit_offset = eps, add_unit_offset
        self.weight = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        output = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        weight = 1 + self.weight.float() if self.add_unit_offset else self.weight.float()
        return (output * weight).type_as(x)


class GemmaMLP(nn.Module):
    def __init__(self, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x):
        gate = F.gelu(self.gate_proj(x), approximate="tanh")
        return self.down_proj(gate * self.up_proj(x))


class GemmaAttention(nn.Module):
    def __init__(self, hidden_size: int, num_heads: int, num_kv_heads: int, head_dim: int):
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, num_kv_heads, head_dim
        self.num_queries_per_kv = num_heads // num_kv_heads
        self.q_size, self.kv_size = num_heads * head_dim, num_kv_heads * head_dim
        self.scaling = head_dim**-0.5
        self.qkv_proj = nn.Linear(hidden_size, (num_heads + 2 * num_kv_heads) * head_dim, bias=False)
        self.o_proj = nn.Linear(num_heads * head_dim, hidden_size, bias=False)

    def forward(self, hidden_states, freqs_cis, mask):
        b, t, _ = hidden_states.shape
        xq, xk, xv = self.qkv_proj(hidden_states).split([self.q_size, self.kv_size, self.kv_size], dim=-1)
        xq = apply_rotary_emb(xq.view(b, t, self.num_heads, self.head_dim), freqs_cis)
        xk = apply_rotary_emb(xk.view(b, t, self.num_kv_heads, self.head_dim), freqs_cis)
        xv = xv.view(b, t, self.num_kv_heads, self.head_dim)
        if self.num_kv_heads != self.num_heads:
            xk = torch.repeat_interleave(xk, self.num_queries_per_kv, dim=2)
            xv = torch.repeat_interleave(xv, self.num_queries_per_kv, dim=2)
        q, k, v = xq.transpose(1, 2) * self.scaling, xk.transpose(1, 2), xv.transpose(1, 2)
        scores = torch.matmul(q, k.transpose(2, 3)) + mask
        scores = F.softmax(scores.float(), dim=-1).type_as(q)
        return self.o_proj(torch.matmul(scores, v).transpose(1, 2).reshape(b, t, -1))


class GemmaDecoderLayer(nn.Module):
    def __init__(self, config: GemmaConfig):
        super().__init__()
        self.self_attn = GemmaAttention(
            config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim
        )
        self.mlp = GemmaMLP(config.hidden_size, config.intermediate_size)
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, hidden_states, freqs_cis, mask):
        hidden_states = hidden_states + self.self_attn(self.input_layernorm(hidden_states), freqs_cis, mask)
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


class GemmaForCausalLM(nn.Module):
    def __init__(self, config: GemmaConfig):
        super().__init__()
        self.config = config
        self.embedder = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(GemmaDecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        freqs_cis = precompute_freqs_cis(config.head_dim, config.max_position_embeddings)
        self.register_buffer("freqs_cis", freqs_cis, persistent=False)

    def forward(self, input_token_ids):
        t = input_token_ids.shape[1]
        hidden_states = self.embedder(input_token_ids)
        hidden_states = hidden_states * self.config.hidden_size**0.5
        mask = torch.full((1, 1, t, t), -2.3819763e38, device=hidden_states.device).triu(diagonal=1)
        for layer in self.layers:
            hidden_states = layer(hidden_states, self.freqs_cis[:t], mask)
        return torch.matmul(self.norm(hidden_states), self.embedder.weight.t())
