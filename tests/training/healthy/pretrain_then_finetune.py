"""Two phases with one model: a new optimiser with a smaller rate begins with the second, on other data, on purpose."""
import torch
from torch import nn


class LM(nn.Module):
    def __init__(self, v=32, d=32):
        super().__init__()
        self.e, self.r, self.o = nn.Embedding(v, d), nn.LSTM(d, d, batch_first=True), nn.Linear(d, v)

    def forward(self, ids):
        return self.o(self.r(self.e(ids))[0])


def phase(model, optimizer, stride, steps, name):
    model.train()
    for step in range(steps):
        s = (torch.randint(32, (8, 1)) + stride * torch.arange(14)) % 32
        loss = nn.functional.cross_entropy(model(s[:, :-1]).transpose(1, 2), s[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(name, step, loss.item())


torch.manual_seed(0)
model = LM()
phase(model, torch.optim.AdamW(model.parameters(), lr=5e-3), 1, 5, "pretrain")
phase(model, torch.optim.AdamW(model.parameters(), lr=1e-3), 3, 5, "finetune")
