"""Two heads (the next token and the one after it) and a small penalty on the logits; one backward pass for the sum."""
import torch
import torch.nn as nn
import torch.nn.functional as F

V, D, T = 40, 32, 18


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.pos = nn.Embedding(V, D), nn.Embedding(T, D)
        self.body = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, 4, 64, 0.1, batch_first=True, norm_first=True), 2, enable_nested_tensor=False)
        self.next, self.after = nn.Linear(D, V), nn.Linear(D, V)

    def forward(self, x):
        t = x.size(1)
        h = self.body(self.embed(x) + self.pos.weight[:t], mask=torch.triu(torch.full((t, t), float("-inf")), 1))
        return self.next(h), self.after(h)


torch.manual_seed(0)
model = TwoHeads()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for it in range(9):
    w = (torch.randint(0, V, (8, 1)) + torch.cumsum(torch.randint(0, 3, (8, T + 2)), 1)) % V
    a, b = model(w[:, :T])
    main = F.cross_entropy(a.reshape(-1, V), w[:, 1:T + 1].reshape(-1))
    further = F.cross_entropy(b.reshape(-1, V), w[:, 2:T + 2].reshape(-1))
    z = a.logsumexp(-1).pow(2).mean()
    loss = main + 0.3 * further + 1e-4 * z
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(f"{it} total {loss.item():.4f} main {main.item():.4f} further {further.item():.4f}")
