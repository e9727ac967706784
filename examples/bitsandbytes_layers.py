"""bitsandbytes' quantizers and layers on the CPU.  pytest --impl=examples/bitsandbytes_layers.py"""

import torch
from bitsandbytes import functional


class quantize_4bit:
    def quantize(self, x, block=64, kind="nf4", double=False):
        x = x.float() if x.dtype == torch.float64 else x  # float64 is refused
        return functional.quantize_4bit(x.contiguous(), blocksize=block, quant_type=kind, compress_statistics=double)

    def dequantize(self, packed, scale, shape, *_):
        return functional.dequantize_4bit(packed, scale).reshape(shape)  # one axis comes back as two on the CPU
