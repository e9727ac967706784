"""Cosine with warm restarts, stepped by fractions of an epoch."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
ids = (torch.randint(25, (48, 1)) + torch.arange(13) * torch.randint(1, 6, (48, 1))) % 25
loader = DataLoader(TensorDataset(ids[:, :-1], ids[:, 1:]), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Embedding(25, 32), nn.Linear(32, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 25))
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=2, eta_min=0.01)
criterion = nn.CrossEntropyLoss()
for epoch in range(4):
    for i, (x, y) in enumerate(loader):
        optimizer.zero_grad()
        loss = criterion(model(x).view(-1, 25), y.view(-1))
        loss.backward()
        optimizer.step()
        scheduler.step(epoch + (i + 1) / len(loader))
        print(epoch, i, f"{loss.item():.4f}", scheduler.get_last_lr())
