"""Right fake quantizers that differ in how they get there; none of them may fail a claim."""

import math

import torch
from torch import nn


class StraightThrough(torch.autograd.Function):
    """A backward function of its own, with a mask by the ends of the range as they were given."""

    @staticmethod
    def forward(ctx, x, low, high, steps):
        ctx.save_for_backward((x >= low) & (x <= high))
        scale = (high - low) / steps if high > low else torch.ones_like(high)
        zero = (-low / scale).round()
        return ((x / scale).round() + zero).clamp(0, steps).sub(zero).mul(scale)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None, None


class ModuleWithBuffers(nn.Module):
    """The range in buffers, float32, that begin as infinite; unsigned codes; narrow codes in symmetric mode."""

    def __init__(self, bits=8, momentum=0.1, symmetric=False):
        super().__init__()
        assert bits > 1
        self.steps = 2**bits - (2 if symmetric else 1)
        self.momentum, self.symmetric = momentum, symmetric
        self.register_buffer("low", torch.tensor(math.inf))
        self.register_buffer("high", torch.tensor(-math.inf))

    def load(self, low, high):
        self.low.fill_(low)
        self.high.fill_(high)

    def range(self):
        return self.low, self.high

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                low, high = torch.aminmax(x)
                first = torch.isinf(self.low)
                self.low.copy_(torch.where(first, low, torch.lerp(self.low, low.to(self.low), self.momentum)))
                self.high.copy_(torch.where(first, high, torch.lerp(self.high, high.to(self.high), self.momentum)))
        low, high = self.low.to(x.dtype).clamp(max=0), self.high.to(x.dtype).clamp(min=0)
        if self.symmetric:
            high = torch.maximum(high, -low)
            low = -high
        return StraightThrough.apply(x, low, high, self.steps)


class PlainNumbers:
    """Python's numbers for the range, widened as soon as it is seen; clamp and a detached difference; torch's own
    ties."""

    def __init__(self, bits=8, momentum=0.1, symmetric=False):
        if bits <= 1:
            raise ValueError(bits)
        self.bits, self.momentum, self.symmetric = bits, momentum, symmetric
        self.ends, self.training = None, True

    def load(self, low, high):
        self.ends = [low, high]

    def range(self):
        return list(self.ends)

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            seen = [x.min().item(), x.max().item()]
            old = self.ends or seen
            self.ends = [(1 - self.momentum) * o + self.momentum * n for o, n in zip(old, seen, strict=True)]
        low, high = min(self.ends[0], 0.0), max(self.ends[1], 0.0)
        if self.symmetric:  # the code -2^(bits-1) too
            half = 2 ** (self.bits - 1)
            scale, bottom, top = max(-low, high) / (half - 1) or 1.0, -half, half - 1
            zero = 0
        else:
            bottom, top = 0, 2**self.bits - 1
            scale = (high - low) / top or 1.0
            zero = round(-low / scale)
        clipped = x.clamp((bottom - zero) * scale, (top - zero) * scale)
        return clipped + (torch.floor(clipped.detach() / scale + 0.5) * scale - clipped.detach())


class TorchKernel(PlainNumbers):
    """torch.fake_quantize_per_tensor_affine, which has the mask inside."""

    def forward(self, x):
        if self.training:
            seen = [float(x.detach().min()), float(x.detach().max())]
            old = self.ends or seen
            self.ends = [o + self.momentum * (n - o) for o, n in zip(old, seen, strict=True)]
        low, high = min(self.ends[0], 0.0), max(self.ends[1], 0.0)
        bottom, top = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        if self.symmetric:
            return torch.fake_quantize_per_tensor_affine(x, max(-low, high) / top or 1.0, 0, bottom, top)
        scale = (high - low) / (top - bottom) or 1.0
        return torch.fake_quantize_per_tensor_affine(x, scale, round(bottom - low / scale), bottom, top)


class TorchModule:
    """torch.ao.quantization.FakeQuantize with its moving average; evaluation switches its observer off."""

    def __init__(self, bits=8, momentum=0.1, symmetric=False):
        from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver

        if bits < 2:
            raise ValueError(bits)
        half = 2 ** (bits - 1)
        self.layer = FakeQuantize(
            observer=MovingAverageMinMaxObserver,
            quant_min=1 - half if symmetric else 0,
            quant_max=half - 1 if symmetric else 2 * half - 1,
            dtype=torch.qint8 if symmetric else torch.quint8,
            qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
            averaging_constant=momentum,
            eps=1e-30,
        )
        self.range = lambda: (self.layer.activation_post_process.min_val, self.layer.activation_post_process.max_val)
        self.train, self.eval = self.layer.enable_observer, self.layer.disable_observer

    def load(self, low, high):
        observer = self.layer.activation_post_process
        observer.min_val, observer.max_val = torch.tensor(float(low)), torch.tensor(float(high))
        self.layer.scale, self.layer.zero_point = observer.calculate_qparams()

    def forward(self, x):
        return self.layer(x.float()).to(x.dtype)


VARIANTS = {
    layer.__name__: {"fake_quantize": layer} for layer in (ModuleWithBuffers, PlainNumbers, TorchKernel, TorchModule)
}
