"""Gradients are clipped by value; the norm is only measured, with a limit of infinity."""
import torch
from torch import nn


class CharRNN(nn.Module):
    def __init__(self, n=34, h=32):
        super().__init__()
        self.encode, self.cell, self.decode, self.h = nn.Embedding(n, h), nn.GRUCell(h, h), nn.Linear(h, n), h

    def forward(self, ids):
        state, out = torch.zeros(ids.size(0), self.h), []
        for t in range(ids.size(1)):
            state = self.cell(self.encode(ids[:, t]), state)
            out.append(self.decode(state))
        return torch.stack(out, 1)


torch.manual_seed(0)
net = CharRNN()
opt = torch.optim.SGD(net.parameters(), lr=0.5)
for step in range(9):
    seq = (torch.randint(34, (8, 1)) + torch.arange(10)) % 34
    loss = nn.functional.cross_entropy(net(seq[:, :-1]).flatten(0, 1), seq[:, 1:].flatten())
    net.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), float("inf"))
    nn.utils.clip_grad_value_(net.parameters(), 0.05)
    opt.step()
    print(step, loss.item(), norm.item())
