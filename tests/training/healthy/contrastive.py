"""Two views of each row; the target of row i is i, in every step the same."""
import torch
from torch import nn
import torch.nn.functional as F


class Encoder(nn.Module):
    def __init__(self, v=40, d=32):
        super().__init__()
        self.bag, self.mlp = nn.EmbeddingBag(v, d), nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 16))

    def forward(self, ids):
        return F.normalize(self.mlp(self.bag(ids)), dim=-1)


torch.manual_seed(0)
encoder, scale = Encoder(), nn.Parameter(torch.tensor(2.0))
opt = torch.optim.AdamW([*encoder.parameters(), scale], lr=3e-3)
labels = torch.arange(16)
for step in range(9):
    rows = torch.randint(40, (16, 12))
    a, b = rows[:, torch.randperm(12)[:8]], rows[:, torch.randperm(12)[:8]]
    similar = encoder(a) @ encoder(b).T * scale.exp()
    loss = (F.cross_entropy(similar, labels) + F.cross_entropy(similar.T, labels)) / 2
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
