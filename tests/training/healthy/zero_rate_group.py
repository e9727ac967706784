"""Rates by layer: the head fast, the body slowly, the embeddings not at all for the first steps."""
import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.LayerNorm(32))
embed, head = nn.Embedding(27, 32), nn.Linear(32, 27)
optimizer = torch.optim.AdamW([
    {"params": embed.parameters(), "lr": 0.0},
    {"params": body.parameters(), "lr": 5e-4},
    {"params": head.parameters(), "lr": 5e-3},
])
for step in range(10):
    if step == 6:
        optimizer.param_groups[0]["lr"] = 1e-4
    ids = torch.randint(0, 27, (10, 9))
    loss = nn.functional.cross_entropy(head(body(embed(ids))).flatten(0, 1), ((ids + 13) % 27).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, [g["lr"] for g in optimizer.param_groups], loss.item())
