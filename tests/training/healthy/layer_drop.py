"""Whole layers are skipped at random in training. A skipped layer has no gradient in that step."""
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, v=26, d=32, n=4):
        super().__init__()
        self.e, self.o = nn.Embedding(v, d), nn.Linear(d, v)
        self.layers = nn.ModuleList(nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, d)) for _ in range(n))

    def forward(self, x):
        h = self.e(x)
        for layer in self.layers:
            if not self.training or torch.rand(()) > 0.4:
                h = h + layer(h)
        return self.o(h)


torch.manual_seed(0)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.2)
for step in range(10):
    net.train()
    x = torch.randint(0, 26, (12, 10))
    loss = nn.functional.cross_entropy(net(x).flatten(0, 1), (25 - x).flatten())
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print(step, loss.item())
    if step % 4 == 1:
        net.eval()
        with torch.no_grad():
            print("all layers", nn.functional.cross_entropy(net(x).flatten(0, 1), (25 - x).flatten()).item())
