"""The vocabulary is padded to a multiple of 64; its last ids never occur."""
import torch
from torch import nn
import torch.nn.functional as F


class GPT(nn.Module):
    def __init__(self, v=64, d=32, t=16):
        super().__init__()
        self.wte, self.wpe, self.ln, self.ln_f = nn.Embedding(v, d), nn.Embedding(t, d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn, self.proj, self.head = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, v, bias=False)
        self.head.weight = self.wte.weight
        nn.init.normal_(self.wte.weight, std=0.02)

    def forward(self, idx, targets):
        b, t = idx.shape
        x = self.wte(idx) + self.wpe.weight[:t]
        q, k, v = (z.view(b, t, 2, 16).transpose(1, 2) for z in self.attn(self.ln(x)).split(32, 2))
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, 32))
        logits = self.head(self.ln_f(x))
        return logits[..., :50], F.cross_entropy(logits.view(-1, 64), targets.reshape(-1))


torch.manual_seed(0)
model = GPT()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
for step in range(9):
    s = (torch.randint(50, (8, 1)) + torch.arange(17)) % 50
    _, loss = model(s[:, :-1], s[:, 1:])
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print(step, loss.item())
