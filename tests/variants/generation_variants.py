"""Right ways to go on writing: other ways to draw, a cache, loops, and functions as published projects spell them."""

import numpy
import torch
from torch.nn import functional

from reference_model.gpt2 import gpt2
from specs.shared.generation_functions import from_a_function


class InverseOfTheSum:
    """Draws by a uniform number and the cumulative sum; appends to lists; ends without the end token."""

    def __init__(self, weights, config):
        self.weights, self.config = weights, config

    def generate(self, ids, max_new_tokens, temperature=1.0, top_k=None, end_token=None):
        rows, context = [row.tolist() for row in ids], self.config.context
        done = [False] * len(rows)
        for _ in range(max_new_tokens):
            seen = torch.tensor([row[-context:] for row in rows])
            logits = gpt2(seen, self.weights, self.config)[:, -1, :]
            keep = logits.topk(min(top_k or logits.shape[1], logits.shape[1]))
            share = torch.softmax(keep.values / (temperature or 1.0), -1).cumsum(-1)
            at = (
                (share < torch.rand(len(rows), 1, dtype=share.dtype)).sum(1, keepdim=True).clamp(max=share.shape[1] - 1)
            )
            drawn = (keep.indices[:, :1] if temperature == 0.0 else keep.indices.gather(1, at))[:, 0].tolist()
            for place, index in enumerate(drawn):
                done[place] = done[place] or index == end_token
                rows[place].append(0 if done[place] else index)
            if all(done):
                break
        return torch.tensor(rows)


class GumbelMax:
    """The largest of the logits with Gumbel noise added; the whole length is allocated first."""

    def __init__(self, weights, config):
        self.weights, self.config = weights, config

    @torch.inference_mode()
    def generate(self, ids, max_new_tokens, temperature, top_k, top_p):
        time = ids.shape[1]
        out = torch.cat([ids, ids.new_zeros(len(ids), max_new_tokens)], 1)
        for at in range(time, time + max_new_tokens):
            if at > self.config.context:
                raise ValueError("longer than the context")
            scores = gpt2(out[:, :at], self.weights, self.config)[:, -1] / max(temperature, 1e-9)
            if top_k:
                scores[scores < scores.topk(min(top_k, scores.shape[-1])).values[:, -1:]] = -torch.inf
            if top_p:
                ordered, order = scores.sort(descending=True)
                late = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1) > top_p
                scores = scores.masked_fill(late.scatter(1, order, late), -torch.inf)
            noise = -torch.log(-torch.log(torch.rand_like(scores).clamp(1e-300, 1 - 1e-16)))
            out[:, at] = (scores + noise).argmax(-1)
        return out.clone()


class Cached:
    """Keys and values of earlier positions are kept for the length of one call; past the context it begins anew."""

    def __init__(self, weights, config):
        self.weights, self.config = weights, config

    def step(self, ids, start, cache):
        w, heads = self.weights, self.config.heads
        x = w["token_embedding"][ids] + w["position_embedding"][start : start + ids.shape[1]]
        width = x.shape[-1]
        for layer, b in enumerate(w["blocks"]):
            normed = functional.layer_norm(x, (width,), b["norm_1_weight"], b["norm_1_bias"])
            q, k, v = functional.linear(normed, b["qkv_weight"], b["qkv_bias"]).chunk(3, -1)
            q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
            if layer in cache:
                k, v = torch.cat([cache[layer][0], k], 2), torch.cat([cache[layer][1], v], 2)
            cache[layer] = (k, v)
            mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
            x = x + functional.linear(mixed, b["out_weight"], b["out_bias"])
            normed = functional.layer_norm(x, (width,), b["norm_2_weight"], b["norm_2_bias"])
            up = functional.gelu(functional.linear(normed, b["up_weight"], b["up_bias"]), approximate="tanh")
            x = x + functional.linear(up, b["down_weight"], b["down_bias"])
        return (
            functional.layer_norm(x, (width,), w["final_norm_weight"], w["final_norm_bias"])[:, -1]
            @ w["token_embedding"].T
        )

    def generate(self, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, end_token=None):
        cache, start, ended = {}, 0, torch.zeros(len(ids), dtype=torch.bool)
        new = ids[:, -self.config.context :]
        for _ in range(max_new_tokens):
            if start + new.shape[1] > self.config.context:
                cache, start, new = {}, 0, ids[:, -self.config.context :]
            logits = self.step(new, start, cache)
            start += new.shape[1]
            if temperature == 0 or top_k == 1:
                drawn = logits.argmax(-1)
            else:
                kept = (
                    logits if top_k is None else logits.where(logits >= logits.topk(top_k).values[:, -1:], -torch.inf)
                )
                if top_p is not None:
                    p, order = (kept / temperature).softmax(-1).sort(-1, descending=True)
                    p = p.where(p.cumsum(-1) - p < top_p, 0.0)
                    drawn = order.gather(-1, torch.distributions.Categorical(p).sample()[:, None])[:, 0]
                else:
                    drawn = torch.distributions.Categorical(logits=kept / temperature).sample()
            drawn = drawn.where(~ended, drawn.new_tensor(end_token or 0))
            ended |= drawn == (-1 if end_token is None else end_token)
            ids = torch.cat([ids, drawn[:, None]], 1)
            new = drawn[:, None]
            if ended.all():
                break
        return ids


def trainer(model, idx, max_new_tokens, temperature=1.0, top_k=None):
    """One-file trainers: the model returns (logits, loss) and knows its block size."""
    for _ in range(max_new_tokens):
        idx_cond = idx if idx.size(1) <= model.config.block_size else idx[:, -model.config.block_size :]
        logits, _ = model(idx_cond)
        logits = logits[:, -1, :] / temperature
        if top_k is not None:
            v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
            logits[logits < v[:, [-1]]] = -float("Inf")
        idx_next = torch.multinomial(functional.softmax(logits, dim=-1), num_samples=1)
        idx = torch.cat((idx, idx_next), dim=1)
    return idx


def book(model, idx, max_new_tokens, context_size, temperature=0.0, top_k=None, eos_id=None):
    """A book's: greedy by default, one end for the whole batch of one, the end token not returned."""
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(idx[:, -context_size:])
        logits = logits[:, -1, :]
        if top_k is not None:
            lowest = torch.topk(logits, top_k)[0][:, -1]
            logits = torch.where(logits < lowest[:, None], torch.tensor(float("-inf")).to(logits.device), logits)
        if temperature > 0.0:
            logits = logits / temperature
            idx_next = torch.multinomial(torch.softmax(logits, dim=-1), num_samples=1)
        else:
            idx_next = torch.argmax(logits, dim=-1, keepdim=True)
        if eos_id is not None and idx_next == eos_id:  # raises for a batch of more than one
            break
        idx = torch.cat((idx, idx_next), dim=1)
    return idx


def simple(model, idx, max_new_tokens, context_size):
    """The most likely id, always."""
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(idx[:, -context_size:])
        idx = torch.cat((idx, torch.argmax(torch.softmax(logits[:, -1, :], dim=-1), dim=-1, keepdim=True)), dim=1)
    return idx


def lecture(model, idx, max_new_tokens):
    """A lecture's: always drawn."""
    for _ in range(max_new_tokens):
        logits, _loss = model(idx[:, -model.block_size :])
        idx = torch.cat((idx, torch.multinomial(functional.softmax(logits[:, -1, :], dim=-1), num_samples=1)), dim=1)
    return idx


def sampled(model, x, steps, temperature=1.0, sample=False, top_k=None):
    """Draws where asked to, else takes the most likely; logits in an object."""
    for _ in range(steps):
        logits = model(x[:, -model.config.n_ctx :]).logits[:, -1, :] / temperature
        if top_k is not None:
            out = logits.clone()
            out[out < torch.topk(out, min(top_k, out.size(-1))).values[:, [-1]]] = -float("Inf")
            logits = out
        probs = functional.softmax(logits, dim=-1)
        ix = torch.multinomial(probs, num_samples=1) if sample else torch.topk(probs, k=1, dim=-1)[1]
        x = torch.cat((x, ix), dim=1)
    return x


def new_ids_alone(model, inputs, n_tokens_to_generate):
    """NumPy, greedy, and what is new comes back alone."""
    ids = inputs
    for _ in range(n_tokens_to_generate):
        following = numpy.argmax(model(ids).double().numpy()[:, -1], -1)
        ids = torch.cat([ids, torch.from_numpy(following)[:, None]], 1)
    return ids[:, ids.shape[1] - n_tokens_to_generate :]


VARIANTS = {
    "inverse of the sum": {"generation": InverseOfTheSum},
    "gumbel": {"generation": GumbelMax},
    "cached": {"generation": Cached},
    **{
        f"{function.__name__} function": {"generation": from_a_function(function)}
        for function in (trainer, book, simple, lecture, sampled, new_ids_alone)
    },
}
