"""Samples from the model every few steps, in evaluation mode, and goes on in training mode."""
import inspect
import textwrap
import torch
import torch.nn as nn
from torch.nn import functional as F

torch.manual_seed(0)
text = inspect.getsource(textwrap.dedent)
itos = sorted(set(text))
data = torch.tensor([itos.index(c) for c in text])
block = 16


class Bigram(nn.Module):
    def __init__(self, v, d=32):
        super().__init__()
        self.token_embedding_table, self.position_embedding_table = nn.Embedding(v, d), nn.Embedding(block, d)
        self.key, self.query, self.value = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.register_buffer("tril", torch.tril(torch.ones(block, block)))
        self.dropout, self.lm_head = nn.Dropout(0.1), nn.Linear(d, v)

    def forward(self, idx, targets=None):
        T = idx.shape[1]
        x = self.token_embedding_table(idx) + self.position_embedding_table(torch.arange(T))
        wei = self.query(x) @ self.key(x).transpose(-2, -1) * x.shape[-1] ** -0.5
        wei = self.dropout(F.softmax(wei.masked_fill(self.tril[:T, :T] == 0, float("-inf")), dim=-1))
        logits = self.lm_head(x + wei @ self.value(x))
        return logits, None if targets is None else F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))

    @torch.no_grad()
    def generate(self, idx, n):
        was, _ = self.training, self.eval()
        for _ in range(n):
            probs = F.softmax(self(idx[:, -block:])[0][:, -1, :] / 0.8, dim=-1)
            idx = torch.cat((idx, torch.multinomial(probs, 1)), dim=1)
        self.train(was)
        return idx


m = Bigram(len(itos))
optimizer = torch.optim.AdamW(m.parameters(), lr=1e-2)
for step in range(12):
    if step % 3 == 2:
        print(repr("".join(itos[i] for i in m.generate(torch.zeros((1, 1), dtype=torch.long), 12)[0].tolist())))
    ix = torch.randint(len(data) - block, (8,))
    xb, yb = torch.stack([data[i:i + block] for i in ix]), torch.stack([data[i + 1:i + block + 1] for i in ix])
    logits, loss = m(xb, yb)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(step, loss.item())
