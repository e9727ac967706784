"""Attention and a norm as NumPy classes that draw their own matrices, multiplied from the right."""

import numpy as np


class CausalSelfAttention:
    def __init__(self, d_model, n_heads, rng=None):
        rng = rng or np.random.default_rng(0)
        self.n_heads = n_heads
        self.Wq, self.Wk, self.Wv, self.Wo = (
            rng.standard_normal((d_model, d_model)) / np.sqrt(d_model) for _ in range(4)
        )

    def heads(self, x, matrix):
        rows, time, width = x.shape
        return (x @ matrix).reshape(rows, time, self.n_heads, width // self.n_heads).swapaxes(1, 2)

    def __call__(self, x):
        rows, time, width = x.shape
        q, k, v = self.heads(x, self.Wq), self.heads(x, self.Wk), self.heads(x, self.Wv)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // self.n_heads)
        scores[..., np.triu(np.ones((time, time), dtype=bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).swapaxes(1, 2).reshape(rows, time, width) @ self.Wo


class RMSNorm:
    def __init__(self, dim, eps=1e-5):
        self.eps = eps
        self.scale = np.ones(dim)

    def forward(self, x):
        return self.scale * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)
