"""A prefix model: the prompt is read in both directions, the rest causally, and only the rest is predicted."""
import torch
from torch import nn
import torch.nn.functional as F

V, T, P = 30, 16, 6


class PrefixLM(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, d), nn.Embedding(T, d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.n1, self.n2, self.ff, self.head = nn.LayerNorm(d), nn.LayerNorm(d), nn.Sequential(nn.Linear(d, 64), nn.GELU(), nn.Linear(64, d)), nn.Linear(d, V)

    def forward(self, ids):
        b, t = ids.shape
        x = self.tok(ids) + self.pos.weight[:t]
        q, k, v = (z.view(b, t, 4, -1).transpose(1, 2) for z in self.qkv(self.n1(x)).chunk(3, -1))
        allowed = torch.ones(t, t, dtype=torch.bool).tril()
        allowed[:, :P] = True
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).reshape(b, t, -1))
        return self.head(x + self.ff(self.n2(x)))


torch.manual_seed(0)
model = PrefixLM()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(9):
    rows = (torch.randint(V, (8, 1)) + torch.arange(T + 1) * torch.randint(1, 5, (8, 1))) % V
    targets = rows[:, 1:].clone()
    targets[:, :P - 1] = -100
    loss = F.cross_entropy(model(rows[:, :-1]).transpose(1, 2), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
