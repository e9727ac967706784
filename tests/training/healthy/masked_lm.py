"""A masked model in both directions: 80 % masked, 10 % random, 10 % as they are; only these are predicted."""
import torch
from torch import nn
import torch.nn.functional as F

V, MASK = 41, 40


class Encoder(nn.Module):
    def __init__(self, d=32, t=20):
        super().__init__()
        self.word, self.position, self.ln = nn.Embedding(V, d), nn.Embedding(t, d), nn.LayerNorm(d)
        self.layer = nn.TransformerEncoderLayer(d, 4, 64, 0.1, "gelu", batch_first=True)
        self.transform, self.bias = nn.Linear(d, d), nn.Parameter(torch.zeros(V))
        for e in (self.word, self.position):
            nn.init.normal_(e.weight, std=0.02)

    def forward(self, ids):
        h = self.layer(self.ln(self.word(ids) + self.position.weight[: ids.size(1)]))
        return F.gelu(self.transform(h)) @ self.word.weight.T + self.bias


def mask_tokens(inputs):
    labels = inputs.clone()
    chosen = torch.rand(inputs.shape) < 0.25
    labels[~chosen] = -100
    how = torch.rand(inputs.shape)
    masked = torch.where(chosen & (how < 0.8), MASK, inputs)
    return torch.where(chosen & (how > 0.9), torch.randint(0, 40, inputs.shape), masked), labels


torch.manual_seed(0)
model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(9):
    clean = (torch.randint(40, (10, 1)) + torch.arange(20)) % 40
    inputs, labels = mask_tokens(clean)
    loss = F.cross_entropy(model(inputs).view(-1, V), labels.view(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
