"""An encoder and a decoder with teacher forcing: the decoder's input is the target, moved right behind a start token."""
import torch
from torch import nn

PAD, START, V = 0, 1, 24


class Seq2Seq(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.src, self.tgt, self.pos = nn.Embedding(V, d, PAD), nn.Embedding(V, d, PAD), nn.Embedding(16, d)
        self.core = nn.Transformer(d, 4, 1, 1, 64, 0.1, batch_first=True)
        self.out = nn.Linear(d, V)

    def forward(self, src, tgt):
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1), dtype=torch.bool)
        s, t = self.src(src) + self.pos.weight[: src.size(1)], self.tgt(tgt) + self.pos.weight[: tgt.size(1)]
        return self.out(self.core(s, t, tgt_mask=mask, src_key_padding_mask=src == PAD, memory_key_padding_mask=src == PAD))


torch.manual_seed(0)
model = Seq2Seq()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98), eps=1e-9)
criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
for step in range(9):
    src = torch.randint(2, V, (10, 9))
    src[torch.arange(9) >= torch.randint(5, 10, (10, 1))] = PAD
    tgt = src.flip(1)
    decoder_input = torch.cat([torch.full((10, 1), START), tgt[:, :-1]], 1)
    loss = criterion(model(src, decoder_input).flatten(0, 1), tgt.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(step, loss.item())
