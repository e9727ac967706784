"""Matrices of the body are updated by an orthogonalised momentum, everything else by AdamW: two optimisers in every step."""
import torch
from torch import nn


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.9):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                buf = self.state[p].setdefault("buf", torch.zeros_like(p))
                buf.mul_(group["momentum"]).add_(p.grad)
                x = buf / (buf.norm() + 1e-7)
                for _ in range(5):
                    x = 1.5 * x - 0.5 * x @ x.T @ x
                p.sub_(x, alpha=group["lr"] * max(1, p.size(0) / p.size(1)) ** 0.5)


class Net(nn.Module):
    def __init__(self, v=30, d=32):
        super().__init__()
        self.e, self.n, self.up, self.down, self.o = nn.Embedding(v, d), nn.LayerNorm(d), nn.Linear(d, 48, bias=False), nn.Linear(48, d, bias=False), nn.Linear(d, v)

    def forward(self, x):
        h = self.e(x)
        return self.o(h + self.down(torch.relu(self.up(self.n(h))).square()))


torch.manual_seed(0)
net = Net()
matrices = [net.up.weight, net.down.weight]
others = [p for p in net.parameters() if all(p is not m for m in matrices)]
optimizers = [Muon(matrices), torch.optim.AdamW(others, lr=3e-3)]
for step in range(8):
    x = torch.randint(0, 30, (10, 12))
    loss = nn.functional.cross_entropy(net(x).flatten(0, 1), ((x * 7) % 30).flatten())
    for opt in optimizers:
        opt.zero_grad()
    loss.backward()
    for opt in optimizers:
        opt.step()
    print(step, loss.item())
