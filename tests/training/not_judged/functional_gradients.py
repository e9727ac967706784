"""Gradients by torch.func, without backward(): parameters are a dictionary, and the update makes a new one."""
import torch
from torch import nn
from torch.func import functional_call, grad_and_value

torch.manual_seed(0)
net = nn.Sequential(nn.Embedding(20, 24), nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 20))
params = {k: v.detach().clone() for k, v in net.named_parameters()}


def loss_of(params, x, y):
    return nn.functional.cross_entropy(functional_call(net, params, (x,)).flatten(0, 1), y.flatten())


step_of = grad_and_value(loss_of)
for step in range(10):
    x = torch.randint(0, 20, (12, 8))
    grads, loss = step_of(params, x, (x + 3) % 20)
    params = {k: v - 0.5 * grads[k] for k, v in params.items()}
    print(step, loss.item())
