"""The model returns its loss, in chunks of the sequence, so that no large tensor of logits is ever made."""
import torch
from torch import nn
import torch.nn.functional as F


class Chunked(nn.Module):
    def __init__(self, v=50, d=32):
        super().__init__()
        self.e, self.q, self.n, self.w = nn.Embedding(v, d), nn.GRU(d, d, batch_first=True), nn.LayerNorm(d), nn.Linear(d, v, bias=False)

    def forward(self, ids, chunk=7):
        h, y = self.n(self.q(self.e(ids[:, :-1]))[0]).flatten(0, 1), ids[:, 1:].flatten()
        total = h.new_zeros(())
        for a, b in zip(h.split(chunk), y.split(chunk)):
            total = total + F.cross_entropy(self.w(a), b, reduction="sum")
        return total / len(y)


torch.manual_seed(0)
model = Chunked()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(9):
    opt.zero_grad()
    loss = model((torch.randint(50, (6, 1)) + torch.arange(16) * 3) % 50)
    loss.backward()
    opt.step()
    print(step, loss.item())
