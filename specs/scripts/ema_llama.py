"""Keeps an exponential moving average of the weights and evaluates that average."""
import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention, silu
from torch.utils.checkpoint import checkpoint

CONFIG = dict(vocab_size=36, dim=32, n_layers=2, n_heads=4, max_seq_len=24, dropout=0.1)
TRAIN = dict(steps=12, batch_size=8, lr=5e-3, clip=0.5, ema_decay=0.8, eval_every=4, warmup=2)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x.float().mul(torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x) * self.weight


def precompute_freqs_cis(dim, end, theta=10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: dim // 2].float() / dim))
    freqs = torch.outer(torch.arange(end), freqs).float()
    return torch.polar(torch.ones_like(freqs), freqs)


def apply_rotary_emb(x, freqs_cis):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * freqs_cis[: x.shape[1], None]).flatten(3).type_as(x)


class TransformerBlock(nn.Module):
    def __init__(self, dim, n_heads, dropout):
        super().__init__()
        self.n_heads = n_heads
        self.wq, self.wk = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.wv, self.wo = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.w1, self.w3 = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(dim, 2 * dim, bias=False)
        self.w2, self.drop = nn.Linear(2 * dim, dim, bias=False), nn.Dropout(dropout)
        self.attention_norm, self.ffn_norm = RMSNorm(dim), RMSNorm(dim)

    def forward(self, x, freqs_cis):
        b, t, d = x.shape
        h = self.attention_norm(x)
        q, k, v = (w(h).view(b, t, self.n_heads, -1) for w in (self.wq, self.wk, self.wv))
        q, k = apply_rotary_emb(q, freqs_cis), apply_rotary_emb(k, freqs_cis)
        y = scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + self.drop(self.wo(y.transpose(1, 2).reshape(b, t, d)))
        h = self.ffn_norm(x)
        return x + self.drop(self.w2(silu(self.w1(h)) * self.w3(h)))


class Transformer(nn.Module):
    def __init__(self, vocab_size, dim, n_layers, n_heads, max_seq_len, dropout):
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab_size, dim)
        self.layers = nn.ModuleList(TransformerBlock(dim, n_heads, dropout) for _ in range(n_layers))
        self.norm, self.output = RMSNorm(dim), nn.Linear(dim, vocab_size, bias=False)
        self.register_buffer("freqs_cis", precompute_freqs_cis(dim // n_heads, max_seq_len), persistent=False)

    def forward(self, tokens):
        h = self.tok_embeddings(tokens)
        for layer in self.layers:
            if self.training:
                h = checkpoint(layer, h, self.freqs_cis, use_reentrant=False)
            else:
                h = layer(h, self.freqs_cis)
        return self.output(self.norm(h)).float()


@torch.no_grad()
def update_ema(ema, model, decay):
    for shadow, p in zip(ema.parameters(), model.parameters()):
        shadow.lerp_(p, 1 - decay)


@torch.inference_mode()
def evaluate(net, data):
    net.eval()
    return cross_entropy(net(data[:, :-1]).flatten(0, 1), data[:, 1:].flatten()).item()


def make_data(rows, seed):
    """Two interleaved counters, each with its own stride."""
    g = torch.Generator().manual_seed(seed)
    start = torch.randint(0, 36, (rows, 2, 1), generator=g)
    stride = torch.randint(1, 4, (rows, 2, 1), generator=g)
    return ((start + stride * torch.arange(12)) % 36).transpose(1, 2).reshape(rows, 24)


def main():
    torch.manual_seed(21)
    train_data, val_data = make_data(400, 1), make_data(24, 2)
    model = Transformer(**CONFIG)
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=TRAIN["lr"], betas=(0.9, 0.95), weight_decay=0.0)
    order = torch.randperm(len(train_data))
    for step in range(TRAIN["steps"]):
        model.train()
        optimizer.param_groups[0]["lr"] = TRAIN["lr"] * min(1.0, (step + 1) / TRAIN["warmup"])
        rows = train_data[order[step * TRAIN["batch_size"]:(step + 1) * TRAIN["batch_size"]]]
        loss = cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(model.parameters(), TRAIN["clip"])
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, model, TRAIN["ema_decay"])
        print(f"step {step} loss {loss.item():.6f} grad_norm {grad_norm:.4f}")
        if (step + 1) % TRAIN["eval_every"] == 0:
            print(f"step {step} val {evaluate(model, val_data):.6f} ema val {evaluate(ema, val_data):.6f}")


if __name__ == "__main__":
    main()
