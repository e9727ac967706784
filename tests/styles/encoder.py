"""A GPT-2 on torch's own layers: TransformerEncoderLayer with a causal mask, a learned position Parameter, a tied head."""

import torch
import torch.nn as nn
from torch.nn import functional


def gelu(x):
    return functional.gelu(x, approximate="tanh")


class TransformerLM(nn.Module):
    def __init__(self, vocab_size, d_model, nhead, num_layers, max_len, dim_feedforward, dropout=0.1):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, d_model)
        self.pos_embed = nn.Parameter(torch.zeros(1, max_len, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, dim_feedforward, dropout=dropout, activation=gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, num_layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.head = nn.Linear(d_model, vocab_size, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        time = tokens.shape[1]
        if time > self.pos_embed.shape[1]:
            raise ValueError(f"{time} tokens do not fit into {self.pos_embed.shape[1]} positions")
        x = self.embed(tokens) + self.pos_embed[:, :time]
        mask = nn.Transformer.generate_square_subsequent_mask(time, device=tokens.device, dtype=x.dtype)
        return self.head(self.layers(x, mask=mask))
