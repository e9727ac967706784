"""Word vectors with negative samples: two tables, a logistic loss, sparse gradients."""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
stream = torch.randint(0, 5, (1500,), generator=torch.Generator().manual_seed(7)).cumsum(0) % 60
centre, context = nn.Embedding(60, 24, sparse=True), nn.Embedding(60, 24, sparse=True)
for table in (centre, context):
    nn.init.uniform_(table.weight, -0.02, 0.02)
opt = torch.optim.SparseAdam([*centre.parameters(), *context.parameters()], lr=1e-2)
for step in range(9):
    at = torch.randint(2, len(stream) - 2, (64,))
    near = stream[at + torch.randint(1, 3, (64,)) * (2 * torch.randint(0, 2, (64,)) - 1)]
    far = torch.randint(60, (64, 4))
    v = centre(stream[at])
    right = (v * context(near)).sum(-1)
    wrong = torch.einsum("bd,bkd->bk", v, context(far))
    loss = -F.logsigmoid(right).mean() - F.logsigmoid(-wrong).sum(-1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
