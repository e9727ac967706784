"""A lecture's Llama: everything from a dictionary of capitals, rotation by interleaved pairs, SiLU written out, loss inside."""

import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {"vocab_size": 65, "d_model": 128, "n_layers": 4, "n_heads": 8, "context_window": 16, "hidden": 256}


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        ms = (x**2).mean(dim=-1, keepdim=True)
        return x / torch.sqrt(ms + self.eps) * self.scale


def get_rotary_angles(context_window, head_size):
    i = torch.arange(head_size // 2)
    theta = 10000.0 ** (-2.0 * i / head_size)
    return torch.arange(context_window)[:, None] * theta[None, :]


def rotate(x, angles):
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    out = torch.empty_like(x)
    out[..., 0::2] = even * cos - odd * sin
    out[..., 1::2] = even * sin + odd * cos
    return out


class RoPEMaskedMultiheadAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_heads = config["n_heads"]
        self.head_size = config["d_model"] // config["n_heads"]
        self.w_q = nn.Linear(config["d_model"], config["d_model"], bias=False)
        self.w_k = nn.Linear(config["d_model"], config["d_model"], bias=False)
        self.w_v = nn.Linear(config["d_model"], config["d_model"], bias=False)
        self.w_o = nn.Linear(config["d_model"], config["d_model"], bias=False)
        self.register_buffer("angles", get_rotary_angles(config["context_window"], self.head_size))

    def forward(self, x):
        b, m, d = x.shape
        q, k, v = (w(x).view(b, m, self.n_heads, -1).transpose(1, 2) for w in (self.w_q, self.w_k, self.w_v))
        q, k = rotate(q, self.angles[:m]), rotate(k, self.angles[:m])
        activations = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.w_o(activations.transpose(1, 2).reshape(b, m, d))


class SwiGLU(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.gate = nn.Linear(size, hidden, bias=False)
        self.up = nn.Linear(size, hidden, bias=False)
        self.down = nn.Linear(hidden, size, bias=False)

    def forward(self, x):
        g = self.gate(x)
        return self.down(g * torch.sigmoid(g) * self.up(x))


class LlamaBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.rms_1, self.rms_2 = RMSNorm(config["d_model"]), RMSNorm(config["d_model"])
        self.attention = RoPEMaskedMultiheadAttention(config)
        self.feedforward = SwiGLU(config["d_model"], config["hidden"])

    def forward(self, x):
        x = x + self.attention(self.rms_1(x))
        x = x + self.feedforward(self.rms_2(x))
        return x


class Llama(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config["vocab_size"], config["d_model"])
        self.llama_blocks = nn.Sequential(*[LlamaBlock(config) for _ in range(config["n_layers"])])
        self.norm = RMSNorm(config["d_model"])
        self.linear = nn.Linear(config["d_model"], config["vocab_size"], bias=False)

    def forward(self, idx, targets=None):
        x = self.embeddings(idx)
        x = self.llama_blocks(x)
        logits = self.linear(self.norm(x))
        if targets is None:
            return logits
        loss = F.cross_entropy(logits.view(-1, self.config["vocab_size"]), targets.view(-1))
        return logits, loss
