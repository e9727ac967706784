"""StepLR per epoch, as its length is meant."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randint(0, 18, (48, 7))
loader = DataLoader(TensorDataset(x, x.roll(1, 1)), batch_size=16, shuffle=True)
model = nn.TransformerEncoder(nn.TransformerEncoderLayer(24, 2, 48, 0.0, batch_first=True), 1, enable_nested_tensor=False)
embed, pos, head = nn.Embedding(18, 24), nn.Parameter(torch.randn(7, 24) * 0.1), nn.Linear(24, 18)
optimizer = torch.optim.Adam([*model.parameters(), *embed.parameters(), pos, *head.parameters()], lr=3e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
for epoch in range(4):
    for ids, y in loader:
        loss = nn.functional.cross_entropy(head(model(embed(ids) + pos)).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    scheduler.step()
