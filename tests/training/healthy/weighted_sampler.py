"""A loader without workers, a sampler with weights and replacement, and a batch that is dropped at the end."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler


class Counting(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.start, self.stride = torch.randint(0, 32, (n,), generator=g), torch.randint(1, 6, (n,), generator=g)

    def __len__(self):
        return len(self.start)

    def __getitem__(self, i):
        row = (self.start[i] + self.stride[i] * torch.arange(12)) % 32
        return row[:-1], row[1:]


torch.manual_seed(0)
data = Counting(150, 1)
sampler = WeightedRandomSampler(1.0 / data.stride, num_samples=50, replacement=True)
loader = DataLoader(data, batch_size=16, sampler=sampler, num_workers=0, drop_last=True)
model = nn.Sequential(nn.Embedding(32, 32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32))
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
for epoch in range(4):
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x).transpose(1, 2), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
