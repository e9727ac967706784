"""Llama-like blocks with grouped heads and rotary positions; a batch is prefetched one step ahead."""
import torch
from torch import nn
import torch.nn.functional as F


class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, 1e-5)


class Layer(nn.Module):
    def __init__(self, d=32, h=4, kv=2):
        super().__init__()
        self.h, self.kv, self.hd = h, kv, d // h
        self.wq, self.wkv, self.wo = nn.Linear(d, d, bias=False), nn.Linear(d, 2 * kv * self.hd, bias=False), nn.Linear(d, d, bias=False)
        self.gate_up, self.down, self.n1, self.n2 = nn.Linear(d, 128, bias=False), nn.Linear(64, d, bias=False), RMSNorm(d), RMSNorm(d)

    def rope(self, x):
        half = self.hd // 2
        angle = torch.arange(x.size(-2))[:, None] * 10000.0 ** (-torch.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def forward(self, x):
        B, T, C = x.shape
        n = self.n1(x)
        q = self.rope(self.wq(n).view(B, T, self.h, self.hd).transpose(1, 2))
        k, v = self.wkv(n).view(B, T, 2 * self.kv, self.hd).transpose(1, 2).chunk(2, 1)
        k, v = self.rope(k).repeat_interleave(2, 1), v.repeat_interleave(2, 1)
        x = x + self.wo(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C))
        g, u = self.gate_up(self.n2(x)).chunk(2, -1)
        return x + self.down(F.silu(g) * u)


torch.manual_seed(0)
V = 48
model = nn.Sequential(nn.Embedding(V, 32), Layer(), Layer(), RMSNorm(32), nn.Linear(32, V, bias=False))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0)


def fetch():
    s = (torch.randint(V, (8, 1)) + torch.arange(19) * torch.randint(1, 5, (8, 1))) % V
    return s[:, :-1], s[:, 1:]


ahead = fetch()
for step in range(9):
    (x, y), ahead = ahead, fetch()
    loss = F.cross_entropy(model(x).view(-1, V), y.reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(step, loss.item())
