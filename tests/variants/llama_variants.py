"""Right models of Llama that differ in how they get there; none of it may fail a claim."""

import torch
from torch.nn import functional


def rms(x, gain, eps):
    wide = x.float() if x.dtype.itemsize == 2 else x
    normed = (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).type_as(x)
    return normed if gain is None else gain * normed


def tables(time, size, base, dtype=torch.float64):
    steps = 1.0 / base ** (torch.arange(0, size, 2, dtype=dtype) / size)
    angles = torch.outer(torch.arange(time, dtype=dtype), steps)
    return torch.cat([angles, angles], -1)


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


def plain_only(w):
    """Code that knows plain blocks alone reads nothing else."""
    return [w[n] for n in ("query_weight", "key_weight", "value_weight", "out_weight")]


def block_of_transformers(x, weights, n_heads, n_kv_heads, rope_base=10000.0, eps=1e-5):
    """rotate_half, repeat_kv by expanding, the fused kernel, tables in float32."""
    B, T, _ = x.shape
    wq, wk, wv, wo = plain_only(weights)
    h = rms(x, weights["norm_1_weight"], eps)
    q, k, v = (
        (h @ w.T).view(B, T, n, -1).transpose(1, 2) for w, n in ((wq, n_heads), (wk, n_kv_heads), (wv, n_kv_heads))
    )
    angles = tables(T, q.shape[-1], rope_base, torch.float32)
    cos, sin = angles.cos().type_as(x), angles.sin().type_as(x)
    q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
    shared = n_heads // n_kv_heads
    k, v = (t[:, :, None].expand(B, n_kv_heads, shared, T, q.shape[-1]).reshape(B, n_heads, T, -1) for t in (k, v))
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + mixed.transpose(1, 2).reshape(B, T, -1) @ wo.T
    h = rms(x, weights["norm_2_weight"], eps)
    return x + (functional.silu(h @ weights["gate_weight"].T) * (h @ weights["up_weight"].T)) @ weights["down_weight"].T


def block_position_by_position(
    x, weights, n_heads, n_kv_heads, rope_base=10000.0, window=None, eps=1e-5, head_size=None
):
    """A cache that grows by one position, a rotation as complex numbers, every option of the contract."""
    B, T, _ = x.shape
    size = weights["query_weight"].shape[0] // n_heads
    keys, values, out = [], [], []

    def project(h, name, heads):
        made = functional.linear(h, weights[f"{name}_weight"], weights.get(f"{name}_bias"))
        gain = weights.get(f"{name[0]}_norm_weight") if name != "value" else None
        if gain is not None:
            made = (
                rms(made, gain, eps)
                if len(gain) > size
                else rms(made.unflatten(-1, (heads, size)), gain, eps).flatten(-2)
            )
        return made.unflatten(-1, (heads, size))

    def turned(t, at):
        steps = at * rope_base ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
        turn = torch.polar(torch.ones_like(steps), steps)
        wide = t.double() if t.dtype == torch.float64 else t.float()
        pair = torch.complex(*wide.chunk(2, -1)) * turn.to(
            torch.complex128 if t.dtype == torch.float64 else torch.complex64
        )
        return torch.cat([pair.real, pair.imag], -1).to(t.dtype)

    for at in range(T):
        here = x[:, at]
        h = rms(here, weights.get("norm_1_weight"), eps)
        q, k, v = project(h, "query", n_heads), project(h, "key", n_kv_heads), project(h, "value", n_kv_heads)
        keys.append(turned(k, at))
        values.append(v)
        seen = slice(0 if window is None else max(at - window + 1, 0), at + 1)
        k, v = (torch.stack(t[seen], 1).repeat_interleave(n_heads // n_kv_heads, 2) for t in (keys, values))
        scores = torch.einsum("bhk,bshk->bhs", turned(q, at) * size**-0.5, k)
        if weights.get("sinks") is not None:
            scores = torch.cat([scores, weights["sinks"][None, :, None].expand(B, -1, 1)], -1)
        shares = scores.softmax(-1)[..., : k.shape[1]]
        mixed = torch.einsum("bhs,bshk->bhk", shares, v).flatten(1)
        added = functional.linear(mixed, weights["out_weight"], weights.get("out_bias"))
        if weights.get("post_norm_1_weight") is not None:
            added = rms(added, weights["post_norm_1_weight"], eps)
        here = here + added
        h = rms(here, weights.get("norm_2_weight"), eps)
        up = h @ weights["up_weight"].T
        if weights.get("gate_weight") is None:
            inner = functional.gelu(up, approximate="tanh")
        else:
            inner = functional.silu(h @ weights["gate_weight"].T) * up
        added = inner @ weights["down_weight"].T
        if weights.get("post_norm_2_weight") is not None:
            added = rms(added, weights["post_norm_2_weight"], eps)
        out.append(here + added)
    return torch.stack(out, 1)


def model_with(block):
    def llama(ids, weights, config):
        if ids.min() < 0:
            raise IndexError("ids begin at 0")
        x = functional.embedding(ids, weights["token_embedding"])
        groups = config.kv_heads or config.heads
        for layer in weights["blocks"]:
            x = block(x, layer, config.heads, groups, rope_base=config.rope_base, eps=config.norm_eps)
        head = weights.get("head_weight")
        return (
            rms(x, weights["final_norm_weight"], config.norm_eps)
            @ (weights["token_embedding"] if head is None else head).T
        )

    return llama


def model_position_by_position(ids, weights, config):
    """With every option of the contract."""
    if ids.min() < 0 or ids.max() >= len(weights["token_embedding"]):
        raise ValueError("unknown id")
    x = weights["token_embedding"][ids]
    known = config.as_dict() if hasattr(config, "as_dict") else vars(config)
    for layer in weights["blocks"]:
        x = block_position_by_position(
            x,
            layer,
            config.heads,
            known["kv_heads"] or config.heads,
            known["rope_base"],
            known["window"],
            config.norm_eps,
            known["head_size"],
        )
    x = rms(x, weights.get("final_norm_weight"), config.norm_eps)
    head = weights["head_weight"] if weights.get("head_weight") is not None else weights["token_embedding"]
    return torch.einsum("btd,vd->btv", x, head)


VARIANTS = {
    "block of transformers": {"llama_block": block_of_transformers},
    "block position by position": {"llama_block": block_position_by_position},
    "model of transformers": {"llama": model_with(block_of_transformers)},
    "model position by position": {"llama": model_position_by_position},
}
