"""One recurrent model reads forwards and predicts the next token, another reads backwards and predicts the one before."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
V = 26
embed, out = nn.Embedding(V, 32), nn.Linear(32, V)
forwards, backwards = nn.GRU(32, 32, batch_first=True), nn.GRU(32, 32, batch_first=True)
params = [p for m in (embed, out, forwards, backwards) for p in m.parameters()]
opt = torch.optim.Adam(params, lr=3e-3)
for step in range(9):
    s = (torch.randint(V, (8, 1)) + torch.arange(12) * torch.randint(1, 4, (8, 1))) % V
    h = forwards(embed(s[:, :-1]))[0]
    g = backwards(embed(s[:, 1:].flip(1)))[0].flip(1)
    after = F.cross_entropy(out(h).flatten(0, 1), s[:, 1:].flatten())
    before = F.cross_entropy(out(g).flatten(0, 1), s[:, :-1].flatten())
    loss = after + before
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    print(step, after.item(), before.item())
