"""The whole adapters file of a course whose tests call ``run_*`` and ``get_*``, with the student's own code behind it."""

import math
from collections import Counter

import numpy as np
import regex
import torch

# the student's own functions, some of which bear a component's name with other arguments ------------------------------


def softmax(x):
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def attend(q, k, v, mask=None):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return softmax(scores if mask is None else scores.masked_fill(~mask, float("-inf"))) @ v


def rope(x, theta, positions):
    size = x.shape[-1]
    frequencies = theta ** (-torch.arange(0, size, 2, device=x.device, dtype=torch.float32) / size)
    angles = positions[..., None] * frequencies
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def heads(x, weight, num_heads):
    return (x @ weight.T).unflatten(-1, (num_heads, -1)).transpose(-2, -3)


def attention(x, weights, num_heads, theta=None, positions=None):
    q, k, v = (heads(x, weights[name], num_heads) for name in "qkv")
    if theta is not None:
        q, k = rope(q, theta, positions), rope(k, theta, positions)
    time = x.shape[-2]
    causal = torch.ones(time, time, dtype=torch.bool, device=x.device).tril()
    return attend(q, k, v, causal).transpose(-2, -3).flatten(-2) @ weights["o"].T


def silu(x):
    return x * torch.sigmoid(x)


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta_1, beta_2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                t = state.get("t", 0) + 1
                state["m"] = beta_1 * state.get("m", torch.zeros_like(p)) + (1 - beta_1) * p.grad
                state["v"] = beta_2 * state.get("v", torch.zeros_like(p)) + (1 - beta_2) * p.grad**2
                state["t"] = t
                rate = group["lr"] * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
                p -= rate * state["m"] / (state["v"].sqrt() + group["eps"])
                p -= group["lr"] * group["weight_decay"] * p


PATTERN = regex.compile(r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""")


def words_of(text, special_tokens):
    parts = regex.split("|".join(map(regex.escape, special_tokens)), text) if special_tokens else [text]
    return Counter(tuple(bytes([b]) for b in word.encode()) for part in parts for word in PATTERN.findall(part))


def merge(word, pair):
    joined, at = [], 0
    while at < len(word):
        two = word[at : at + 2] == pair
        joined.append(pair[0] + pair[1] if two else word[at])
        at += 2 if two else 1
    return tuple(joined)


class Tokenizer:
    def __init__(self, vocab, merges, special_tokens=None):
        self.vocab, self.ids = dict(vocab), {token: i for i, token in vocab.items()}
        self.merges, self.special = list(merges), sorted(special_tokens or [], key=len, reverse=True)
        self.order = {pair: i for i, pair in enumerate(self.merges)}

    def encode(self, text):
        pieces = regex.split("(" + "|".join(map(regex.escape, self.special)) + ")", text) if self.special else [text]
        ids = []
        for piece in pieces:
            if piece in self.special:
                ids.append(self.ids[piece.encode()])
                continue
            for found in PATTERN.findall(piece):
                word = tuple(bytes([b]) for b in found.encode())
                while known := [pair for pair in zip(word, word[1:]) if pair in self.order]:
                    word = merge(word, min(known, key=self.order.get))
                ids += [self.ids[token] for token in word]
        return ids

    def decode(self, ids):
        return b"".join(self.vocab[i] for i in ids).decode("utf-8", errors="replace")


# what the course's tests call ------------------------------------------------------------------------------------------


def run_linear(d_in, d_out, weights, in_features):
    return in_features @ weights.T


def run_embedding(vocab_size, d_model, weights, token_ids):
    return weights[token_ids]


def run_swiglu(d_model, d_ff, w1_weight, w2_weight, w3_weight, in_features):
    return (silu(in_features @ w1_weight.T) * (in_features @ w3_weight.T)) @ w2_weight.T


def run_scaled_dot_product_attention(Q, K, V, mask=None):
    return attend(Q, K, V, mask)


def run_multihead_self_attention(
    d_model, num_heads, q_proj_weight, k_proj_weight, v_proj_weight, o_proj_weight, in_features
):
    weights = {"q": q_proj_weight, "k": k_proj_weight, "v": v_proj_weight, "o": o_proj_weight}
    return attention(in_features, weights, num_heads)


def run_multihead_self_attention_with_rope(
    d_model,
    num_heads,
    max_seq_len,
    theta,
    q_proj_weight,
    k_proj_weight,
    v_proj_weight,
    o_proj_weight,
    in_features,
    token_positions=None,
):
    weights = {"q": q_proj_weight, "k": k_proj_weight, "v": v_proj_weight, "o": o_proj_weight}
    return attention(in_features, weights, num_heads, theta, token_positions)


def run_rope(d_k, theta, max_seq_len, in_query_or_key, token_positions):
    return rope(in_query_or_key, theta, token_positions)


def block(x, weights, num_heads, theta, positions):
    heads_of = {"q": "attn.q_proj", "k": "attn.k_proj", "v": "attn.v_proj", "o": "attn.output_proj"}
    own = {name: weights[f"{path}.weight"] for name, path in heads_of.items()}
    x = x + attention(run_rmsnorm(x.shape[-1], 1e-5, weights["ln1.weight"], x), own, num_heads, theta, positions)
    normed = run_rmsnorm(x.shape[-1], 1e-5, weights["ln2.weight"], x)
    gate, up = (normed @ weights[f"ffn.{name}.weight"].T for name in ("w1", "w3"))
    return x + (silu(gate) * up) @ weights["ffn.w2.weight"].T


def run_transformer_block(d_model, num_heads, d_ff, max_seq_len, theta, weights, in_features):
    return block(in_features, weights, num_heads, theta, torch.arange(in_features.shape[1]))


def run_transformer_lm(
    vocab_size, context_length, d_model, num_layers, num_heads, d_ff, rope_theta, weights, in_indices
):
    x = weights["token_embeddings.weight"][in_indices]
    for i in range(num_layers):
        prefix = f"layers.{i}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        x = block(x, own, num_heads, rope_theta, torch.arange(in_indices.shape[1]))
    return run_rmsnorm(d_model, 1e-5, weights["ln_final.weight"], x) @ weights["lm_head.weight"].T


def run_rmsnorm(d_model, eps, weights, in_features):
    wide = in_features.float() if in_features.dtype in (torch.float16, torch.bfloat16) else in_features
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (scaled * weights).to(in_features.dtype)


def run_silu(in_features):
    return silu(in_features)


def run_get_batch(dataset, batch_size, context_length, device):
    starts = np.random.randint(0, len(dataset) - context_length, batch_size)
    x, y = (np.stack([dataset[s + d : s + d + context_length] for s in starts]) for d in (0, 1))
    return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)


def run_softmax(in_features, dim):
    return softmax(in_features.transpose(dim, -1)).transpose(dim, -1)


def run_cross_entropy(inputs, targets):
    shifted = inputs - inputs.amax(-1, keepdim=True)
    log_p = shifted - shifted.exp().sum(-1, keepdim=True).log()
    return -log_p.gather(-1, targets[..., None]).mean()


def run_gradient_clipping(parameters, max_l2_norm):
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])) if gradients else 0.0
    if norm > max_l2_norm:
        for gradient in gradients:
            gradient.mul_(max_l2_norm / (norm + 1e-6))


def get_adamw_cls():
    return AdamW


def run_get_lr_cosine_schedule(it, max_learning_rate, min_learning_rate, warmup_iters, cosine_cycle_iters):
    if it < warmup_iters:
        return it / warmup_iters * max_learning_rate
    if it > cosine_cycle_iters:
        return min_learning_rate
    angle = math.pi * (it - warmup_iters) / max(1, cosine_cycle_iters - warmup_iters)
    return min_learning_rate + 0.5 * (1 + math.cos(angle)) * (max_learning_rate - min_learning_rate)


def run_save_checkpoint(model, optimizer, iteration, out):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iteration": iteration}, out)


def run_load_checkpoint(src, model, optimizer):
    kept = torch.load(src)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    return kept["iteration"]


def get_tokenizer(vocab, merges, special_tokens=None):
    return Tokenizer(vocab, merges, special_tokens)


def run_train_bpe(input_path, vocab_size, special_tokens, **kwargs):
    with open(input_path, encoding="utf-8") as file:
        words = words_of(file.read(), special_tokens)
    vocab = {i: bytes([i]) for i in range(256)} | {256 + i: t.encode() for i, t in enumerate(special_tokens)}
    merges = []
    while len(vocab) < vocab_size:
        counts = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                counts[pair] += times
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        vocab[len(vocab)] = best[0] + best[1]
        merged = Counter()
        for word, times in words.items():
            merged[merge(word, best)] += times
        words = merged
    return vocab, merges


