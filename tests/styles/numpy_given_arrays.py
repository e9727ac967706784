"""A NumPy class that is given its matrices: what it is built from cannot be seen, so it says what to write."""

import numpy as np


def gelu(x):
    return x * 0.5 * (np.tanh((x + 0.044715 * x**3) * np.sqrt(2.0 / np.pi)) + 1.0)


class MLP:
    def __init__(self, w1, b1, w2, b2):
        self.w1, self.b1, self.w2, self.b2 = w1, b1, w2, b2

    def __call__(self, x):
        return gelu(x @ self.w1 + self.b1) @ self.w2 + self.b2
