"""Layers in equinox: each for one sequence, and its linear layers for one position; vmap does the rest."""

import equinox as eqx
import jax
import jax.numpy as jnp


class RMSNorm(eqx.Module):
    weight: jax.Array
    eps: float = eqx.field(static=True)

    def __init__(self, dim: int, eps: float = 1e-5):
        self.weight, self.eps = jnp.ones(dim), eps

    def __call__(self, x):
        return self.weight * x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)


class MLP(eqx.Module):
    fc: eqx.nn.Linear
    proj: eqx.nn.Linear

    def __init__(self, dim: int, *, key):
        one, two = jax.random.split(key)
        self.fc = eqx.nn.Linear(dim, 4 * dim, key=one)
        self.proj = eqx.nn.Linear(4 * dim, dim, key=two)

    def __call__(self, x):
        return jax.vmap(self.proj)(jax.nn.gelu(jax.vmap(self.fc)(x)))
