"""Reference trainer in one loop: validate, sample, then a step. The tokens are made here."""
import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class NewGELU(nn.Module):
    def forward(self, x):
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


class Block(nn.Module):
    def __init__(self, C, NH, T):
        super().__init__()
        self.NH = NH
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.c_attn, self.attn_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.c_fc, self.gelu, self.c_proj = nn.Linear(C, 4 * C), NewGELU(), nn.Linear(4 * C, C)
        self.register_buffer("bias", torch.tril(torch.ones(T, T)).view(1, 1, T, T))

    def forward(self, x):
        B, T, C = x.size()
        qkv = self.c_attn(self.ln_1(x))
        q, k, v = (t.view(B, T, self.NH, C // self.NH).transpose(1, 2) for t in qkv.split(C, dim=2))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        x = x + self.attn_proj(y.transpose(1, 2).contiguous().view(B, T, C))
        return x + self.c_proj(self.gelu(self.c_fc(self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, V, T, C=32, NH=4, L=2):
        super().__init__()
        self.T = T
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(T, C)
        self.h = nn.ModuleList(Block(C, NH, T) for _ in range(L))
        self.ln_f, self.lm_head = nn.LayerNorm(C), nn.Linear(C, V, bias=False)
        self.wte.weight = self.lm_head.weight
        self.apply(self.init_weights)

    def init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx, targets=None):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        return logits, loss

    @torch.no_grad()
    def generate(self, idx, max_new_tokens):
        for _ in range(max_new_tokens):
            logits, _ = self(idx[:, -self.T:])
            probs = F.softmax(logits[:, -1, :], dim=-1)
            idx = torch.cat((idx, torch.multinomial(probs, num_samples=1)), dim=1)
        return idx


class DistributedDataLoader:
    def __init__(self, tokens, B, T):
        self.tokens, self.B, self.T = tokens, B, T
        assert len(tokens) >= B * T + 1
        self.reset()

    def reset(self):
        self.current_position = 0

    def next_batch(self):
        B, T = self.B, self.T
        buf = self.tokens[self.current_position:self.current_position + B * T + 1]
        self.current_position += B * T
        if self.current_position + B * T + 1 > len(self.tokens):
            self.current_position = 0
        return buf[:-1].view(B, T), buf[1:].view(B, T)


def make_tokens(n, seed, vocab_size):
    """A noisy counter: the next token is the last plus one, three times of four."""
    g = torch.Generator().manual_seed(seed)
    jump = torch.where(torch.rand(n, generator=g) < 0.75, 1, torch.randint(0, vocab_size, (n,), generator=g))
    return jump.cumsum(0) % vocab_size


parser = argparse.ArgumentParser()
parser.add_argument("--batch_size", type=int, default=4)
parser.add_argument("--sequence_length", type=int, default=24)
parser.add_argument("--num_iterations", type=int, default=12)
parser.add_argument("--learning_rate", type=float, default=5e-3)
parser.add_argument("--warmup_iters", type=int, default=0)
parser.add_argument("--learning_rate_decay_frac", type=float, default=0.1)
parser.add_argument("--weight_decay", type=float, default=0.1)
parser.add_argument("--grad_clip", type=float, default=0.5)
parser.add_argument("--val_loss_every", type=int, default=3)
parser.add_argument("--sample_every", type=int, default=5)
args = parser.parse_args()
torch.manual_seed(42)
V, B, T = 50, args.batch_size, args.sequence_length
train_loader = DistributedDataLoader(make_tokens(3000, 1, V), B, T)
val_loader = DistributedDataLoader(make_tokens(600, 2, V), B, T)
model = GPT(V, T)


def get_lr(it):
    min_lr = args.learning_rate * args.learning_rate_decay_frac
    if it < args.warmup_iters:
        return args.learning_rate * (it + 1) / args.warmup_iters
    ratio = (it - args.warmup_iters) / (args.num_iterations - args.warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * min(1.0, ratio))) * (args.learning_rate - min_lr)


decayed = [p for n, p in model.named_parameters() if p.dim() >= 2]
plain = [p for n, p in model.named_parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": args.weight_decay}, {"params": plain, "weight_decay": 0.0}],
    lr=args.learning_rate, betas=(0.9, 0.95),
)
for step in range(args.num_iterations + 1):
    last_step = step == args.num_iterations
    if step % args.val_loss_every == 0 or last_step:
        model.eval()
        val_loader.reset()
        with torch.no_grad():
            val_loss = 0.0
            for _ in range(4):
                x, y = val_loader.next_batch()
                _, loss = model(x, y)
                val_loss += loss.item()
        print(f"val loss {val_loss / 4:.6f}")
    if step % args.sample_every == 4:
        model.eval()
        print("sample", model.generate(torch.zeros(1, 1, dtype=torch.long), 8)[0].tolist())
    if last_step:
        break
    model.train()
    optimizer.zero_grad(set_to_none=True)
    x, y = train_loader.next_batch()
    _, loss = model(x, y)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)
    lr = get_lr(step)
    for param_group in optimizer.param_groups:
        param_group["lr"] = lr
    optimizer.step()
    print(f"step {step + 1:4d}/{args.num_iterations} | train loss {loss.item():.6f} | norm {norm:.4f} | lr {lr:.2e}")
