"""All windows of a text, one token apart, through a shuffling loader: rows overlap, splits do not."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):
    def __init__(self, ids, size):
        self.ids, self.size = ids, size

    def __len__(self):
        return len(self.ids) - self.size

    def __getitem__(self, i):
        return self.ids[i:i + self.size], self.ids[i + 1:i + self.size + 1]


torch.manual_seed(0)
ids = torch.randint(1, 4, (400,), generator=torch.Generator().manual_seed(2)).cumsum(0) % 35
train, val = Windows(ids[:340], 12), Windows(ids[340:], 12)
model = nn.ModuleDict({"e": nn.Embedding(35, 32), "r": nn.GRU(32, 32, batch_first=True), "o": nn.Linear(32, 35)})
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)


def loss_of(x, y):
    return nn.functional.cross_entropy(model["o"](model["r"](model["e"](x))[0]).flatten(0, 1), y.flatten())


for epoch in range(2):
    for step, (x, y) in enumerate(DataLoader(train, batch_size=64, shuffle=True)):
        opt.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        opt.step()
        print(epoch, step, loss.item())
    with torch.no_grad():
        total = [(loss_of(x, y).item() * len(x), len(x)) for x, y in DataLoader(val, batch_size=32)]
    print("val", sum(a for a, _ in total) / sum(b for _, b in total))
