"""Preferences: log probabilities of a better and a worse answer, against a frozen copy of the model."""
import copy
import torch
from torch import nn
import torch.nn.functional as F


class Policy(nn.Module):
    def __init__(self, v=22, d=32):
        super().__init__()
        self.e, self.g, self.o = nn.Embedding(v, d), nn.GRU(d, d, batch_first=True), nn.Linear(d, v)

    def forward(self, ids):
        return self.o(self.g(self.e(ids))[0])


def log_probability(model, ids, prompt):
    logp = F.log_softmax(model(ids[:, :-1]), -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return logp[:, prompt - 1:].sum(-1)


torch.manual_seed(0)
policy = Policy()
reference = copy.deepcopy(policy).eval()
for p in reference.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.RMSprop(policy.parameters(), lr=1e-3)
beta, prompt = 0.1, 4
for step in range(9):
    question = torch.randint(0, 22, (8, prompt))
    good = torch.cat([question, (question[:, -1:] + torch.arange(1, 5)) % 22], 1)
    bad = torch.cat([question, torch.randint(0, 22, (8, 4))], 1)
    with torch.no_grad():
        base = log_probability(reference, good, prompt) - log_probability(reference, bad, prompt)
    margin = log_probability(policy, good, prompt) - log_probability(policy, bad, prompt) - base
    loss = -F.logsigmoid(beta * margin).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item(), (margin > 0).float().mean().item())
