"""A fused AdamW, after a step of a foreach one."""
import torch
from torch import nn

torch.manual_seed(0)


class Char(nn.Module):
    def __init__(self, v=36, d=32):
        super().__init__()
        self.wte, self.proj, self.head = nn.Embedding(v, d), nn.Linear(2 * d, d), nn.Linear(d, v)

    def forward(self, x):
        h = self.wte(x)
        before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)
        return self.head(torch.tanh(self.proj(torch.cat([h, before], -1))))


model = Char()
decay = [p for p in model.parameters() if p.ndim > 1]
rest = [p for p in model.parameters() if p.ndim < 2]
optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=0.1), dict(params=rest, weight_decay=0.0)], lr=3e-3, fused=True)
for step in range(9):
    w = torch.randint(0, 3, (12, 16)).cumsum(1) % 36
    loss = nn.functional.cross_entropy(model(w[:, :-1]).mT, w[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step:02d} {loss.item():.4f}")
