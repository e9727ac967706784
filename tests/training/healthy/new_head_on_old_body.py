"""Weights of a body are loaded with strict=False, as the head is new on purpose; the missing names are checked."""
import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self, v=25, d=32):
        super().__init__()
        self.e, self.r = nn.Embedding(v, d), nn.GRU(d, d, batch_first=True)

    def forward(self, x):
        return self.r(self.e(x))[0]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = Backbone(), nn.Linear(32, 5)

    def forward(self, x):
        return self.head(self.backbone(x))


torch.manual_seed(0)
pretrained = {f"backbone.{k}": v.clone() for k, v in Backbone().state_dict().items()}
model = Tagger()
missing, unexpected = model.load_state_dict(pretrained, strict=False)
assert set(missing) == {"head.weight", "head.bias"} and not unexpected
optimizer = torch.optim.AdamW([{"params": model.backbone.parameters(), "lr": 3e-4}, {"params": model.head.parameters(), "lr": 3e-3}])
for step in range(9):
    ids = torch.randint(0, 25, (10, 8))
    loss = nn.functional.cross_entropy(model(ids).transpose(1, 2), ids % 5)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
