"""Two losses on one trunk, each with its own backward pass before the one step; the graph is kept for the second."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
trunk = nn.Sequential(nn.Embedding(25, 32), nn.Linear(32, 32), nn.ReLU())
words, tags = nn.Linear(32, 25), nn.Linear(32, 4)
opt = torch.optim.AdamW([*trunk.parameters(), *words.parameters(), *tags.parameters()], lr=3e-3)
for step in range(9):
    x = torch.randint(25, (10, 9))
    h = trunk(x)
    opt.zero_grad()
    first = F.cross_entropy(words(h).flatten(0, 1), ((x + 1) % 25).flatten())
    first.backward(retain_graph=True)
    second = F.cross_entropy(tags(h).flatten(0, 1), (x % 4).flatten())
    (0.5 * second).backward()
    opt.step()
    print(step, first.item(), second.item())
