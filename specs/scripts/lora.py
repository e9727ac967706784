"""LoRA: a base model is pretrained shortly, frozen, and adapted to other data by low-rank updates."""
import math

import torch
from torch import nn
from torch.nn import functional as F


class Base(nn.Module):
    def __init__(self, vocab=32, d=32, heads=4, layers=2, block=16):
        super().__init__()
        self.heads = heads
        self.tok, self.pos = nn.Embedding(vocab, d), nn.Embedding(block, d)
        self.layers = nn.ModuleList(nn.ModuleDict(dict(
            ln1=nn.LayerNorm(d), q=nn.Linear(d, d), k=nn.Linear(d, d), v=nn.Linear(d, d), o=nn.Linear(d, d),
            ln2=nn.LayerNorm(d), up=nn.Linear(d, 4 * d), down=nn.Linear(4 * d, d))) for _ in range(layers))
        self.ln_f, self.head = nn.LayerNorm(d), nn.Linear(d, vocab)

    def forward(self, idx):
        B, T = idx.shape
        x = self.tok(idx) + self.pos(torch.arange(T))
        for layer in self.layers:
            h = layer["ln1"](x)
            q, k, v = (layer[n](h).view(B, T, self.heads, -1).transpose(1, 2) for n in "qkv")
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + layer["o"](y.transpose(1, 2).reshape(B, T, -1))
            x = x + layer["down"](F.gelu(layer["up"](layer["ln2"](x))))
        return self.head(self.ln_f(x))


class LoRALinear(nn.Module):
    def __init__(self, linear, r=4, alpha=8, dropout=0.05):
        super().__init__()
        self.linear, self.scaling = linear, alpha / r
        self.lora_A = nn.Parameter(torch.empty(r, linear.in_features))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, r))
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x):
        return self.linear(x) + self.dropout(x) @ self.lora_A.T @ self.lora_B.T * self.scaling


def mark_only_lora_as_trainable(model):
    for name, p in model.named_parameters():
        p.requires_grad = "lora_" in name


def add_lora(model, targets=("q", "v")):
    for layer in model.layers:
        for name in targets:
            layer[name] = LoRALinear(layer[name])
    mark_only_lora_as_trainable(model)


def stream(shift, g, batch=12, T=16):
    """Sequences where each token is the last one plus `shift`, with noise."""
    start = torch.randint(0, 32, (batch, 1), generator=g)
    noise = (torch.rand(batch, T + 1, generator=g) < 0.1).long()
    ids = (start + shift * torch.arange(T + 1) + noise) % 32
    return ids[:, :-1], ids[:, 1:]


def pretrain(steps):
    """What stands in for downloaded weights: plain SGD on another task, without an optimiser object."""
    model, g = Base(), torch.Generator().manual_seed(5)
    for _ in range(steps):
        x, y = stream(1, g)
        grads = torch.autograd.grad(F.cross_entropy(model(x).flatten(0, 1), y.flatten()), list(model.parameters()))
        with torch.no_grad():
            for p, grad in zip(model.parameters(), grads):
                p -= 0.3 * grad
    return model.state_dict()


@torch.no_grad()
def evaluate(model):
    model.eval()
    x, y = stream(3, torch.Generator().manual_seed(99), batch=32)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    model.train()
    return loss


def main():
    torch.manual_seed(0)
    model = Base()
    model.load_state_dict(pretrain(10))
    add_lora(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    total = sum(p.numel() for p in model.parameters())
    print(f"trainable {sum(p.numel() for p in trainable)} of {total} parameters")
    optimizer = torch.optim.AdamW(trainable, lr=1e-2, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=14)
    g = torch.Generator().manual_seed(1)
    model.train()
    for step in range(14):
        x, y = stream(3, g)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        print(f"step {step} loss {loss.item():.6f}")
        if step % 4 == 3:
            print(f"step {step} eval loss {evaluate(model):.6f}")
    adapters = {n: p for n, p in model.state_dict().items() if "lora_" in n}
    print("adapter tensors", len(adapters))


if __name__ == "__main__":
    main()
