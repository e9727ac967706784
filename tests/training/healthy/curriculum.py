"""The context grows during training, the batch shrinks, so that a step has about the same number of tokens."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
stream = torch.randint(0, 3, (3000,), generator=torch.Generator().manual_seed(8)).cumsum(0) % 38
model = nn.ModuleDict(dict(emb=nn.Embedding(38, 32), pos=nn.Embedding(32, 32), layer=nn.TransformerEncoderLayer(32, 2, 64, 0.0, batch_first=True, norm_first=True), head=nn.Linear(32, 38)))
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(10):
    T = 4 * (1 + step // 2) + 4
    B = 160 // T
    at = torch.randint(0, len(stream) - T - 1, (B,)).tolist()
    x, y = torch.stack([stream[a:a + T] for a in at]), torch.stack([stream[a + 1:a + T + 1] for a in at])
    h = model["layer"](model["emb"](x) + model["pos"].weight[:T], src_mask=torch.triu(torch.ones(T, T, dtype=torch.bool), 1))
    loss = F.cross_entropy(model["head"](h).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"step {step} context {T} batch {B} loss {loss.item():.4f}")
