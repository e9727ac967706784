"""A frozen encoder stays in evaluation mode while the head on it is trained, with its own dropout."""
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, v=28, d=32):
        super().__init__()
        self.e, self.layer = nn.Embedding(v, d), nn.TransformerEncoderLayer(d, 4, 64, 0.1, batch_first=True)

    def forward(self, ids):
        return self.layer(self.e(ids)).mean(1)


class Probe(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = Encoder(), nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 4))
        self.encoder.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, ids):
        with torch.no_grad():
            features = self.encoder(ids)
        return self.head(features)


torch.manual_seed(0)
model = Probe().train()
opt = torch.optim.AdamW(model.head.parameters(), lr=1e-2)
for step in range(9):
    ids = torch.randint(28, (16, 10))
    loss = nn.functional.cross_entropy(model(ids), ids[:, 0] % 4)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
