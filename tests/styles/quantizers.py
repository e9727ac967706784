"""Quantizers as a tutorial has them: absmax and zero-point functions, a class per channel, and what is read back."""

import torch


def absmax_quantize(x):
    scale = 127 / torch.max(torch.abs(x))
    x_quant = (scale * x).round()
    return x_quant.to(torch.int8), x_quant / scale


def zeropoint_quantize(x):
    x_range = torch.max(x) - torch.min(x)
    x_range = 1 if x_range == 0 else x_range
    scale = 255 / x_range
    zeropoint = (-scale * torch.min(x) - 128).round()
    x_quant = torch.clip((x * scale + zeropoint).round(), -128, 127)
    return x_quant.to(torch.int8), (x_quant - zeropoint) / scale


class SymmetricQuantizer:
    """One scale for each row."""

    def __init__(self, bits=8):
        self.bits = bits
        self.largest = 2 ** (bits - 1) - 1

    def quantize(self, weight):
        self.scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / self.largest
        return torch.clamp(torch.round(weight / self.scale), -self.largest, self.largest).to(torch.int8)

    def dequantize(self, codes):
        return codes.to(self.scale.dtype) * self.scale


class QuantizedLinear(torch.nn.Module):
    def __init__(self, linear, bits=8):
        super().__init__()
        quantizer = SymmetricQuantizer(bits)
        self.register_buffer("codes", quantizer.quantize(linear.weight.detach()))
        self.register_buffer("scale", quantizer.scale)
        self.bias = linear.bias

    def forward(self, x):
        return torch.nn.functional.linear(x, self.codes.to(x.dtype) * self.scale.to(x.dtype), self.bias)
