"""An encoder in both directions that sorts sequences into three classes; accuracy per epoch."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Classifier(nn.Module):
    def __init__(self, vocab=20, d=32, classes=3):
        super().__init__()
        self.embedding = nn.Embedding(vocab, d, padding_idx=0)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, 64, 0.1, batch_first=True), 1, enable_nested_tensor=False)
        self.classifier = nn.Linear(d, classes)

    def forward(self, ids):
        padding = ids == 0
        h = self.encoder(self.embedding(ids), src_key_padding_mask=padding).masked_fill(padding[..., None], 0)
        return self.classifier(h.sum(1) / (~padding).sum(1, keepdim=True))


torch.manual_seed(0)
ids = torch.randint(1, 20, (80, 12))
ids[torch.arange(12) >= torch.randint(5, 13, (80, 1))] = 0
labels = ids.max(1).values % 3
train, test = random_split(TensorDataset(ids, labels), [64, 16], torch.Generator().manual_seed(1))
model, loss_fn = Classifier(), nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(3):
    model.train()
    for x, y in DataLoader(train, 16, shuffle=True):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    model.eval()
    with torch.inference_mode():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, 16))
    print("accuracy", right / len(test))
