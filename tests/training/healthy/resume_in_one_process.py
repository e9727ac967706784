"""Saves after a few steps, builds everything anew, loads all of it and goes on."""
import io
import numpy as np
import torch
from torch import nn


class LM(nn.Module):
    def __init__(self, v=40, d=32):
        super().__init__()
        self.e = nn.Embedding(v, d)
        self.r = nn.LSTM(d, d, batch_first=True)
        self.d, self.o = nn.Dropout(0.1), nn.Linear(d, v)

    def forward(self, x):
        return self.o(self.d(self.r(self.e(x))[0]))


def setup():
    m = LM()
    o = torch.optim.AdamW(m.parameters(), lr=3e-3)
    return m, o, torch.optim.lr_scheduler.LinearLR(o, 0.2, 1.0, total_iters=5)


def run(m, o, s, ids, first, last):
    m.train()
    for step in range(first, last):
        at = np.random.randint(0, len(ids) - 14, size=8)
        rows = torch.stack([ids[a:a + 14] for a in at])
        loss = nn.functional.cross_entropy(m(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        o.zero_grad()
        loss.backward()
        o.step()
        s.step()
        print(step, f"{loss.item():.5f}", s.get_last_lr()[0])


torch.manual_seed(0)
np.random.seed(4)
ids = torch.randint(0, 4, (900,), generator=torch.Generator().manual_seed(9)).cumsum(0) % 40
m, o, s = setup()
run(m, o, s, ids, 0, 4)
f = io.BytesIO()
torch.save(dict(m=m.state_dict(), o=o.state_dict(), s=s.state_dict(), step=4, t=torch.get_rng_state(), n=np.random.get_state()), f)
m, o, s = setup()
f.seek(0)
c = torch.load(f, weights_only=False)
m.load_state_dict(c["m"]), o.load_state_dict(c["o"]), s.load_state_dict(c["s"])
torch.set_rng_state(c["t"])
np.random.set_state(c["n"])
run(m, o, s, ids, c["step"], 9)
