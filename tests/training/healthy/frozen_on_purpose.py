"""The embeddings and the first layer are frozen; the optimiser gets what is trainable."""
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, v=30, d=32):
        super().__init__()
        self.embeddings = nn.Embedding(v, d)
        self.encoder = nn.ModuleList(nn.GRU(d, d, batch_first=True) for _ in range(2))
        self.lm_head = nn.Linear(d, v)

    def freeze(self):
        for module in (self.embeddings, self.encoder[0]):
            for p in module.parameters():
                p.requires_grad = False

    def forward(self, ids):
        h = self.embeddings(ids)
        for layer in self.encoder:
            h = h + layer(h)[0]
        return self.lm_head(h)


torch.manual_seed(0)
model = Model()
model.freeze()
optimizer = torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
for step in range(9):
    ids = (torch.randint(30, (8, 1)) + torch.arange(15) ** 2) % 30
    loss = nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(step, round(loss.item(), 4))
