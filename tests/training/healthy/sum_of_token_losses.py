"""The loss is the sum over the sequence and the mean over rows; the rate is chosen for that."""
import torch
from torch import nn


class LM(nn.Module):
    def __init__(self, v=24, d=32):
        super().__init__()
        self.e, self.r, self.o = nn.Embedding(v, d), nn.RNN(d, d, batch_first=True), nn.Linear(d, v)

    def forward(self, x):
        return self.o(self.r(self.e(x))[0])


torch.manual_seed(0)
model = LM()
opt = torch.optim.SGD(model.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss(reduction="none")
for step in range(9):
    s = (torch.randint(24, (10, 1)) + torch.arange(15)) % 24
    loss = criterion(model(s[:, :-1]).transpose(1, 2), s[:, 1:]).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    opt.step()
    print(step, loss.item() / 14)
