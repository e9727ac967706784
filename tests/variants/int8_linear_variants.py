"""Right int8 layers that differ in how they get there; none of them may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


class Product(torch.autograd.Function):
    """The way of bitsandbytes: outlier columns taken out by index, a backward function of its own."""

    @staticmethod
    def forward(ctx, x, codes, largest, threshold):
        outlier = torch.nonzero(torch.linalg.vector_norm(x, torch.inf, 0) >= threshold)[:, 0]
        kept = x[:, outlier]
        rest = x.clone()
        rest[:, outlier] = 0
        absmax = rest.abs().amax(1)
        inverse = torch.where(absmax > 0, 127.0 / absmax, torch.zeros_like(absmax))
        eight = (rest * inverse[:, None]).round().to(torch.int8)
        total = torch.einsum("ni,oi->no", eight.long(), codes.long())
        out = total.to(absmax.dtype) * (absmax[:, None] / 127) * (largest / 127)
        ctx.save_for_backward(codes, largest)
        weight = codes[:, outlier].to(x.dtype) * (largest[:, None] / 127).to(x.dtype)
        return out.to(x.dtype) + kept @ weight.T

    @staticmethod
    def backward(ctx, gradient):
        codes, largest = ctx.saved_tensors
        return (gradient * (largest / 127).to(gradient.dtype)) @ codes.to(gradient.dtype), None, None, None


class ModuleWithBuffers(nn.Module):
    """Codes and largest numbers as buffers, the bias as a parameter."""

    def __init__(self, weight, bias=None, threshold=6.0):
        super().__init__()
        wide = weight.detach().float() if weight.dtype.itemsize == 2 else weight.detach()
        largest = wide.abs().amax(1)
        codes = (wide * 127 / largest.clamp_min(torch.finfo(wide.dtype).tiny)[:, None]).round().to(torch.int8)
        self.register_buffer("codes", codes)
        self.register_buffer("largest", largest)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.threshold = threshold

    def forward(self, x):
        if x.shape[-1] != self.codes.shape[1]:
            raise RuntimeError("x is of another width")
        out = Product.apply(x.flatten(0, -2), self.codes, self.largest, self.threshold)
        out = out if self.bias is None else out + self.bias
        return out.unflatten(0, x.shape[:-1])


class WeightKept:
    """The paper's own form: outlier columns times the weight as it was given; codes in floating point; a boolean
    index."""

    def __init__(self, weight, bias, threshold):
        self.weight, self.bias, self.threshold = weight.detach().clone(), bias, threshold
        self.step = self.weight.float().abs().amax(1, keepdim=True) / 127
        self.codes = torch.div(self.weight.float(), self.step).round()
        self.back = (
            (self.codes * self.step).to(weight.dtype)
            if weight.dtype != torch.float64
            else self.codes.double() * (weight.abs().amax(1, keepdim=True) / 127)
        )

    def forward(self, x):
        width = x.shape[-1]
        outlier = (x.abs() >= self.threshold).reshape(-1, width).any(0)
        usual = x[..., ~outlier]
        step = (
            usual.detach().float().abs().amax(-1, keepdim=True) / 127
            if usual.shape[-1]
            else torch.zeros(*x.shape[:-1], 1)
        )
        step = step.masked_fill(step == 0, 1.0)
        double = x.dtype == torch.float64
        if double:
            step = usual.detach().abs().amax(-1, keepdim=True) / 127 if usual.shape[-1] else step.double()
            step = step.masked_fill(step == 0, 1.0)
        codes = torch.round(usual.detach().to(step.dtype) / step)
        weight_step = self.weight.abs().amax(1) / 127 if double else self.step[:, 0]
        exact = (codes @ self.codes[:, ~outlier].T.to(codes.dtype)) * step * weight_step
        passed = usual @ self.back[:, ~outlier].T
        out = passed + (exact.to(x.dtype) - passed).detach() + x[..., outlier] @ self.weight[:, outlier].T
        return out if self.bias is None else self.bias + out


class RowByRow:
    """A loop over rows, in float64 throughout; the rounding passed over by adding what it changes."""

    def __init__(self, weight, bias=None, threshold=6.0):
        self.dtype, self.threshold = weight.dtype, threshold
        rows = [row.double() for row in weight.detach()]
        self.scales = [float(row.abs().max()) / 127 or 1.0 for row in rows]
        self.weight = torch.stack(
            [torch.round(row / scale) * scale for row, scale in zip(rows, self.scales, strict=True)]
        )
        self.bias = None if bias is None else bias.detach().double()

    def forward(self, x):
        flat = x.double().flatten(0, -2)
        outlier = flat.detach().abs().max(0).values >= self.threshold
        rounded = []
        for row in flat:
            part = row * ~outlier
            scale = float(part.detach().abs().max()) / 127 or 1.0
            rounded.append(row + ((part.detach() / scale).round() * scale - part.detach()))
        out = functional.linear(torch.stack(rounded), self.weight, self.bias)
        return out.to(self.dtype).view(*x.shape[:-1], -1)


LAYERS = (ModuleWithBuffers, WeightKept, RowByRow)

try:
    from bitsandbytes.functional import int8_linear_matmul, int8_vectorwise_quant
except ImportError:
    BITSANDBYTES = ()
else:

    class BitsAndBytesKernels(nn.Module):
        """The quantizer and the integer product of bitsandbytes, which are its own; scales applied in float32."""

        def __init__(self, weight, bias=None, threshold=6.0):
            super().__init__()
            self.codes, self.largest, _ = int8_vectorwise_quant(weight.detach().float().contiguous())
            self.bias, self.threshold = bias, threshold
            self.weight = (self.codes.float() * self.largest[:, None] / 127).to(weight.dtype)

        def forward(self, x):
            rows = x.reshape(-1, x.shape[-1])
            outlier = rows.detach().abs().amax(0) >= self.threshold
            usual = rows.masked_fill(outlier, 0)
            codes, largest, _ = int8_vectorwise_quant(usual.detach().float().contiguous())
            total = int8_linear_matmul(codes, self.codes).float()
            exact = (total * (largest / 127).outer(self.largest / 127)).to(x.dtype)
            passed = usual @ self.weight.T
            out = passed + (exact - passed).detach() + (rows - usual) @ self.weight.T
            return (out if self.bias is None else out + self.bias).reshape(*x.shape[:-1], -1)

    BITSANDBYTES = (BitsAndBytesKernels,)

VARIANTS = {layer.__name__: {"int8_linear": layer} for layer in (*LAYERS, *BITSANDBYTES)}
