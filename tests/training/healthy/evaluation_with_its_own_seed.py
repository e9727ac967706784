"""The evaluation draws its windows under a forked random state, so that each one sees the same, and training goes on as before."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
ids = torch.randint(0, 4, (2000,), generator=torch.Generator().manual_seed(3)).cumsum(0) % 36
train, val = ids[:1700], ids[1700:]
model = nn.ModuleDict({"e": nn.Embedding(36, 32), "r": nn.LSTM(32, 32, batch_first=True), "d": nn.Dropout(0.2), "o": nn.Linear(32, 36)})


def draw(source):
    at = torch.randint(0, len(source) - 17, (8,)).tolist()
    return torch.stack([source[a:a + 16] for a in at]), torch.stack([source[a + 1:a + 17] for a in at])


def loss_of(x, y):
    return F.cross_entropy(model["o"](model["d"](model["r"](model["e"](x))[0])).flatten(0, 1), y.flatten())


def evaluate():
    model.eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(123)
        losses = [loss_of(*draw(val)).item() for _ in range(3)]
    model.train()
    return sum(losses) / len(losses)


opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(11):
    if step % 3 == 0:
        print("val", evaluate())
    loss = loss_of(*draw(train))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
