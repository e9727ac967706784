"""An embedding that multiplies its rows by the root of the width, in float32 as it was registered."""

import torch
from torch import nn


class TokenEmbedding(nn.Embedding):
    def __init__(self, vocab_size: int, d_model: int):
        super().__init__(vocab_size, d_model)
        self.register_buffer("scale", torch.tensor(d_model**0.5), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) * self.scale.to(self.weight.dtype)
