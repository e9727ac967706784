"""Runs in jobs of a few steps; each job goes on from the checkpoint of the last one."""
import argparse
import os
import random
import tempfile

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.to_qkv, self.to_out = nn.Linear(dim, dim * 3, bias=False), nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = (t.reshape(b, n, self.heads, -1).transpose(1, 2) for t in self.to_qkv(x).chunk(3, dim=-1))
        dots = torch.einsum("bhid,bhjd->bhij", q, k) * self.scale
        mask = torch.ones(n, n, dtype=torch.bool).triu(1)
        attn = dots.masked_fill(mask, -torch.finfo(dots.dtype).max).softmax(dim=-1)
        return self.to_out(torch.einsum("bhij,bhjd->bhid", attn, v).transpose(1, 2).reshape(b, n, d))


class TransformerLM(nn.Module):
    def __init__(self, num_tokens, dim=32, depth=2, heads=4, max_len=24):
        super().__init__()
        self.token_emb, self.pos_emb = nn.Embedding(num_tokens, dim), nn.Embedding(max_len, dim)
        self.layers = nn.ModuleList(nn.ModuleList([
            nn.LayerNorm(dim), Attention(dim, heads), nn.LayerNorm(dim),
            nn.Sequential(nn.Linear(dim, dim * 4), nn.GELU(), nn.Dropout(0.1), nn.Linear(dim * 4, dim)),
        ]) for _ in range(depth))
        self.norm, self.to_logits = nn.LayerNorm(dim), nn.Linear(dim, num_tokens)

    def forward(self, x):
        x = self.token_emb(x) + self.pos_emb.weight[: x.shape[1]]
        for norm1, attn, norm2, ff in self.layers:
            x = attn(norm1(x)) + x
            x = ff(norm2(x)) + x
        return self.to_logits(self.norm(x))


def build(args):
    model = TransformerLM(args.vocab)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 4) * 0.98**s)
    return model, optimizer, scheduler


def batch_of(text, args):
    starts = [random.randrange(len(text) - args.length - 1) for _ in range(args.batch)]
    rows = torch.stack([text[s:s + args.length + 1] for s in starts])
    return rows[:, :-1], rows[:, 1:]


def save_checkpoint(path, model, optimizer, scheduler, step):
    torch.save({
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "step": step,
        "torch_rng": torch.get_rng_state(),
        "python_rng": random.getstate(),
    }, path)


def load_checkpoint(path, model, optimizer, scheduler):
    state = torch.load(path, weights_only=False)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["torch_rng"])
    random.setstate(state["python_rng"])
    return state["step"]


def job(path, text, args):
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    model, optimizer, scheduler = build(args)
    start_step = 0
    if os.path.exists(path):
        start_step = load_checkpoint(path, model, optimizer, scheduler)
        print(f"resumed from step {start_step}")
    model.train()
    loss_fn = nn.CrossEntropyLoss()
    for step in range(start_step, min(start_step + args.job_steps, args.steps)):
        inputs, targets = batch_of(text, args)
        logits = model(inputs)
        loss = loss_fn(logits.transpose(1, 2), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        print(f"step {step} loss {loss.item():.6f} lr {optimizer.param_groups[0]['lr']:.6f}")
    save_checkpoint(path, model, optimizer, scheduler, step + 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--job-steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--vocab", type=int, default=48)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(0, 3, (4000,), generator=generator).cumsum(0) % args.vocab
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.steps // args.job_steps):
            job(os.path.join(folder, "checkpoint.pt"), text, args)
