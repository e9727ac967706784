"""The model is compiled; its evaluation uses the module that was compiled."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Mixer(nn.Module):
    def __init__(self, v=32, t=12, d=24):
        super().__init__()
        self.wte = nn.Embedding(v, d)
        self.mix = nn.Parameter(torch.randn(t, t) * 0.02)
        self.norm, self.ff = nn.LayerNorm(d), nn.Sequential(nn.Linear(d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d))
        self.head = nn.Linear(d, v, bias=False)

    def forward(self, x):
        h = self.wte(x)
        h = h + torch.tril(self.mix)[: x.size(1), : x.size(1)] @ h
        return self.head(h + self.ff(self.norm(h)))


torch.manual_seed(0)
raw_model = Mixer()
model = torch.compile(raw_model, backend="eager")
optimizer = torch.optim.AdamW(raw_model.parameters(), lr=3e-3)
for step in range(9):
    seq = (torch.randint(32, (8, 1)) + 5 * torch.arange(13)) % 32
    loss = F.cross_entropy(model(seq[:, :-1]).reshape(-1, 32), seq[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f}")
    if step % 4 == 3:
        raw_model.eval()
        with torch.no_grad():
            seq = (torch.arange(32)[:, None] + 5 * torch.arange(13)) % 32
            print("all", F.cross_entropy(raw_model(seq[:, :-1]).reshape(-1, 32), seq[:, 1:].reshape(-1)).item())
        raw_model.train()
