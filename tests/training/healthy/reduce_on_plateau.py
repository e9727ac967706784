"""The rate falls when the validation loss does; the schedule is stepped once per epoch, with that loss."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
rows = (torch.randint(29, (60, 1)) + torch.arange(11) * torch.randint(1, 5, (60, 1))) % 29
train, val = TensorDataset(rows[:44]), TensorDataset(rows[44:])
model = nn.Sequential(nn.Embedding(29, 32), nn.Dropout(0.1), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 29))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.05)


def loss_of(b):
    return nn.functional.cross_entropy(model(b[:, :-1]).flatten(0, 1), b[:, 1:].flatten())


for epoch in range(4):
    model.train()
    for (b,) in DataLoader(train, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = loss_of(b)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    model.eval()
    with torch.no_grad():
        total = sum(loss_of(b).item() * len(b) for (b,) in DataLoader(val, batch_size=8)) / len(val)
    scheduler.step(total)
    print("val", total, optimizer.param_groups[0]["lr"])
