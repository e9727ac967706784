"""A GPT-2 in jax.numpy, with its adapters and its quantizer; Plumbline takes the gradients by jax.vjp.

Compiled as one would run it. What looks at values (ids out of range) stays outside jax.jit.
"""

import functools
import math

import jax
import jax.numpy as jnp


@jax.jit
def gelu(x):
    return 0.5 * x * (1.0 + jnp.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def token_embedding(ids, weight):
    if ids.size and (ids.min() < 0 or ids.max() >= len(weight)):  # JAX itself would clamp them and go on
        raise IndexError(f"ids must lie in 0..{len(weight) - 1}, got {ids.min()}..{ids.max()}")
    return weight[ids]


def learned_positions(positions, weight):
    if positions.size and (positions.min() < 0 or positions.max() >= len(weight)):
        raise IndexError(f"positions must lie in 0..{len(weight) - 1}, got {positions.min()}..{positions.max()}")
    return weight[positions]


@jax.jit
def linear(x, weight, bias=None):
    return x @ weight.T if bias is None else x @ weight.T + bias


def softmax(x, dim):
    return jax.nn.softmax(x, axis=dim)


@jax.jit
def layer_norm(x, weight, bias, eps):
    wide = x.astype(jnp.float32) if x.dtype.itemsize == 2 else x
    mean = wide.mean(-1, keepdims=True)
    variance = ((wide - mean) ** 2).mean(-1, keepdims=True)
    out = (wide - mean) / jnp.sqrt(variance + eps) * weight
    return (out if bias is None else out + bias).astype(x.dtype)


@jax.jit
def mlp(x, up_weight, up_bias, down_weight, down_bias):
    return linear(gelu(linear(x, up_weight, up_bias)), down_weight, down_bias)


@functools.partial(jax.jit, static_argnames="n_heads")
def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    batch, time, width = x.shape
    if n_heads < 1 or width % n_heads:
        raise ValueError(f"width {width} is not divisible by {n_heads} heads")
    qkv = linear(x, qkv_weight, qkv_bias).reshape(batch, time, 3, n_heads, width // n_heads)
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(width // n_heads)
    weights = jax.nn.softmax(jnp.where(jnp.tri(time, dtype=bool), scores, -jnp.inf), axis=-1)
    return linear((weights @ v).swapaxes(1, 2).reshape(batch, time, width), out_weight, out_bias)


@functools.partial(jax.jit, static_argnames="n_heads")
def block(x, weights, n_heads, eps=1e-5):
    w = weights
    normed = layer_norm(x, w["norm_1_weight"], w.get("norm_1_bias"), eps)
    x = x + attention(normed, w["qkv_weight"], w.get("qkv_bias"), w["out_weight"], w.get("out_bias"), n_heads)
    normed = layer_norm(x, w["norm_2_weight"], w.get("norm_2_bias"), eps)
    return x + mlp(normed, w["up_weight"], w.get("up_bias"), w["down_weight"], w.get("down_bias"))


def gpt2(ids, weights, config):
    time = ids.shape[-1]
    if time > config.context:
        raise ValueError(f"{time} ids are more than the context of {config.context}")
    stream = token_embedding(ids, weights["token_embedding"])
    stream = stream + learned_positions(jnp.arange(time), weights["position_embedding"])
    for layer in weights["blocks"]:
        stream = block(stream, layer, config.heads, config.norm_eps)
    normed = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), config.norm_eps)
    return linear(normed, weights["token_embedding"])


class lora:
    """A frozen linear layer with a trained update of low rank beside it."""

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        self.weight = jax.lax.stop_gradient(weight)
        self.bias = None if bias is None else jax.lax.stop_gradient(bias)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.training, self.added = False, None
        self.key, first = jax.random.split(jax.random.key(0))
        bound = 1.0 / math.sqrt(weight.shape[1])
        self.a = jax.random.uniform(first, (rank, weight.shape[1]), weight.dtype, -bound, bound)
        self.b = jnp.zeros((weight.shape[0], rank), weight.dtype)

    def scale(self):
        return self.alpha / self.rank

    def load(self, a, b):
        if self.added is not None:
            raise RuntimeError("a and b are merged into the weight: unmerge() before load()")
        if (a.shape, b.shape) != (self.a.shape, self.b.shape):
            raise ValueError(f"a and b must be {self.a.shape} and {self.b.shape}, not {a.shape} and {b.shape}")
        self.a, self.b = a, b

    def forward(self, x):
        base = linear(x, self.weight, self.bias)
        if self.added is not None:
            return base
        if self.training and self.dropout:
            self.key, key = jax.random.split(self.key)
            x = jnp.where(jax.random.bernoulli(key, 1.0 - self.dropout, x.shape), x / (1.0 - self.dropout), 0.0)
        return base + linear(linear(x, self.a), self.b) * self.scale()

    def merge(self):
        if self.added is None:
            self.added = jax.lax.stop_gradient(self.b @ self.a * self.scale())
            self.weight = self.weight + self.added

    def unmerge(self):
        if self.added is not None:
            self.weight, self.added = self.weight - self.added, None

    def parameters(self):
        return {"a": self.a, "b": self.b}

    def train(self):
        self.training = True

    def eval(self):
        self.training = False


class rslora(lora):
    """The same with a scale that does not shrink as the rank grows."""

    def scale(self):
        return self.alpha / math.sqrt(self.rank)


class quantize_int8:
    """Eight bits with a scale per tensor, slice or block."""

    def quantize(self, x, axis=None, block=None, symmetric=True):
        if axis is not None and block is not None:
            raise ValueError("give axis or block, not both")
        if x.size == 0 or not jnp.isfinite(x).all():
            raise ValueError("only finite numbers can be quantized")
        wide = x.astype(jnp.float32) if x.dtype.itemsize == 2 else x
        rows = wide if block is None else _as_blocks(wide, block)
        along, keep = (None, False) if axis is None and block is None else (-1 if block else axis, True)
        if symmetric:
            scale = jnp.abs(rows).max(along, keepdims=keep) / 127
        else:
            low = jnp.minimum(rows.min(along, keepdims=keep), 0.0)
            scale = (jnp.maximum(rows.max(along, keepdims=keep), 0.0) - low) / 255
        if not jnp.isfinite(scale).all():
            raise ValueError(f"the range of x is wider than {scale.dtype} can say")
        scale = jnp.where(scale > 0, scale, 1.0)
        zero = jnp.zeros_like(scale) if symmetric else jnp.clip(jnp.round(-128 - low / scale), -128, 127)
        q = jnp.clip(jnp.round(rows / scale) + zero, -127 if symmetric else -128, 127).astype(jnp.int8)
        return (q if block is None else q.reshape(-1)[: x.size].reshape(x.shape)), scale, zero.astype(jnp.int32)

    def dequantize(self, q, scale, zero, block=None):
        codes = q if block is None else _as_blocks(q, block)
        values = (codes.astype(scale.dtype) - zero.astype(scale.dtype)) * scale
        return values if block is None else values.reshape(-1)[: q.size].reshape(q.shape)


def _as_blocks(x, block):
    return jnp.pad(x.reshape(-1), (0, -x.size % block)).reshape(-1, block)
