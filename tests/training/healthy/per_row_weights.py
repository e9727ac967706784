"""Rows have weights: the loss is a weighted mean over rows of the mean over tokens, padding left out."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
PAD, V = 0, 24
model = nn.ModuleDict({"emb": nn.Embedding(V, 32, padding_idx=PAD), "gru": nn.GRU(32, 32, batch_first=True), "out": nn.Linear(32, V)})
optimizer = torch.optim.Adamax(model.parameters(), lr=4e-3)
for step in range(9):
    rows = 1 + (torch.randint(V - 1, (8, 1)) + torch.arange(13)) % (V - 1)
    rows[torch.arange(13) >= torch.randint(6, 14, (8, 1))] = PAD
    weights = torch.rand(8) + 0.5
    logits = model["out"](model["gru"](model["emb"](rows[:, :-1]))[0])
    per_token = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], ignore_index=PAD, reduction="none")
    per_row = per_token.sum(1) / (rows[:, 1:] != PAD).sum(1)
    loss = (weights * per_row).sum() / weights.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
