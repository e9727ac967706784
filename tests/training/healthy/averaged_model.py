"""Stochastic weight averaging with torch's own tools, from the third step on."""
import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(28, 32), nn.Linear(32, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 28))
averaged = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.8)
scheduler = SWALR(optimizer, swa_lr=0.05, anneal_epochs=3)
held = torch.randint(0, 28, (20, 9), generator=torch.Generator().manual_seed(1))
for step in range(10):
    model.train()
    ids = torch.randint(0, 28, (10, 9))
    loss = nn.functional.cross_entropy(model(ids).flatten(0, 1), ((5 * ids) % 28).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step >= 3:
        averaged.update_parameters(model)
        scheduler.step()
    print(step, loss.item())
    if step % 4 == 3:
        averaged.eval()
        with torch.no_grad():
            print("average", nn.functional.cross_entropy(averaged(held).flatten(0, 1), ((5 * held) % 28).flatten()).item())
