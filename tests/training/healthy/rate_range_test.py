"""A range test of the rate comes first; the weights and the optimiser are put back before the training begins."""
import copy
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(24, 32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 24))
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def step_once():
    x = torch.randint(24, (16, 8))
    loss = nn.functional.cross_entropy(model(x).flatten(0, 1), ((x + 11) % 24).flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(opt.state_dict())
for exponent in range(4):
    opt.param_groups[0]["lr"] = 0.01 * 3 ** exponent
    print("rate", opt.param_groups[0]["lr"], step_once())
model.load_state_dict(weights)
opt.load_state_dict(state)
opt.param_groups[0]["lr"] = 0.1
for step in range(8):
    print(step, step_once())
