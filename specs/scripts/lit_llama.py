"""A Llama-like model as a module with training_step and configure_optimizers, and the small trainer that drives it."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class RMSNorm(nn.Module):
    def __init__(self, size, eps=1e-5):
        super().__init__()
        self.scale, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return self.scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


def build_rope_cache(seq_len, n_elem, base=10000):
    theta = 1.0 / (base ** (torch.arange(0, n_elem, 2).float() / n_elem))
    idx_theta = torch.outer(torch.arange(seq_len).float(), theta)
    return torch.cat([idx_theta, idx_theta], -1).cos(), torch.cat([idx_theta, idx_theta], -1).sin()


def apply_rope(x, cos, sin):
    half = x.size(-1) // 2
    rotated = torch.cat((-x[..., half:], x[..., :half]), -1)
    return x * cos[: x.size(-2)] + rotated * sin[: x.size(-2)]


class LlamaBlock(nn.Module):
    def __init__(self, n_embd, n_head, dropout):
        super().__init__()
        self.n_head, self.dropout = n_head, nn.Dropout(dropout)
        self.norm_1, self.norm_2 = RMSNorm(n_embd), RMSNorm(n_embd)
        self.attn, self.proj = nn.Linear(n_embd, 3 * n_embd, bias=False), nn.Linear(n_embd, n_embd, bias=False)
        self.fc_1, self.fc_2 = nn.Linear(n_embd, 2 * n_embd, bias=False), nn.Linear(n_embd, 2 * n_embd, bias=False)
        self.fc_proj = nn.Linear(2 * n_embd, n_embd, bias=False)

    def forward(self, x, cos, sin):
        B, T, C = x.shape
        q, k, v = self.attn(self.norm_1(x)).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.proj(y.transpose(1, 2).reshape(B, T, C)))
        h = self.norm_2(x)
        return x + self.dropout(self.fc_proj(F.silu(self.fc_1(h)) * self.fc_2(h)))


class LitLlama(nn.Module):
    def __init__(self, vocab_size=40, n_embd=32, n_layer=2, n_head=4, block_size=20, lr=4e-3, max_steps=16):
        super().__init__()
        self.lr, self.max_steps = lr, max_steps
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.blocks = nn.ModuleList(LlamaBlock(n_embd, n_head, 0.1) for _ in range(n_layer))
        self.ln_f, self.lm_head = RMSNorm(n_embd), nn.Linear(n_embd, vocab_size, bias=False)
        cos, sin = build_rope_cache(block_size, n_embd // n_head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, idx):
        x = self.wte(idx)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.lm_head(self.ln_f(x))

    def training_step(self, batch, batch_idx):
        (ids,) = batch
        logits = self(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        return {"loss": loss, "log": loss.detach()}

    def validation_step(self, batch, batch_idx):
        (ids,) = batch
        logits = self(ids[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, betas=(0.9, 0.95), weight_decay=0.0)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.lr, total_steps=self.max_steps)
        return optimizer, scheduler


class SimpleTrainer:
    def __init__(self, max_epochs, gradient_clip_val):
        self.max_epochs, self.gradient_clip_val, self.global_step = max_epochs, gradient_clip_val, 0

    def fit(self, module, train_loader, val_loader):
        optimizer, scheduler = module.configure_optimizers()
        for epoch in range(self.max_epochs):
            module.train()
            for batch_idx, batch in enumerate(train_loader):
                optimizer.zero_grad()
                out = module.training_step(batch, batch_idx)
                out["loss"].backward()
                nn.utils.clip_grad_norm_(module.parameters(), self.gradient_clip_val)
                optimizer.step()
                scheduler.step()
                self.global_step += 1
                print(f"epoch {epoch} step {self.global_step} train_loss {out['log'].item():.6f}")
            module.eval()
            with torch.no_grad():
                losses = [module.validation_step(batch, i) for i, batch in enumerate(val_loader)]
            print(f"epoch {epoch} val_loss {torch.stack(losses).mean().item():.6f}")


def windows(seed, rows, length=21, vocab=40):
    """Ramps with a random start and stride, modulo the vocabulary."""
    g = torch.Generator().manual_seed(seed)
    start, stride = torch.randint(0, vocab, (rows, 1), generator=g), torch.randint(1, 6, (rows, 1), generator=g)
    noise = (torch.rand(rows, length, generator=g) < 0.1).long()
    return TensorDataset((start + stride * torch.arange(length) + noise) % vocab)


if __name__ == "__main__":
    torch.manual_seed(123)
    train_loader = DataLoader(windows(1, 32), batch_size=8, shuffle=True)
    val_loader = DataLoader(windows(2, 16), batch_size=8)
    SimpleTrainer(max_epochs=4, gradient_clip_val=0.7).fit(LitLlama(), train_loader, val_loader)
