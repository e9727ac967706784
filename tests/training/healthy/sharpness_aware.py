"""Two backward passes in a step: uphill along the gradient, the gradient there, and back."""
import torch
from torch import nn


class LM(nn.Module):
    def __init__(self, v=30, d=32):
        super().__init__()
        self.e, self.g, self.o = nn.Embedding(v, d), nn.GRU(d, d, batch_first=True), nn.Linear(d, v)

    def forward(self, x):
        return self.o(self.g(self.e(x))[0])


torch.manual_seed(0)
model = LM()
base = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)


def loss_of(s):
    return nn.functional.cross_entropy(model(s[:, :-1]).flatten(0, 1), s[:, 1:].flatten())


for step in range(9):
    s = (torch.randint(30, (8, 1)) + torch.arange(12) * 7) % 30
    loss = loss_of(s)
    loss.backward()
    with torch.no_grad():
        norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
        moves = [p.grad * (0.05 / (norm + 1e-12)) for p in model.parameters()]
        for p, e in zip(model.parameters(), moves):
            p.add_(e)
    base.zero_grad()
    loss_of(s).backward()
    with torch.no_grad():
        for p, e in zip(model.parameters(), moves):
            p.sub_(e)
    base.step()
    base.zero_grad()
    print(step, loss.item())
