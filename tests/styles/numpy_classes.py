"""Layers from scratch in NumPy: classes that hold arrays, forward and backward methods, gradients in attributes."""

import numpy as np


class Linear:
    def __init__(self, in_features, out_features):
        limit = 1.0 / np.sqrt(in_features)
        self.weight = np.random.uniform(-limit, limit, (out_features, in_features))
        self.bias = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, grad):
        flat, x = grad.reshape(-1, grad.shape[-1]), self.x.reshape(-1, self.x.shape[-1])
        self.grad_weight, self.grad_bias = flat.T @ x, flat.sum(0)
        return grad @ self.weight


class LayerNorm:
    def __init__(self, width, eps=1e-5):
        self.gamma, self.beta, self.eps = np.ones(width), np.zeros(width), eps

    def forward(self, x):
        self.std = np.sqrt(x.var(-1, keepdims=True) + self.eps)
        self.normal = (x - x.mean(-1, keepdims=True)) / self.std
        return self.gamma * self.normal + self.beta

    def backward(self, grad):
        axes = tuple(range(grad.ndim - 1))
        self.grad_gamma, self.grad_beta = (grad * self.normal).sum(axes), grad.sum(axes)
        g = grad * self.gamma
        return (g - g.mean(-1, keepdims=True) - self.normal * (g * self.normal).mean(-1, keepdims=True)) / self.std


class GELU:
    def forward(self, x):
        self.x = x
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    def backward(self, grad):
        x, c = self.x, np.sqrt(2 / np.pi)
        t = np.tanh(c * (x + 0.044715 * x**3))
        return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2))


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        self.y = e / e.sum(-1, keepdims=True)
        return self.y

    def backward(self, grad):
        return self.y * (grad - (grad * self.y).sum(-1, keepdims=True))


class Embedding:
    def __init__(self, vocab_size, width):
        self.weight = np.random.randn(vocab_size, width)

    def forward(self, ids):
        self.ids = ids
        return self.weight[ids]
