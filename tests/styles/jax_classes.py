"""A layer as a plain class over JAX arrays, written for one sequence without a batch."""

import jax
import jax.numpy as jnp


class MLP:
    def __init__(self, key, d_model):
        one, two = jax.random.split(key)
        self.W_in = jax.random.normal(one, (d_model, 4 * d_model)) * d_model**-0.5
        self.b_in = jnp.zeros(4 * d_model)
        self.W_out = jax.random.normal(two, (4 * d_model, d_model)) * (4 * d_model) ** -0.5
        self.b_out = jnp.zeros(d_model)

    def __call__(self, x):
        time, width = x.shape
        return jax.nn.gelu(x @ self.W_in + self.b_in) @ self.W_out + self.b_out
