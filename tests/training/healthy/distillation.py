"""A student learns from the soft targets of a frozen teacher in evaluation mode, and from the data."""
import torch
from torch import nn
import torch.nn.functional as F


def make(d, drop):
    return nn.Sequential(nn.Embedding(30, d), nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(drop), nn.Linear(2 * d, 30))


torch.manual_seed(0)
teacher, student = make(32, 0.1), make(16, 0.0)
teacher.eval().requires_grad_(False)
optimizer = torch.optim.AdamW(student.parameters(), lr=4e-3)
temperature = 2.0
for step in range(9):
    rows = (torch.randint(30, (8, 1)) + torch.arange(12) * torch.randint(1, 4, (8, 1))) % 30
    x, y = rows[:, :-1], rows[:, 1:]
    with torch.no_grad():
        soft = F.log_softmax(teacher(x) / temperature, -1)
    logits = student(x)
    kl = F.kl_div(F.log_softmax(logits / temperature, -1), soft, reduction="none", log_target=True).sum(-1).mean()
    ce = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    loss = 0.5 * ce + 0.5 * temperature ** 2 * kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} loss {loss.item():.4f} ce {ce.item():.4f} kl {kl.item():.4f}")
