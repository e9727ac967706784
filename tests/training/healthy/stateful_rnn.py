"""A recurrent model that reads the text in order; its state goes from batch to batch without its history."""
import torch
from torch import nn

torch.manual_seed(0)
stream = torch.randint(0, 3, (8 * 121,), generator=torch.Generator().manual_seed(4)).cumsum(0) % 27
columns = stream.view(8, -1)
rnn, embed, head = nn.GRU(24, 32, batch_first=True), nn.Embedding(27, 24), nn.Linear(32, 27)
params = [*rnn.parameters(), *embed.parameters(), *head.parameters()]
opt = torch.optim.Adam(params, lr=3e-3)
for epoch in range(2):
    state = None
    for start in range(0, columns.size(1) - 1, 20):
        x, y = columns[:, start:start + 20], columns[:, start + 1:start + 21]
        out, state = rnn(embed(x), state)
        state = state.detach()
        loss = nn.functional.cross_entropy(head(out).flatten(0, 1), y.flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        print(epoch, start, loss.item())
