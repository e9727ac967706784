"""Every parameter has its own optimiser, which steps in a hook as soon as its gradient is there."""
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(24, 32), nn.Linear(32, 48), nn.SiLU(), nn.Linear(48, 24))
optimizers = {p: torch.optim.AdamW([p], lr=3e-3) for p in model.parameters()}


def hook(parameter):
    optimizers[parameter].step()
    optimizers[parameter].zero_grad()


for p in model.parameters():
    p.register_post_accumulate_grad_hook(hook)
for step in range(8):
    ids = torch.randint(0, 24, (12, 9))
    loss = nn.functional.cross_entropy(model(ids).flatten(0, 1), ((7 * ids + 2) % 24).flatten())
    loss.backward()
    print(step, loss.item())
