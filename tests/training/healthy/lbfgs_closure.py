"""LBFGS evaluates the loss several times in a step, through a closure."""
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randint(0, 15, (96, 4), generator=torch.Generator().manual_seed(2))
y = x.sum(1) % 15
model = nn.Sequential(nn.Embedding(15, 8), nn.Flatten(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 15))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss


for step in range(9):
    loss = optimizer.step(closure)
    print(step, loss.item())
