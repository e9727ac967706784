"""A policy writes tokens, gets a reward for even ones, and is trained by the score function with a moving baseline."""
import torch
from torch import nn


class Policy(nn.Module):
    def __init__(self, v=12, d=24):
        super().__init__()
        self.e, self.cell, self.o = nn.Embedding(v + 1, d), nn.GRUCell(d, d), nn.Linear(d, v)

    def rollout(self, n, length):
        token, state, ids, logp = torch.full((n,), 12), torch.zeros(n, 24), [], []
        for _ in range(length):
            state = self.cell(self.e(token), state)
            choice = torch.distributions.Categorical(logits=self.o(state))
            token = choice.sample()
            ids.append(token)
            logp.append(choice.log_prob(token))
        return torch.stack(ids, 1), torch.stack(logp, 1)


torch.manual_seed(0)
policy, baseline = Policy(), 0.5
opt = torch.optim.Adam(policy.parameters(), lr=5e-3)
for step in range(9):
    ids, logp = policy.rollout(16, 6)
    reward = (ids % 2 == 0).float().mean(1)
    loss = -((reward - baseline)[:, None] * logp).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    baseline = 0.8 * baseline + 0.2 * reward.mean().item()
    print(step, reward.mean().item(), loss.item())
