"""A class that is only a base: BaseAttention and BaseLM leave the work to their children, and one child is finished."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class BaseAttention(nn.Module):
    """Projections that every kind of attention here has."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.v_proj, self.o_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def split(self, x):
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)

    def attend(self, q, k, v):
        raise NotImplementedError("a child says how")

    def forward(self, x):
        y = self.attend(self.split(self.q_proj(x)), self.split(self.k_proj(x)), self.split(self.v_proj(x)))
        return self.o_proj(y.transpose(1, 2).flatten(2))


class CausalAttention(BaseAttention):
    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class BaseLM(nn.Module):
    """What generates; its children have the layers."""

    def logits(self, ids):
        raise NotImplementedError

    def forward(self, ids):
        return self.logits(ids)

    @torch.no_grad()
    def generate(self, ids, max_new_tokens):
        for _ in range(max_new_tokens):
            ids = torch.cat((ids, self.logits(ids)[:, -1].argmax(-1, keepdim=True)), dim=1)
        return ids


class Block(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.attn = CausalAttention(d_model, n_heads)
        self.fc1, self.fc2 = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, d_model)

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x)), approximate="tanh"))


class GPT(BaseLM):
    def __init__(self, vocab_size, context_length, d_model, n_layers, n_heads):
        super().__init__()
        self.context_length = context_length
        self.tok_emb, self.pos_emb = nn.Embedding(vocab_size, d_model), nn.Embedding(context_length, d_model)
        self.blocks = nn.ModuleList(Block(d_model, n_heads) for _ in range(n_layers))
        self.ln_f = nn.LayerNorm(d_model)

    def logits(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x) @ self.tok_emb.weight.T
