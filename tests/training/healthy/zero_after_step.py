"""zero_grad stands after the step, at the end of the loop."""
import string
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
text = (string.__doc__ + string.Formatter.__doc__ if string.Formatter.__doc__ else string.__doc__) + string.printable * 3
chars = sorted(set(text))
data = torch.tensor([chars.index(c) for c in text])


class Model(nn.Module):
    def __init__(self, v, d=32, t=16):
        super().__init__()
        self.tok, self.pos = nn.Embedding(v, d), nn.Embedding(t, d)
        self.layer = nn.TransformerEncoderLayer(d, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(d, v)

    def forward(self, x):
        t = x.shape[1]
        h = self.tok(x) + self.pos(torch.arange(t))
        return self.head(self.layer(h, nn.Transformer.generate_square_subsequent_mask(t), is_causal=True))


model = Model(len(chars))
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(10):
    at = torch.randint(0, len(data) - 17, (8,))
    x, y = torch.stack([data[i:i + 16] for i in at]), torch.stack([data[i + 1:i + 17] for i in at])
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    loss.backward()
    opt.step()
    opt.zero_grad()
    print(step, loss.item())
