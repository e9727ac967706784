"""First the head alone; then one layer more every three steps, added to the optimiser as a new group."""
import torch
from torch import nn

torch.manual_seed(0)
layers = nn.ModuleList([nn.Embedding(22, 32), nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 22)])
for p in layers[:3].parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adam(layers[3].parameters(), lr=3e-3)
for step in range(10):
    if step in (3, 6):
        layer = layers[2 if step == 3 else 1]
        for p in layer.parameters():
            p.requires_grad_(True)
        optimizer.add_param_group({"params": layer.parameters(), "lr": 1e-3})
    ids = torch.randint(0, 22, (12, 8))
    h = layers[0](ids)
    for layer in layers[1:3]:
        h = h + torch.relu(layer(h))
    loss = nn.functional.cross_entropy(layers[3](h).flatten(0, 1), ids.flip(1).flip(1).add(5).remainder(22).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, len(optimizer.param_groups), loss.item())
