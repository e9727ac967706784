"""Several documents in a row: no position sees another document, positions begin anew, no target crosses a boundary."""
import torch
from torch import nn
import torch.nn.functional as F

V, T = 26, 24


def pack(g):
    ids, doc, pos, n = [], [], [], 0
    while len(ids) < T + 1:
        size = torch.randint(4, 11, (1,), generator=g).item()
        start = torch.randint(0, V, (1,), generator=g).item()
        ids += [(start + i) % V for i in range(size)]
        doc += [n] * size
        pos += range(size)
        n += 1
    ids, doc, pos = (torch.tensor(z[:T + 1]) for z in (ids, doc, pos))
    targets = torch.where(doc[1:] == doc[:-1], ids[1:], -100)
    return ids[:-1], targets, doc[:-1], pos[:-1]


class Packed(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.e, self.p, self.n = nn.Embedding(V, d), nn.Embedding(T, d), nn.LayerNorm(d)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.h = nn.Linear(d, V)

    def forward(self, ids, doc, pos):
        x = self.e(ids) + self.p(pos)
        q, k, v = (f(self.n(x)).unflatten(-1, (2, 16)).transpose(1, 2) for f in (self.q, self.k, self.v))
        same = doc[:, :, None] == doc[:, None, :]
        mask = (same & torch.ones(T, T, dtype=torch.bool).tril())[:, None]
        return self.h(x + self.o(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)))


torch.manual_seed(0)
g = torch.Generator().manual_seed(3)
model = Packed()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
for step in range(9):
    ids, targets, doc, pos = (torch.stack(z) for z in zip(*(pack(g) for _ in range(6))))
    loss = F.cross_entropy(model(ids, doc, pos).flatten(0, 1), targets.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
