"""bitsandbytes' quantizers and layers on the CPU.  pytest --impl=examples/bitsandbytes_layers.py"""

import torch
from bitsandbytes import functional


class quantize_4bit:
    def quantize(self, x, block=64, kind="nf4", double=False):
        x = x.float() if x.dtype == torch.float64 else x  # float64 is refused
        return functional.quantize_4bit(x.contiguous(), blocksize=block, quant_type=kind, compress_statistics=double)

    def dequantize(self, packed, scale, shape, *_):
        return functional.dequantize_4bit(packed, scale).reshape(shape)  # one axis comes back as two on the CPU


class int8_linear:
    """The quantizer and the integer product of bitsandbytes. Its Linear8bitLt computes in float16 inside, whatever
    comes in."""

    def __init__(self, weight, bias=None, threshold=6.0):
        self.codes, self.largest, _ = functional.int8_vectorwise_quant(weight.float().contiguous())
        self.weight = functional.int8_vectorwise_dequant(self.codes, self.largest).to(weight.dtype)
        self.bias, self.threshold = bias, threshold

    def forward(self, x):
        rows = x.flatten(0, -2)
        outlier = rows.detach().abs().amax(0) >= self.threshold
        usual = rows.masked_fill(outlier, 0)
        codes, largest, _ = functional.int8_vectorwise_quant(usual.detach().float().contiguous())
        product = functional.int8_linear_matmul(codes, self.codes) * (largest[:, None] / 127) * (self.largest / 127)
        passed = usual @ self.weight.T  # for the gradient
        out = passed + (product.to(x.dtype) - passed).detach() + (rows - usual) @ self.weight.T
        return (out if self.bias is None else out + self.bias).unflatten(0, x.shape[:-1])
