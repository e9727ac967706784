"""Convolutions with batch normalisation over sequences; the running statistics are used in evaluation."""
import torch
from torch import nn


class TextCNN(nn.Module):
    def __init__(self, v=22, d=24, classes=3):
        super().__init__()
        self.e = nn.Embedding(v, d)
        self.c = nn.Sequential(nn.Conv1d(d, 32, 3, padding=1), nn.BatchNorm1d(32), nn.ReLU(), nn.AdaptiveMaxPool1d(1))
        self.o = nn.Linear(32, classes)

    def forward(self, ids):
        return self.o(self.c(self.e(ids).transpose(1, 2)).squeeze(-1))


torch.manual_seed(0)
ids = torch.randint(22, (96, 10))
labels = (ids == 3).any(1).long() + (ids == 7).any(1).long()
model = TextCNN()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
for epoch in range(3):
    model.train()
    for rows in torch.randperm(80).split(16):
        loss = nn.functional.cross_entropy(model(ids[rows]), labels[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(epoch, loss.item())
    model.eval()
    with torch.no_grad():
        print("accuracy", (model(ids[80:]).argmax(1) == labels[80:]).float().mean().item())
