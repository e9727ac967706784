"""Top-1 routing: an expert without tokens has no gradient in that step. A balancing loss is added."""
import torch
from torch import nn
import torch.nn.functional as F


class MoE(nn.Module):
    def __init__(self, d, n=6):
        super().__init__()
        self.gate = nn.Linear(d, n, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d)) for _ in range(n))

    def forward(self, x):
        flat = x.flatten(0, 1)
        probs = self.gate(flat).softmax(-1)
        weight, chosen = probs.max(-1)
        out = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            at = (chosen == i).nonzero().squeeze(-1)
            if len(at):
                out[at] = expert(flat[at]) * weight[at, None]
        share = F.one_hot(chosen, probs.size(-1)).float().mean(0)
        return out.view_as(x), (share * probs.mean(0)).sum() * len(self.experts)


class LM(nn.Module):
    def __init__(self, v=12, d=24):
        super().__init__()
        self.e, self.n, self.moe, self.o = nn.Embedding(v, d), nn.LayerNorm(d), MoE(d), nn.Linear(d, v)

    def forward(self, x):
        h = self.e(x)
        y, balance = self.moe(self.n(h))
        return self.o(h + y), balance


torch.manual_seed(0)
model = LM()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(9):
    s = (torch.randint(12, (2, 1)) + torch.arange(5)) % 12
    logits, balance = model(s[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), s[:, 1:].flatten()) + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
