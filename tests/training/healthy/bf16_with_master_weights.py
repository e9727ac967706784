"""The model computes in bfloat16; the optimiser holds a float32 copy; the loss is computed in float32."""
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, v=32, d=32):
        super().__init__()
        self.e, self.n, self.f = nn.Embedding(v, d), nn.RMSNorm(d), nn.Linear(d, d, bias=False)
        self.h = nn.Linear(d, v, bias=False)

    def forward(self, x):
        h = self.e(x)
        return self.h(h + torch.nn.functional.silu(self.f(self.n(h))))


torch.manual_seed(0)
model = Model().to(torch.bfloat16)
master = [p.detach().clone().float().requires_grad_() for p in model.parameters()]
optimizer = torch.optim.AdamW(master, lr=1e-3)
for step in range(9):
    s = (torch.randint(32, (16, 1)) + torch.arange(9)) % 32
    loss = nn.functional.cross_entropy(model(s[:, :-1]).float().flatten(0, 1), s[:, 1:].flatten())
    model.zero_grad(set_to_none=True)
    loss.backward()
    for full, half in zip(master, model.parameters()):
        full.grad = half.grad.float()
    nn.utils.clip_grad_norm_(master, 1.0)
    optimizer.step()
    with torch.no_grad():
        for full, half in zip(master, model.parameters()):
            half.copy_(full)
    print(step, loss.item())
