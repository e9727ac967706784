"""A step whose gradient norm is far above the usual is skipped: its gradients are thrown away."""
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(26, 32), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 26))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
usual = None
for step in range(12):
    x = torch.randint(0, 26, (8, 10))
    y = (x + 1) % 26 if step != 4 else torch.randint(0, 26, (8, 10))
    loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten()) * (30 if step == 4 else 1)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
    if usual is None or norm < 5 * usual:
        optimizer.step()
        usual = norm if usual is None else 0.9 * usual + 0.1 * norm
    optimizer.zero_grad()
    print(step, loss.item(), norm)
