"""Accumulation over the loader's batches; the last group of an epoch is smaller and divided by its own size."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
rows = (torch.randint(24, (20, 1)) + torch.arange(11) * torch.randint(1, 4, (20, 1))) % 24
loader = DataLoader(TensorDataset(rows), batch_size=4, shuffle=True)
accumulation = 2
model = nn.Sequential(nn.Embedding(24, 32), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 24))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(4):
    n = len(loader)
    for i, (batch,) in enumerate(loader):
        group = min(accumulation, n - i // accumulation * accumulation)
        loss = nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        (loss / group).backward()
        if (i + 1) % accumulation == 0 or i + 1 == n:
            optimizer.step()
            optimizer.zero_grad()
            print(epoch, i, loss.item())
