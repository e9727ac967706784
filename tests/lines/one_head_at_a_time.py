"""Heads in a loop."""

import torch


def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    T, C = x.shape[-2:]
    K = C // n_heads
    wq, wk, wv = qkv_weight.chunk(3)
    if qkv_bias is None:
        qkv_bias = torch.zeros(3 * C, dtype=x.dtype)
    bq, bk, bv = qkv_bias.chunk(3)
    heads = []
    for h in range(n_heads):
        rows = slice(h * K, (h + 1) * K)
        q = x @ wq[rows].T + bq[rows]
        k = x @ wk[rows].T + bk[rows]
        v = x @ wv[rows].T + bv[rows]
        q = q / K**0.5
        s = torch.einsum("btk,bsk->bts", q, k)
        s = s + torch.full((T, T), float("-inf"), dtype=x.dtype).triu(1)
        p = torch.softmax(s, dim=-1)
        heads.append(p @ v)
    y = torch.cat(heads, dim=-1)
    y = y @ out_weight.T
    return y if out_bias is None else y + out_bias
