"""Sums over micro-batches of unequal length, divided by the tokens of the whole step. The gradients are divided, not the loss."""
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
g = torch.Generator().manual_seed(1)
V, D = 30, 24


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.rnn, self.out = nn.Embedding(V, D), nn.GRU(D, D, batch_first=True), nn.Linear(D, V)

    def forward(self, x):
        return self.out(self.rnn(self.wte(x))[0])


def sentences():
    n = torch.randint(4, 15, (1,), generator=g).item()
    return (torch.randint(0, V, (1,), generator=g) + torch.arange(n) * 2) % V


model = LM()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(9):
    optimizer.zero_grad(set_to_none=True)
    total, count = 0.0, 0
    for _ in range(3):
        rows = [sentences() for _ in range(5)]
        x = nn.utils.rnn.pad_sequence([r[:-1] for r in rows], batch_first=True)
        y = nn.utils.rnn.pad_sequence([r[1:] for r in rows], batch_first=True, padding_value=-100)
        loss = F.cross_entropy(model(x).transpose(1, 2), y, reduction="sum")
        loss.backward()
        total, count = total + loss.item(), count + (y != -100).sum().item()
    for p in model.parameters():
        p.grad /= count
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(f"{step} {total / count:.4f}")
