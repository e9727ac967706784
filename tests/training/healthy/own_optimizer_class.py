"""An own subclass of Optimizer: AdamW with the decay in its own loop."""
import math
import torch
from torch import nn


class MyAdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s["t"], s["m"], s["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                s["t"] += 1
                s["m"].lerp_(p.grad, 1 - b1)
                s["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                size = group["lr"] * math.sqrt(1 - b2 ** s["t"]) / (1 - b1 ** s["t"])
                if p.dim() > 1:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                p.addcdiv_(s["m"], s["v"].sqrt().add_(group["eps"]), value=-size)


class Net(nn.Module):
    def __init__(self, v=26, d=32):
        super().__init__()
        self.e, self.n, self.h = nn.Embedding(v, d), nn.LayerNorm(d), nn.Linear(d, v)
        self.conv = nn.Conv1d(d, d, 3)

    def forward(self, x):
        z = self.e(x).transpose(1, 2)
        return self.h(self.n(torch.relu(self.conv(nn.functional.pad(z, (2, 0)))).transpose(1, 2)))


torch.manual_seed(0)
net = Net()
opt = MyAdamW(net.parameters(), lr=3e-3)
ce = nn.CrossEntropyLoss()
for i in range(10):
    s = (torch.randint(26, (12, 1)) + torch.arange(17) * torch.randint(1, 4, (12, 1))) % 26
    opt.zero_grad()
    loss = ce(net(s[:, :-1]).reshape(-1, 26), s[:, 1:].reshape(-1))
    loss.backward()
    opt.step()
    print(f"{i}: {loss.item():.4f}")
