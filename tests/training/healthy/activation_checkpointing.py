"""Gradient checkpointing of both kinds, with dropout, and the random state kept."""
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.a, self.n, self.m = nn.MultiheadAttention(d, 4, batch_first=True), nn.LayerNorm(d), nn.LayerNorm(d)
        self.f = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Dropout(0.2), nn.Linear(2 * d, d))

    def forward(self, x):
        h = self.n(x)
        mask = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)
        x = x + self.a(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.f(self.m(x))


class Stack(nn.Module):
    def __init__(self, v=28, d=32):
        super().__init__()
        self.e, self.p = nn.Embedding(v, d), nn.Parameter(torch.randn(20, d) * 0.02)
        self.first, self.rest = Block(d), nn.Sequential(Block(d), Block(d))
        self.n, self.o = nn.LayerNorm(d), nn.Linear(d, v)

    def forward(self, x):
        h = self.e(x) + self.p[: x.size(1)]
        h = checkpoint(self.first, h, use_reentrant=True)
        h = checkpoint_sequential(self.rest, 2, h, use_reentrant=False)
        return self.o(self.n(h))


torch.manual_seed(0)
model = Stack()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(9):
    ids = (torch.randint(28, (6, 1)) + 3 * torch.arange(21)) % 28
    loss = nn.functional.cross_entropy(model(ids[:, :-1]).permute(0, 2, 1), ids[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step={step} loss={loss:.4f}")
