"""A GPT-2 in NumPy with its backward pass written by hand, one pair of functions per component.

Each COMPONENT_backward takes the incoming gradient and the component's own arguments (or what the component kept for
the way back, where it returns (out, cache)), and returns the gradients of the arguments in their order.
"""

import math

import numpy as np


def gelu(x):
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def gelu_backward(grad_out, x):
    bend = np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))
    slope = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * x**2)
    return grad_out * (0.5 * (1.0 + bend) + 0.5 * x * (1.0 - bend**2) * slope)


def token_embedding(ids, weight):
    if ids.size and (ids.min() < 0 or ids.max() >= len(weight)):
        raise IndexError(f"ids must lie in 0..{len(weight) - 1}, got {ids.min()}..{ids.max()}")
    return weight[ids]


def token_embedding_backward(grad_out, ids, weight):
    grad_weight = np.zeros_like(weight)
    np.add.at(grad_weight, ids, grad_out)  # += would count an id once that occurs twice
    return grad_weight


def learned_positions(positions, weight):
    if positions.size and (positions.min() < 0 or positions.max() >= len(weight)):
        raise IndexError(f"positions must lie in 0..{len(weight) - 1}, got {positions.min()}..{positions.max()}")
    return weight[positions]


def learned_positions_backward(grad_out, positions, weight):
    return token_embedding_backward(grad_out, positions, weight)


def linear(x, weight, bias=None):
    return x @ weight.T if bias is None else x @ weight.T + bias


def linear_backward(grad_out, x, weight, bias=None):
    rows, grad_rows = x.reshape(-1, x.shape[-1]), grad_out.reshape(-1, grad_out.shape[-1])
    return grad_out @ weight, grad_rows.T @ rows, None if bias is None else grad_rows.sum(0)


def softmax(x, dim):
    exponential = np.exp(x - x.max(dim, keepdims=True))
    return exponential / exponential.sum(dim, keepdims=True)


def softmax_backward(grad_out, out, dim):
    return out * (grad_out - (grad_out * out).sum(dim, keepdims=True))


def layer_norm(x, weight, bias, eps):
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    mean = wide.mean(-1, keepdims=True)
    rstd = 1.0 / np.sqrt(((wide - mean) ** 2).mean(-1, keepdims=True) + eps)
    normed = (wide - mean) * rstd
    out = normed * weight if bias is None else normed * weight + bias
    return out.astype(x.dtype), (normed, rstd)


def layer_norm_backward(grad_out, cache, weight, bias):
    normed, rstd = cache
    leading = tuple(range(grad_out.ndim - 1))
    inner = grad_out * weight
    mean, along = inner.mean(-1, keepdims=True), (inner * normed).mean(-1, keepdims=True)
    grad_x = rstd * (inner - mean - normed * along)
    return grad_x, (grad_out * normed).sum(leading), None if bias is None else grad_out.sum(leading)


def mlp(x, up_weight, up_bias, down_weight, down_bias):
    return linear(gelu(linear(x, up_weight, up_bias)), down_weight, down_bias)


def mlp_backward(grad_out, x, up_weight, up_bias, down_weight, down_bias):
    hidden = linear(x, up_weight, up_bias)
    grad_active, grad_down, grad_down_bias = linear_backward(grad_out, gelu(hidden), down_weight, down_bias)
    grad_x, grad_up, grad_up_bias = linear_backward(gelu_backward(grad_active, hidden), x, up_weight, up_bias)
    return grad_x, grad_up, grad_up_bias, grad_down, grad_down_bias


def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    batch, time, width = x.shape
    if n_heads < 1 or width % n_heads:
        raise ValueError(f"width {width} is not divisible by {n_heads} heads")
    q, k, v = (_heads(part, n_heads) for part in np.split(linear(x, qkv_weight, qkv_bias), 3, axis=-1))
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(width // n_heads)
    weights = softmax(np.where(np.tri(time, dtype=bool), scores, -np.inf), -1)
    merged = (weights @ v).swapaxes(1, 2).reshape(batch, time, width)
    return linear(merged, out_weight, out_bias), (q, k, v, weights, merged)


def attention_backward(grad_out, cache, x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    q, k, v, weights, merged = cache
    batch, time, width = x.shape
    grad_merged, grad_out_weight, grad_out_bias = linear_backward(grad_out, merged, out_weight, out_bias)
    grad_mixed = _heads(grad_merged, n_heads)
    grad_v = weights.swapaxes(-1, -2) @ grad_mixed
    grad_scores = softmax_backward(grad_mixed @ v.swapaxes(-1, -2), weights, -1) / math.sqrt(width // n_heads)
    grad_q, grad_k = grad_scores @ k, grad_scores.swapaxes(-1, -2) @ q
    together = [part.swapaxes(1, 2).reshape(batch, time, width) for part in (grad_q, grad_k, grad_v)]
    grad_x, grad_qkv, grad_qkv_bias = linear_backward(np.concatenate(together, -1), x, qkv_weight, qkv_bias)
    return grad_x, grad_qkv, grad_qkv_bias, grad_out_weight, grad_out_bias


def _heads(x, n_heads):
    batch, time, width = x.shape
    return x.reshape(batch, time, n_heads, width // n_heads).swapaxes(1, 2)


ATTENTION = ("qkv_weight", "qkv_bias", "out_weight", "out_bias")
MLP = ("up_weight", "up_bias", "down_weight", "down_bias")


def block(x, weights, n_heads, eps=1e-5):
    w = weights
    normed_1, kept_1 = layer_norm(x, w["norm_1_weight"], w.get("norm_1_bias"), eps)
    attended, kept_attention = attention(normed_1, *(w.get(name) for name in ATTENTION), n_heads)
    middle = x + attended
    normed_2, kept_2 = layer_norm(middle, w["norm_2_weight"], w.get("norm_2_bias"), eps)
    out = middle + mlp(normed_2, *(w.get(name) for name in MLP))
    return out, (normed_1, kept_1, kept_attention, normed_2, kept_2)


def block_backward(grad_out, cache, weights, n_heads):
    normed_1, kept_1, kept_attention, normed_2, kept_2 = cache
    w, grads = weights, {}
    grad_normed, *rest = mlp_backward(grad_out, normed_2, *(w.get(name) for name in MLP))
    grads.update(zip(MLP, rest, strict=True))
    grad_middle, *rest = layer_norm_backward(grad_normed, kept_2, w["norm_2_weight"], w.get("norm_2_bias"))
    grads.update(zip(("norm_2_weight", "norm_2_bias"), rest, strict=True))
    grad_middle = grad_middle + grad_out  # the residual path
    tensors = (w.get(name) for name in ATTENTION)
    grad_normed, *rest = attention_backward(grad_middle, kept_attention, normed_1, *tensors, n_heads)
    grads.update(zip(ATTENTION, rest, strict=True))
    grad_x, *rest = layer_norm_backward(grad_normed, kept_1, w["norm_1_weight"], w.get("norm_1_bias"))
    grads.update(zip(("norm_1_weight", "norm_1_bias"), rest, strict=True))
    return grad_x + grad_middle, grads


def gpt2(ids, weights, config):
    time = ids.shape[-1]
    if time > config.context:
        raise ValueError(f"{time} ids are more than the context of {config.context}")
    stream = token_embedding(ids, weights["token_embedding"])
    stream = stream + learned_positions(np.arange(time), weights["position_embedding"])
    kept = []
    for layer in weights["blocks"]:
        stream, cache = block(stream, layer, config.heads, config.norm_eps)
        kept.append(cache)
    normed, last = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), config.norm_eps)
    return linear(normed, weights["token_embedding"]), (normed, last, kept)


def gpt2_backward(grad_out, cache, ids, weights, config):
    normed, last, kept = cache
    table, places = weights["token_embedding"], weights["position_embedding"]
    grad_normed, grad_table, _ = linear_backward(grad_out, normed, table)
    grad, *norm = layer_norm_backward(grad_normed, last, weights["final_norm_weight"], weights.get("final_norm_bias"))
    blocks = []
    for layer, cache in zip(reversed(weights["blocks"]), reversed(kept), strict=True):
        grad, grads = block_backward(grad, cache, layer, config.heads)
        blocks.insert(0, grads)
    return {
        "token_embedding": grad_table + token_embedding_backward(grad, ids, table),  # the head is tied to it
        "position_embedding": token_embedding_backward(grad.sum(0), np.arange(ids.shape[-1]), places),
        "blocks": blocks,
        "final_norm_weight": norm[0],
        "final_norm_bias": norm[1],
    }
