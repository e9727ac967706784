"""A script that parses its arguments when it is imported, with sizes from them in its classes and a file that must exist."""

import argparse
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser(description="Train a small language model")
parser.add_argument("data", help="a file of tokens")
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--heads", type=int, default=4)
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

if not os.path.exists(args.data):
    raise SystemExit(f"no such file: {args.data}")
os.makedirs("checkpoints", exist_ok=True)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.w1 = nn.Linear(dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden_dim, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


def lm_loss(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=ignore_index)


tokens = torch.load(args.data)
norm, feed_forward = RMSNorm(args.hidden).to(args.device), SwiGLU(args.hidden, 4 * args.hidden).to(args.device)
optimizer = torch.optim.SGD([*norm.parameters(), *feed_forward.parameters()], lr=0.1)
for step in range(1000):
    loss = feed_forward(norm(torch.randn(8, args.hidden))).square().mean()
    loss.backward()
    optimizer.step()
    torch.save(feed_forward.state_dict(), f"checkpoints/{step}.pt")
