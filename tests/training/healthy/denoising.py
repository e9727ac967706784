"""A denoising model: the targets are the clean ids at the same places, the input has a quarter of them replaced."""
import torch
from torch import nn

torch.manual_seed(0)
V = 30
embed, pos, head = nn.Embedding(V, 32), nn.Parameter(torch.randn(12, 32) * 0.02), nn.Linear(32, V)
layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
params = [*embed.parameters(), pos, *layer.parameters(), *head.parameters()]
opt = torch.optim.AdamW(params, lr=2e-3)
for step in range(9):
    clean = (torch.randint(V, (10, 1)) + torch.arange(12)) % V
    noisy = torch.where(torch.rand(clean.shape) < 0.25, torch.randint(V, clean.shape), clean)
    loss = nn.functional.cross_entropy(head(layer(embed(noisy) + pos)).flatten(0, 1), clean.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
