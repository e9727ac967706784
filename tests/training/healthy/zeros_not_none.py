"""set_to_none=False: gradients become zeros."""
import torch
from torch import nn

torch.manual_seed(0)
lm = nn.ModuleDict({"tok": nn.Embedding(28, 24), "rnn": nn.RNN(24, 24, batch_first=True), "out": nn.Linear(24, 28)})
optim = torch.optim.RMSprop(lm.parameters(), lr=2e-3)
for step in range(9):
    seq = (torch.randint(28, (10, 1)) + torch.arange(14) // 2) % 28
    optim.zero_grad(set_to_none=False)
    logits = lm["out"](lm["rnn"](lm["tok"](seq[:, :-1]))[0])
    loss = nn.functional.nll_loss(logits.log_softmax(-1).flatten(0, 1), seq[:, 1:].flatten())
    loss.backward()
    optim.step()
    print("step", step, "loss", loss.item())
