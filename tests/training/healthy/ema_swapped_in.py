"""The averaged weights are put into the model for the evaluation, and the trained ones are put back afterwards."""
import copy
import torch
from torch import nn
from torch.nn import functional as F


class Tiny(nn.Module):
    def __init__(self, v=32, d=32):
        super().__init__()
        self.emb, self.lstm, self.drop, self.fc = nn.Embedding(v, d), nn.LSTM(d, d, batch_first=True), nn.Dropout(0.1), nn.Linear(d, v)

    def forward(self, ids):
        return self.fc(self.drop(self.lstm(self.emb(ids))[0]))


def batch(g, n=10):
    start = torch.randint(0, 32, (n, 1), generator=g)
    return (start + torch.arange(13) * torch.randint(1, 5, (n, 1), generator=g)) % 32


def loss_of(model, rows):
    return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def main():
    torch.manual_seed(0)
    g, held_out = torch.Generator().manual_seed(5), batch(torch.Generator().manual_seed(6), 16)
    model = Tiny()
    average = copy.deepcopy(model.state_dict())
    opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for step in range(12):
        model.train()
        loss = loss_of(model, batch(g))
        opt.zero_grad()
        loss.backward()
        opt.step()
        for k, v in model.state_dict().items():
            average[k].mul_(0.8).add_(v, alpha=0.2)
        if step % 4 == 3:
            kept = copy.deepcopy(model.state_dict())
            model.load_state_dict(average)
            model.eval()
            with torch.no_grad():
                print("averaged", loss_of(model, held_out).item())
            model.load_state_dict(kept)
        print(step, loss.item())


main()
