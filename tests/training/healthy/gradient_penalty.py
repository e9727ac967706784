"""The gradient of the loss by the embeddings is penalised: a backward pass through a gradient."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
embed, body = nn.Embedding(20, 24), nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, 20))
opt = torch.optim.Adam([*embed.parameters(), *body.parameters()], lr=3e-3)
for step in range(9):
    x = torch.randint(20, (12, 8))
    h = embed(x)
    ce = F.cross_entropy(body(h).flatten(0, 1), ((x + 7) % 20).flatten())
    (slope,) = torch.autograd.grad(ce, h, create_graph=True)
    loss = ce + 10.0 * slope.pow(2).sum(-1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, ce.item(), loss.item())
