"""Right low-rank adapters and int8 quantizers that differ in how they get there; none of them may fail a claim."""

import math

import numpy
import torch
from torch import nn
from torch.nn import functional


def plain_scale(alpha, rank):
    return alpha / rank


def stabilised_scale(alpha, rank):
    return alpha / math.sqrt(rank)


# low-rank adapters ---------------------------------------------------------------------------------------------------


class ModuleOfLinears(nn.Module):
    """Three nn.Linear layers; a module as people write one, whose parameters() is torch's own."""

    scale_of = staticmethod(plain_scale)

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        super().__init__()
        outputs, inputs = weight.shape
        self.base = nn.Linear(inputs, outputs, bias=bias is not None, dtype=weight.dtype)
        self.lora_A = nn.Linear(inputs, rank, bias=False, dtype=weight.dtype)
        self.lora_B = nn.Linear(rank, outputs, bias=False, dtype=weight.dtype)
        self.dropout = nn.Dropout(dropout)
        self.scaling, self.merged = self.scale_of(alpha, rank), False
        with torch.no_grad():
            self.base.weight.copy_(weight)
            if bias is not None:
                self.base.bias.copy_(bias)
        self.base.requires_grad_(False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def load(self, a, b):
        self.lora_A.load_state_dict({"weight": a})
        self.lora_B.load_state_dict({"weight": b})

    def forward(self, x):
        out = self.base(x)
        return out if self.merged else out + self.scaling * self.lora_B(self.lora_A(self.dropout(x)))

    @torch.no_grad()
    def merge(self):
        if not self.merged:
            self.base.weight += self.scaling * (self.lora_B.weight @ self.lora_A.weight)
            self.merged = True

    @torch.no_grad()
    def unmerge(self):
        if self.merged:
            self.base.weight -= self.scaling * (self.lora_B.weight @ self.lora_A.weight)
            self.merged = False


class FunctionalEinsum:
    """No modules; the scale on A's output; a second merge is refused; unmerging puts a kept weight back."""

    scale_of = staticmethod(plain_scale)

    def __init__(self, weight, bias, rank, alpha):
        self.weight, self.bias = weight.detach().clone(), None if bias is None else bias.detach().clone()
        self.scale, self.kept = self.scale_of(alpha, rank), None
        source = torch.Generator().manual_seed(7)
        self.down = torch.randn(rank, weight.shape[1], generator=source).to(weight.dtype).div_(rank).requires_grad_()
        self.up = torch.zeros(weight.shape[0], rank, dtype=weight.dtype, requires_grad=True)

    def load(self, a, b):
        self.down, self.up = a.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()

    def forward(self, x):
        out = torch.einsum("...i,oi->...o", x, self.weight)
        if self.kept is None:
            narrow = torch.einsum("...i,ri->...r", x, self.down) * self.scale
            out = out + torch.einsum("...r,or->...o", narrow, self.up)
        return out if self.bias is None else out + self.bias

    def merge(self):
        if self.kept is not None:
            raise RuntimeError("merged already")
        self.kept = self.weight
        self.weight = self.weight + self.scale * torch.einsum("or,ri->oi", self.up, self.down).detach()

    def unmerge(self):
        if self.kept is None:
            raise RuntimeError("not merged")
        self.weight, self.kept = self.kept, None

    def parameters(self):
        return {"a": self.down, "b": self.up}


class WholeWeight(nn.Module):
    """One product with W + scale B A at every forward pass; no merging and no dropout."""

    scale_of = staticmethod(plain_scale)

    def __init__(self, weight, bias, rank, alpha):
        super().__init__()
        self.register_buffer("weight", weight.detach().clone())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.a = nn.Parameter(torch.randn(rank, weight.shape[1], dtype=weight.dtype) * 0.02)
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank, dtype=weight.dtype))
        self.scale = self.scale_of(alpha, rank)

    @torch.no_grad()
    def load(self, a, b):
        self.a.copy_(a)
        self.b.copy_(b)

    def forward(self, x):
        return functional.linear(x, self.weight + (self.b * self.scale) @ self.a, self.bias)


class InTimesOut:
    """Matrices kept [in, rank] and [rank, out] and handed out transposed; the scale shared between both."""

    scale_of = staticmethod(plain_scale)

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        self.kernel, self.bias, self.root = weight.detach().T.clone(), bias, math.sqrt(self.scale_of(alpha, rank))
        self.bias = None if bias is None else bias.detach().clone()
        self.down = torch.empty(weight.shape[1], rank, dtype=weight.dtype).normal_(0, 0.02).requires_grad_()
        self.up = torch.zeros(rank, weight.shape[0], dtype=weight.dtype, requires_grad=True)
        self.share, self.training, self.merged = dropout, True, False

    def load(self, a, b):
        self.down.data, self.up.data = a.detach().T.contiguous(), b.detach().T.contiguous()

    def forward(self, x):
        out = x @ self.kernel
        if not self.merged:
            read = x
            if self.training and self.share:
                read = x * torch.bernoulli(torch.full_like(x, 1 - self.share)) / (1 - self.share)
            out = out + ((read * self.root) @ self.down) @ self.up * self.root
        return out if self.bias is None else out + self.bias

    def merge(self):
        if not self.merged:
            self.kernel = self.kernel + self._update()
        self.merged = True

    def unmerge(self):
        if self.merged:
            self.kernel = self.kernel - self._update()
        self.merged = False

    def _update(self):
        return ((self.down * self.root) @ (self.up * self.root)).detach()

    def parameters(self):
        return {"a": self.down.T, "b": self.up.T}

    def train(self):
        self.training = True

    def eval(self):
        self.training = False


class FusedAddmm(nn.Module):
    """The change by torch.addmm on flattened rows; unmerges by recomputing; a dictionary for torch's generator."""

    scale_of = staticmethod(plain_scale)

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        super().__init__()
        self.base = nn.ParameterDict({"weight": nn.Parameter(weight.clone(), requires_grad=False)})
        if bias is not None:
            self.base["bias"] = nn.Parameter(bias.clone(), requires_grad=False)
        self.lora = nn.ParameterDict(
            {
                "A": nn.Parameter(torch.nn.init.xavier_normal_(torch.empty(rank, weight.shape[1], dtype=weight.dtype))),
                "B": nn.Parameter(weight.new_zeros(weight.shape[0], rank)),
            }
        )
        self.alpha, self.rank, self.share, self.merged = alpha, rank, dropout, False

    def load(self, a, b):
        self.lora["A"] = nn.Parameter(a.detach().clone())
        self.lora["B"] = nn.Parameter(b.detach().clone())

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        bias = self.base.get("bias", None)
        out = functional.linear(flat, self.base["weight"], bias)
        if not self.merged:
            read = functional.dropout(flat, self.share, self.training)
            scale = self.scale_of(self.alpha, self.rank)
            out = torch.addmm(out, read @ self.lora["A"].T, self.lora["B"].T, alpha=scale)
        return out.reshape(*x.shape[:-1], -1)

    def merge(self):
        self._move(1, False)

    def unmerge(self):
        self._move(-1, True)

    def _move(self, sign, when):
        if self.merged is when:
            update = self.lora["B"] @ self.lora["A"] * (sign * self.scale_of(self.alpha, self.rank))
            self.base["weight"] = nn.Parameter(self.base["weight"] + update.detach(), requires_grad=False)
            self.merged = not when

    def parameters(self, recurse=True):
        return {"a": self.lora["A"], "b": self.lora["B"]}


class TransposedInitialisation(ModuleOfLinears):
    """A starts at zero and B at random values: the other legal start."""

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        super().__init__(weight, bias, rank, alpha, dropout)
        nn.init.zeros_(self.lora_A.weight)
        nn.init.normal_(self.lora_B.weight)


class MergesInEvaluation(nn.Module):
    """As in microsoft/LoRA: going to evaluation merges, going back to training takes it off again; the scale in B A."""

    scale_of = staticmethod(plain_scale)

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        super().__init__()
        self.base = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
        self.base.requires_grad_(False)
        self.base.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
        self.lora_A = nn.Parameter(torch.empty(rank, weight.shape[1], dtype=weight.dtype))
        self.lora_B = nn.Parameter(torch.zeros(weight.shape[0], rank, dtype=weight.dtype))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scaling, self.share, self.merged = self.scale_of(alpha, rank), dropout, False

    def load(self, a, b):
        self.lora_A.data.copy_(a)
        self.lora_B.data.copy_(b)

    def train(self, mode=True):
        super().train(mode)
        if self.merged is mode:
            sign = -1 if self.merged else 1
            self.base.weight.data += sign * (self.lora_B @ self.lora_A).data * self.scaling
            self.merged = not mode
        return self

    def forward(self, x):
        out = self.base(x)
        if not self.merged:
            read = functional.dropout(x, self.share, self.training)
            out = out + (read @ self.lora_A.T @ self.lora_B.T) * self.scaling
        return out


class SinglePrecisionInside(FunctionalEinsum):
    """Whatever comes in, it computes in float32, as mixed-precision layers do."""

    def __init__(self, weight, bias, rank, alpha):
        super().__init__(weight.float(), None if bias is None else bias.float(), rank, alpha)

    def load(self, a, b):
        super().load(a.float(), b.float())

    def forward(self, x):
        return super().forward(x.float()).to(x.dtype)


ADAPTERS = (
    ModuleOfLinears,
    FunctionalEinsum,
    WholeWeight,
    InTimesOut,
    FusedAddmm,
    TransposedInitialisation,
    MergesInEvaluation,
    SinglePrecisionInside,
)


def stabilised(adapter):
    """The same class with the other scale."""
    return type(f"Stabilised{adapter.__name__}", (adapter,), {"scale_of": staticmethod(stabilised_scale)})


try:
    from peft import LoraConfig, inject_adapter_in_model
except ImportError:
    PEFT = ()
else:

    class PeftLayer:
        """PEFT's layer on one nn.Linear."""

        scale_of = staticmethod(plain_scale)

        def __init__(self, weight, bias, rank, alpha, dropout=0.0):
            base = nn.Sequential(nn.Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=weight.dtype))
            base[0].load_state_dict({"weight": weight, **({} if bias is None else {"bias": bias})})
            base.requires_grad_(False)
            config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=["0"])
            config.use_rslora = self.scale_of is stabilised_scale
            self.layer = inject_adapter_in_model(config, base)[0]
            self.forward, self.merge, self.unmerge = self.layer.forward, self.layer.merge, self.layer.unmerge
            self.train, self.eval = self.layer.train, self.layer.eval

        def load(self, a, b):
            self.layer.lora_A["default"].load_state_dict({"weight": a})
            self.layer.lora_B["default"].load_state_dict({"weight": b})

        def parameters(self):
            return {"a": self.layer.lora_A["default"].weight, "b": self.layer.lora_B["default"].weight}

    PEFT = (PeftLayer,)


# int8 quantizers -----------------------------------------------------------------------------------------------------


def in_rows(x, axis, block):
    """x as rows that share a scale each, the last one filled up with zeros, and how to get back."""
    if block is not None:
        filled = functional.pad(x.reshape(-1), (0, -x.numel() % block)).reshape(-1, block)
        return filled, lambda rows: rows.reshape(-1)[: x.numel()].reshape(x.shape)
    if axis is None:
        return x.reshape(1, -1), lambda rows: rows.reshape(x.shape)
    moved = x.movedim(axis, -1)
    return moved.reshape(-1, moved.shape[-1]), lambda rows: rows.reshape(moved.shape).movedim(-1, axis)


class ReciprocalScale:
    """The scale is kept as 127 / absmax, in float32 and without the shared axes; ties are rounded away from zero."""

    def quantize(self, x, axis=None, block=None, symmetric=True):
        rows, back = in_rows(x.float(), axis, block)
        low, high = rows.amin(-1).clamp(max=0), rows.amax(-1).clamp(min=0)
        width = torch.maximum(high, -low) / 127 if symmetric else (high - low) / 255
        inverse = torch.where(width > 0, 1 / width, torch.zeros_like(width))
        zero = torch.zeros_like(low) if symmetric else (-128 - low * inverse).round()
        scaled = rows * inverse[:, None]
        steps = scaled.sign() * (scaled.abs() + 0.5).floor() + zero[:, None]
        codes = back(steps.clamp(-127 if symmetric else -128, 127).to(torch.int8))
        return codes, inverse, {"zero": zero, "axis": axis}

    def dequantize(self, q, scale, zero, block=None):
        rows, back = in_rows(q.float(), zero["axis"], block)
        return back((rows - zero["zero"][:, None]) / torch.where(scale > 0, scale, torch.ones_like(scale))[:, None])


class PlainLoops:
    """A Python loop over the groups; half-way values go up; scales in the shape of x; what comes back has x's dtype."""

    def quantize(self, x, axis, block, symmetric):
        rows, back = in_rows(x.double(), axis, block)
        codes, scales, zeros = [], [], []
        for row in rows:
            low, high = min(0.0, float(row.min())), max(0.0, float(row.max()))
            step = max(-low, high) / 127 if symmetric else (high - low) / 255
            step = step or 1.0
            zero = 0 if symmetric else max(-128, min(127, math.floor(-128 - low / step + 0.5)))
            code = (row / step + 0.5).floor() + zero
            codes.append(code.clamp(-127 if symmetric else -128, 127).to(torch.int8))
            scales.append(torch.full_like(row, step))
            zeros.append(torch.full_like(row, zero))
        return back(torch.stack(codes)), back(torch.stack(scales)), (back(torch.stack(zeros)), x.dtype)

    def dequantize(self, q, scale, zero, block):
        return ((q.double() - zero[0]) * scale).to(zero[1])


class UnsignedInside:
    """Codes 0..255 inside, stored with an offset of 128; symmetric mode from -127; a scale for every number."""

    def quantize(self, x, axis=None, block=None, symmetric=True):
        if not torch.isfinite(x).all():
            raise ValueError("x must be finite")
        wide = x if x.dtype == torch.float64 else x.float()
        rows, back = in_rows(wide, axis, block)
        low, high = torch.aminmax(rows, dim=-1, keepdim=True)
        if symmetric:
            high = torch.maximum(high.abs(), low.abs())
            scale, offset = high / 127, torch.full_like(high, 128.0)
        else:
            low, high = low.clamp_max(0), high.clamp_min(0)
            scale = (high - low) / 255
            offset = torch.round(-low / torch.where(scale == 0, 1.0, scale)).clamp(0, 255)
        scale = scale.masked_fill(scale == 0, 1.0)
        codes = torch.clamp(torch.round(rows / scale) + offset, 1 if symmetric else 0, 255)
        signed = (codes - 128).to(torch.int8)
        return back(signed), back(scale.expand_as(rows)), back((offset - 128).to(torch.int16).expand_as(rows))

    def dequantize(self, q, scale, zero, block=None):
        return torch.sub(q, zero).to(scale.dtype).mul(scale)


class InNumpy:
    """NumPy's arrays and rounding; scales as a flat array of float64, zero points as int8, the axis kept in a list."""

    def quantize(self, x, axis=None, block=None, symmetric=True):
        rows, back = in_rows(x.double(), axis, block)
        values = rows.numpy()
        if not numpy.isfinite(values).all():
            raise ValueError("x must be finite")
        low, high = numpy.minimum(values.min(1), 0), numpy.maximum(values.max(1), 0)
        step = numpy.maximum(high, -low) / 127 if symmetric else (high - low) / 255
        step = numpy.where(step > 0, step, 1.0)
        zero = numpy.zeros_like(low) if symmetric else numpy.rint(-128 - low / step).clip(-128, 127)
        codes = (numpy.rint(values / step[:, None]) + zero[:, None]).clip(-127 if symmetric else -128, 127)
        q = back(torch.from_numpy(codes.astype("int8")))
        return q, torch.from_numpy(step), [torch.from_numpy(zero.astype("int8")), axis]

    def dequantize(self, q, scale, zero, block=None):
        rows, back = in_rows(q, zero[1], block)
        return back((rows.double() - zero[0].double()[:, None]) * scale[:, None])


class AbsmaxOnly:
    """Per tensor or slice, symmetric, nothing else: blocks and zero points are not offered."""

    def quantize(self, values, axis=None):
        wide = values.float() if values.dtype.itemsize == 2 else values
        largest = wide.abs().max() if axis is None else wide.abs().max(dim=axis, keepdim=True).values
        scale = (largest / 127).clamp_min(torch.finfo(wide.dtype).tiny)
        return (wide / scale).round_().to(torch.int8), scale, None

    def dequantize(self, q, scale, zero):
        return q * scale


QUANTIZERS = (ReciprocalScale, PlainLoops, UnsignedInside, InNumpy, AbsmaxOnly)

try:
    from bitsandbytes.functional import int8_vectorwise_dequant, int8_vectorwise_quant
except ImportError:
    BITSANDBYTES = ()
else:

    class BitsAndBytesRows:
        """bitsandbytes' row-wise absmax quantizer; slices and blocks are laid out as rows for it."""

        def quantize(self, x, axis=None, block=None):
            rows, back = in_rows(x.float() if x.dtype == torch.float64 else x, axis, block)
            codes, largest, _ = int8_vectorwise_quant(rows.contiguous())
            return back(codes), largest, axis

        def dequantize(self, q, scale, zero, block=None):
            rows, back = in_rows(q, zero, block)
            return back(int8_vectorwise_dequant(rows.contiguous(), scale))

    BITSANDBYTES = (BitsAndBytesRows,)


VARIANTS = {adapter.__name__: {"lora": adapter, "rslora": stabilised(adapter)} for adapter in (*ADAPTERS, *PEFT)} | {
    quantizer.__name__: {"quantize_int8": quantizer} for quantizer in (*QUANTIZERS, *BITSANDBYTES)
}
