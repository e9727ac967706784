"""Everything by hand: the optimiser, the clipping, the loss, the schedule."""
import math
import string

import torch

torch.manual_seed(2)
alphabet = string.ascii_lowercase + " .,"
vocab, width, heads, context, batch = len(alphabet), 24, 3, 18, 10
words = "the model reads a line and guesses the next letter of it, one after another, until no letter is left".split()
gen = torch.Generator().manual_seed(3)
book = " ".join(words[i] for i in torch.randint(0, len(words), (400,), generator=gen).tolist())
ids = torch.tensor([alphabet.index(c) for c in book])


def matrix(*shape, std=0.02):
    return (torch.randn(*shape) * std).requires_grad_()


def vector(n, value):
    return torch.full((n,), float(value), requires_grad=True)


params = {"wte": matrix(vocab, width), "wpe": matrix(context, width)}
params |= {"lnf_g": vector(width, 1), "lnf_b": vector(width, 0)}
for i in range(2):
    params |= {
        f"ln1_g{i}": vector(width, 1), f"ln1_b{i}": vector(width, 0), f"qkv{i}": matrix(width, 3 * width),
        f"out{i}": matrix(width, width), f"ln2_g{i}": vector(width, 1), f"ln2_b{i}": vector(width, 0),
        f"up{i}": matrix(width, 4 * width), f"down{i}": matrix(4 * width, width),
    }
DECAYED = {n for n, p in params.items() if p.dim() > 1}


def norm(x, g, b):
    centred = x - x.mean(-1, keepdim=True)
    return g * centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5) + b


def forward(idx, p):
    B, T = idx.shape
    x = p["wte"][idx] + p["wpe"][:T]
    future = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)
    for i in range(2):
        h = norm(x, p[f"ln1_g{i}"], p[f"ln1_b{i}"]) @ p[f"qkv{i}"]
        q, k, v = (t.view(B, T, heads, width // heads).transpose(1, 2) for t in h.split(width, -1))
        scores = (q @ k.transpose(-1, -2) / math.sqrt(width // heads)).masked_fill(future, float("-inf"))
        x = x + (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, width) @ p[f"out{i}"]
        x = x + torch.relu(norm(x, p[f"ln2_g{i}"], p[f"ln2_b{i}"]) @ p[f"up{i}"]).square() @ p[f"down{i}"]
    return norm(x, p["lnf_g"], p["lnf_b"]) @ p["wte"].T


def loss_of(idx, targets, p):
    log_probs = torch.log_softmax(forward(idx, p), dim=-1)
    return -log_probs.gather(-1, targets.unsqueeze(-1)).mean()


def draw(first, last):
    at = torch.randint(first, last - context - 1, (batch,))
    idx = torch.stack([ids[a:a + context] for a in at.tolist()])
    targets = torch.stack([ids[a + 1:a + context + 1] for a in at.tolist()])
    return idx, targets


def clip(p, most):
    total = torch.sqrt(sum(t.grad.pow(2).sum() for t in p.values()))
    for t in p.values():
        t.grad.mul_(torch.clamp(most / (total + 1e-6), max=1.0))
    return total


m = {n: torch.zeros_like(t) for n, t in params.items()}
v = {n: torch.zeros_like(t) for n, t in params.items()}
beta1, beta2, eps, decay, peak, steps = 0.9, 0.95, 1e-8, 0.1, 8e-3, 12


@torch.no_grad()
def adamw(p, step, lr):
    for n, t in p.items():
        m[n].mul_(beta1).add_(t.grad, alpha=1 - beta1)
        v[n].mul_(beta2).addcmul_(t.grad, t.grad, value=1 - beta2)
        m_hat, v_hat = m[n] / (1 - beta1 ** step), v[n] / (1 - beta2 ** step)
        if n in DECAYED:
            t.mul_(1 - lr * decay)
        t.sub_(lr * m_hat / (v_hat.sqrt() + eps))


cut = int(0.9 * len(ids))
for step in range(1, steps + 1):
    lr = peak * min(step / 3, 1.0) * (1 - (step - 1) / (2 * steps))
    for t in params.values():
        t.grad = None
    idx, targets = draw(0, cut)
    loss = loss_of(idx, targets, params)
    loss.backward()
    total = clip(params, 1.0)
    adamw(params, step, lr)
    print(f"{step:3d} loss {loss.item():.6f} grad norm {total.item():.4f} lr {lr:.5f}")
    if step % 4 == 0:
        with torch.no_grad():
            held_out = torch.stack([loss_of(*draw(cut, len(ids)), params) for _ in range(3)]).mean()
        print(f"{step:3d} held out {held_out.item():.6f}")
