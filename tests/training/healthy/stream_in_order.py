"""One pass over the tokens in order, without shuffling; validation on the tokens behind them."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
tokens = (torch.randint(1, 4, (4000,), generator=torch.Generator().manual_seed(6)).cumsum(0) + 1) % 45
train, val = tokens[:3600], tokens[3600:]
B, T = 6, 20


class Loader:
    def __init__(self, ids):
        self.ids, self.at = ids, 0

    def __iter__(self):
        return self

    def __next__(self):
        chunk = self.ids[self.at:self.at + B * T + 1]
        self.at += B * T
        if len(chunk) < B * T + 1:
            raise StopIteration
        return chunk[:-1].view(B, T), chunk[1:].view(B, T)


model = nn.ModuleDict({"wte": nn.Embedding(45, 32), "gru": nn.GRU(32, 32, batch_first=True), "head": nn.Linear(32, 45)})


def loss_of(x, y):
    return F.cross_entropy(model["head"](model["gru"](model["wte"](x))[0]).flatten(0, 1), y.flatten())


opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step, (x, y) in enumerate(Loader(train)):
    if step == 11:
        break
    opt.zero_grad()
    loss = loss_of(x, y)
    loss.backward()
    opt.step()
    if step % 3 == 0:
        with torch.no_grad():
            print("val", torch.stack([loss_of(*b) for b in Loader(val)]).mean().item())
    print(step, loss.item())
