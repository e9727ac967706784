"""The rate rises and falls in triangles, and the momentum runs against it. The schedule is stepped with every batch."""
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(20, 24), nn.Conv1d(10, 10, 1), nn.Tanh(), nn.LayerNorm(24), nn.Linear(24, 20))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.02, 0.2, step_size_up=3, step_size_down=2, mode="triangular2")
for step in range(12):
    labels = torch.randint(0, 20, (12, 10))
    loss = F.cross_entropy(model(labels).flatten(0, 1), (7 - labels).remainder(20).flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    scheduler.step()
    print(step, loss.item(), optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"])
