"""Layers as plain classes over torch tensors, without torch.nn.Module, as a first lecture writes them."""

import torch
import torch.nn.functional as F


class LayerNorm1d:
    def __init__(self, dim, eps=1e-5):
        self.eps = eps
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)

    def __call__(self, x):
        centred = x - x.mean(-1, keepdim=True)
        self.out = self.gamma * centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + self.eps) + self.beta
        return self.out

    def parameters(self):
        return [self.gamma, self.beta]


class FeedForward:
    def __init__(self, d_model):
        self.W1 = torch.randn(d_model, 4 * d_model) / d_model**0.5
        self.b1 = torch.zeros(4 * d_model)
        self.W2 = torch.randn(4 * d_model, d_model) / (4 * d_model) ** 0.5
        self.b2 = torch.zeros(d_model)

    def __call__(self, x):
        self.hidden = F.gelu(x @ self.W1 + self.b1, approximate="tanh")
        return self.hidden @ self.W2 + self.b2

    def parameters(self):
        return [self.W1, self.b1, self.W2, self.b2]
