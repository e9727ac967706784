"""Noise is added to every gradient after the clip; the noise becomes smaller with the steps."""
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(24, 32), nn.Linear(32, 48), nn.Tanh(), nn.Linear(48, 24))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
for t in range(9):
    a = torch.randint(0, 24, (16, 10))
    loss = nn.functional.cross_entropy(model(a).flatten(0, 1), ((3 * a + 1) % 24).flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    sigma = (0.01 / (1 + t) ** 0.55) ** 0.5
    for p in model.parameters():
        p.grad.add_(torch.randn_like(p.grad), alpha=sigma * 0.1)
    optimizer.step()
    print(t, loss.item())
