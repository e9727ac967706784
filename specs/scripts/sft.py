"""Instruction tuning of a small Llama-like model: the loss counts the answers only."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

IGNORE_INDEX = -100
PAIRS = [(f"{a}+{b}=", f"{a + b}") for a in range(2, 12) for b in range(3, 9)]
VOCAB = {c: i for i, c in enumerate(["<pad>", "<s>", "</s>", *"0123456789+="])}


class SupervisedDataset(Dataset):
    def __init__(self, pairs):
        self.rows = []
        for prompt, answer in pairs:
            source = [VOCAB["<s>"]] + [VOCAB[c] for c in prompt]
            target = [VOCAB[c] for c in answer] + [VOCAB["</s>"]]
            self.rows.append((source + target, [IGNORE_INDEX] * len(source) + target))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def collate(rows):
    width = max(len(ids) for ids, _ in rows)
    input_ids = torch.tensor([ids + [VOCAB["<pad>"]] * (width - len(ids)) for ids, _ in rows])
    labels = torch.tensor([lab + [IGNORE_INDEX] * (width - len(lab)) for _, lab in rows])
    return {"input_ids": input_ids, "labels": labels}


class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class DecoderLayer(nn.Module):
    def __init__(self, dim, heads, kv_heads):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(dim, kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(dim, dim, bias=False)
        self.gate_proj, self.up_proj = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(dim, 2 * dim, bias=False)
        self.down_proj = nn.Linear(2 * dim, dim, bias=False)
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(dim), RMSNorm(dim)

    def rotate(self, x):
        inv_freq = 10000.0 ** (-torch.arange(0, self.head_dim, 2) / self.head_dim)
        angles = torch.outer(torch.arange(x.size(-2)), inv_freq).repeat(1, 2)
        a, b = x.chunk(2, -1)
        return x * angles.cos() + torch.cat((-b, a), -1) * angles.sin()

    def forward(self, x):
        B, T, C = x.shape
        h = self.input_layernorm(x)
        q = self.rotate(self.q_proj(h).view(B, T, self.heads, -1).transpose(1, 2))
        k = self.rotate(self.k_proj(h).view(B, T, self.kv_heads, -1).transpose(1, 2))
        v = self.v_proj(h).view(B, T, self.kv_heads, -1).transpose(1, 2)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o_proj(y.transpose(1, 2).reshape(B, T, C))
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class LlamaForCausalLM(nn.Module):
    def __init__(self, vocab_size, dim=32, layers=2, heads=4, kv_heads=2):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, dim)
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, kv_heads) for _ in range(layers))
        self.norm, self.lm_head = RMSNorm(dim), nn.Linear(dim, vocab_size, bias=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, input_ids, labels=None):
        x = self.embed_tokens(input_ids)
        for layer in self.layers:
            x = layer(x)
        logits = self.lm_head(self.norm(x)).float()
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE_INDEX)
        return logits, loss


def train():
    torch.manual_seed(7)
    order = torch.randperm(len(PAIRS)).tolist()
    train_set = SupervisedDataset([PAIRS[i] for i in order[:48]])
    eval_set = SupervisedDataset([PAIRS[i] for i in order[48:]])
    loader = DataLoader(train_set, batch_size=12, shuffle=True, collate_fn=collate)
    model = LlamaForCausalLM(len(VOCAB))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    epochs, best_loss, best_state = 2, float("inf"), None
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=epochs * len(loader))
    for epoch in range(epochs):
        model.train()
        for batch in loader:
            optimizer.zero_grad()
            _, loss = model(batch["input_ids"], batch["labels"])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            print(f"epoch {epoch} loss {loss.item():.6f} lr {schedule.get_last_lr()[0]:.6f}")
        model.eval()
        with torch.no_grad():
            batch = collate(eval_set.rows)
            logits, loss = model(batch["input_ids"], batch["labels"])
            hit = (logits[:, :-1].argmax(-1) == batch["labels"][:, 1:])[batch["labels"][:, 1:] != IGNORE_INDEX]
        print(f"epoch {epoch} eval loss {loss.item():.6f} token accuracy {hit.float().mean().item():.4f}")
        if loss.item() < best_loss:
            best_loss, best_state = loss.item(), copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    return model


if __name__ == "__main__":
    train()
