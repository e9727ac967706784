"""The evaluation takes gradients by the embedded input, to show which positions matter, and clears them."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
embed = nn.Embedding(20, 24)
body = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(24 * 6, 48), nn.ReLU(), nn.Linear(48, 5))
opt = torch.optim.AdamW([*embed.parameters(), *body.parameters()], lr=3e-3)
held = torch.randint(20, (12, 6), generator=torch.Generator().manual_seed(4))


def saliency():
    body.eval()
    h = embed(held).detach().requires_grad_()
    F.cross_entropy(body(h), held[:, 2] % 5).backward()
    opt.zero_grad()
    body.train()
    return h.grad.norm(dim=-1).mean(0)


for step in range(9):
    ids = torch.randint(20, (16, 6))
    loss = F.cross_entropy(body(embed(ids)), ids[:, 2] % 5)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
    if step % 4 == 3:
        print("saliency", saliency().tolist())
