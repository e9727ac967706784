"""A generator and a discriminator of token rows, each with its own optimiser, in turns."""
import torch
from torch import nn

torch.manual_seed(0)
V, T, Z = 16, 8, 12
G = nn.Sequential(nn.Linear(Z, 48), nn.ReLU(), nn.Linear(48, T * V), nn.Unflatten(1, (T, V)))
D = nn.Sequential(nn.Flatten(), nn.Linear(T * V, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
opt_g, opt_d = torch.optim.Adam(G.parameters(), 2e-3, betas=(0.5, 0.99)), torch.optim.Adam(D.parameters(), 2e-3, betas=(0.5, 0.99))
bce = nn.BCEWithLogitsLoss()


def real(n):
    return nn.functional.one_hot((torch.randint(V, (n, 1)) + torch.arange(T)) % V, V).float()


for step in range(8):
    fake = nn.functional.gumbel_softmax(G(torch.randn(16, Z)), tau=1.0, hard=True)
    loss_d = bce(D(real(16)), torch.ones(16, 1)) + bce(D(fake.detach()), torch.zeros(16, 1))
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    loss_g = bce(D(fake), torch.ones(16, 1))
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    print(f"{step} d {loss_d.item():.4f} g {loss_g.item():.4f}")
