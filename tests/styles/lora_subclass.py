"""LoRA as a subclass of nn.Linear with merging on eval(): lora_A [rank, in], lora_B [out, rank], a scaling of alpha / r."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class LoRALinear(nn.Linear):
    def __init__(self, in_features, out_features, r=0, lora_alpha=1, lora_dropout=0.0, merge_weights=True, **kwargs):
        super().__init__(in_features, out_features, **kwargs)
        self.r, self.lora_alpha, self.merge_weights, self.merged = r, lora_alpha, merge_weights, False
        self.lora_dropout = nn.Dropout(p=lora_dropout) if lora_dropout > 0.0 else nn.Identity()
        if r > 0:
            self.lora_A = nn.Parameter(self.weight.new_zeros((r, in_features)))
            self.lora_B = nn.Parameter(self.weight.new_zeros((out_features, r)))
            self.scaling = lora_alpha / r
            self.weight.requires_grad = False
            if self.bias is not None:
                self.bias.requires_grad = False
            nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def train(self, mode: bool = True):
        super().train(mode)
        if self.r > 0 and self.merge_weights and self.merged == mode:
            sign = -1 if mode else 1
            self.weight.data += sign * (self.lora_B @ self.lora_A).data * self.scaling
            self.merged = not mode
        return self

    def forward(self, x: torch.Tensor):
        result = F.linear(x, self.weight, self.bias)
        if self.r > 0 and not self.merged:
            result = result + F.linear(F.linear(self.lora_dropout(x), self.lora_A), self.lora_B) * self.scaling
        return result
