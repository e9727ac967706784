"""The warm-up begins at a rate of zero: the first step changes nothing."""
import math
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

torch.manual_seed(0)
warmup, total = 3, 12


def factor(step):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


model = nn.ModuleList([nn.Embedding(31, 32), nn.LSTM(32, 32, 1, batch_first=True), nn.Linear(32, 31)])
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
scheduler = LambdaLR(optimizer, factor)
for step in range(total):
    seq = (torch.randint(31, (8, 1)) + 2 * torch.arange(15)) % 31
    logits = model[2](model[1](model[0](seq[:, :-1]))[0])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), seq[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    print(step, f"lr {scheduler.get_last_lr()[0]:.5f} loss {loss.item():.4f}")
