"""A Llama with everything around it in one class: past_key_values, generate with that cache, _init_weights, labels."""

import torch
import torch.nn.functional as F
from torch import nn


class SmallLlamaConfig:
    def __init__(
        self, vocab_size=32000, hidden_size=256, intermediate_size=688, num_hidden_layers=4, num_attention_heads=8,
        num_key_value_heads=None, max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=10000.0,
    ):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.max_position_embeddings, self.rms_norm_eps = max_position_embeddings, rms_norm_eps
        self.rope_theta = rope_theta


def rotated(x, positions, base):
    half = x.shape[-1] // 2
    angles = positions[:, None] * base ** (-torch.arange(half, dtype=x.dtype, device=x.device) / half)
    cos, sin = angles.cos(), angles.sin()
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class SmallLlamaAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.size, self.base = config.hidden_size // config.num_attention_heads, config.rope_theta
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, config.hidden_size, bias=False)

    def forward(self, hidden_states, past_key_value=None):
        batch, time, _ = hidden_states.shape
        start = 0 if past_key_value is None else past_key_value[0].shape[2]
        positions = torch.arange(start, start + time, device=hidden_states.device)
        q = self.q_proj(hidden_states).view(batch, time, self.heads, self.size).transpose(1, 2)
        k = self.k_proj(hidden_states).view(batch, time, self.kv_heads, self.size).transpose(1, 2)
        v = self.v_proj(hidden_states).view(batch, time, self.kv_heads, self.size).transpose(1, 2)
        q, k = rotated(q, positions, self.base), rotated(k, positions, self.base)
        if past_key_value is not None:
            k, v = torch.cat((past_key_value[0], k), dim=2), torch.cat((past_key_value[1], v), dim=2)
        past_key_value = (k, v)
        groups = self.heads // self.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        later = torch.arange(start + time, device=q.device) > positions[:, None]
        scores = (q @ k.transpose(-2, -1) / self.size**0.5).masked_fill(later, float("-inf"))
        mixed = F.softmax(scores, dim=-1) @ v
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, time, -1)), past_key_value


class SmallLlamaMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class SmallLlamaDecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attn, self.mlp = SmallLlamaAttention(config), SmallLlamaMLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, hidden_states, past_key_value=None):
        attended, past_key_value = self.self_attn(self.input_layernorm(hidden_states), past_key_value)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states)), past_key_value


class SmallLlamaForCausalLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(SmallLlamaDecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, input_ids, labels=None, past_key_values=None, use_cache=False):
        hidden_states, present = self.embed_tokens(input_ids), []
        for index, layer in enumerate(self.layers):
            past = None if past_key_values is None else past_key_values[index]
            hidden_states, past = layer(hidden_states, past)
            present.append(past)
        logits = self.lm_head(self.norm(hidden_states))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        return {"loss": loss, "logits": logits, "past_key_values": present if use_cache else None}

    @torch.no_grad()
    def generate(self, input_ids, max_new_tokens, temperature=1.0, top_k=None, eos_token_id=None):
        ended = torch.zeros(input_ids.shape[0], 1, dtype=torch.bool, device=input_ids.device)
        past = None
        for _ in range(max_new_tokens):
            if input_ids.shape[1] > self.config.max_position_embeddings:
                out = self(input_ids[:, -self.config.max_position_embeddings :])
            else:
                fed = input_ids if past is None else input_ids[:, -1:]
                out = self(fed, past_key_values=past, use_cache=True)
                past = out["past_key_values"]
            logits = out["logits"][:, -1]
            if temperature == 0.0:
                chosen = logits.argmax(dim=-1, keepdim=True)
            else:
                logits = logits / temperature
                if top_k is not None:
                    least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
                    logits = logits.masked_fill(logits < least, float("-inf"))
                chosen = torch.multinomial(logits.softmax(dim=-1), 1)
            if eos_token_id is not None:
                chosen = chosen.masked_fill(ended, eos_token_id)
                ended = ended | (chosen == eos_token_id)
            input_ids = torch.cat((input_ids, chosen), dim=1)
            if ended.all():
                break
        return input_ids
