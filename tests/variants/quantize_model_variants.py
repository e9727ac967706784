"""Right quantized models that differ in how they get there; none of them may fail a claim."""

import importlib.util
from pathlib import Path

import torch
from torch import nn

from reference_model import gpt2

MATRICES = {"attention": ("qkv_weight", "out_weight"), "mlp": ("up_weight", "down_weight")}


def _beside(name):
    """The file of variants of that name in this folder."""
    spec = importlib.util.spec_from_file_location(f"_plumbline_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models, four_bit = _beside("model_variants"), _beside("quantize_4bit_variants")


class PerTensor:
    """One scale for a whole matrix, codes in int8 whatever the bits, float32; the product layer by layer in a loop."""

    def __init__(self, weights, config, bits=8):
        if bits < 2:
            raise ValueError(bits)
        self.config, self.top = config, 2 ** (bits - 1) - 1
        names = {name for group in MATRICES.values() for name in group}
        self.blocks = [
            {n: self.coded(t) if n in names else t.clone() for n, t in block.items() if t is not None}
            for block in weights["blocks"]
        ]
        self.others = {n: t.clone() for n, t in weights.items() if n != "blocks" and t is not None}

    def coded(self, matrix):
        scale = matrix.abs().max() / self.top
        return torch.round(matrix / scale.clamp_min(1e-30)).to(torch.int8), scale

    def weights(self):
        plain = [{n: t[0] * t[1] if isinstance(t, tuple) else t for n, t in block.items()} for block in self.blocks]
        return {**self.others, "blocks": plain}

    def forward(self, ids):
        return gpt2(ids, self.weights(), self.config)


class AffineBlocks(nn.Module):
    """A module: 8 bits with zero points in blocks of 32 in buffers; other bits are refused; another model computes."""

    def __init__(self, weights, config, bits=8, kinds=("attention", "mlp")):
        super().__init__()
        if bits not in (8, 4) or set(kinds) - {*MATRICES, "norms", "embeddings"}:
            raise ValueError(f"{bits} bits of {kinds}")
        self.config, self.codes = config, 2**bits - 1
        self.wanted = [name for kind in kinds for name in MATRICES.get(kind, ())]
        self.wanted += ["token_embedding", "position_embedding"] if "embeddings" in kinds else []
        self.wanted += ["norm_1_weight", "norm_2_weight", "final_norm_weight"] if "norms" in kinds else []
        self.places = {}
        self.take("", {k: v for k, v in weights.items() if k != "blocks"})
        for place, block in enumerate(weights["blocks"]):
            self.take(f"{place}_", block)
        self.layers = len(weights["blocks"])

    def take(self, prefix, tensors):
        for name, value in tensors.items():
            if value is not None and name in self.wanted:
                flat = nn.functional.pad(value.detach().reshape(-1), (0, -value.numel() % 32)).reshape(-1, 32)
                low, high = flat.amin(1, keepdim=True).clamp(max=0), flat.amax(1, keepdim=True).clamp(min=0)
                step = ((high - low) / self.codes).clamp_min(1e-30)
                zero = (-low / step).round()
                codes = (flat / step).round().add(zero).clamp(0, self.codes).to(torch.uint8)
                for part, tensor in (("codes", codes), ("step", step), ("zero", zero.to(torch.uint8))):
                    self.register_buffer(f"{prefix}{name}_{part}", tensor)
                self.places[prefix + name] = value.shape
            else:
                self.register_buffer(prefix + name, None if value is None else value.detach().clone())
                self.places[prefix + name] = None

    def read(self, place):
        shape = self.places[place]
        if shape is None:
            return getattr(self, place)
        codes, step, zero = (getattr(self, f"{place}_{part}") for part in ("codes", "step", "zero"))
        return ((codes.to(step.dtype) - zero.to(step.dtype)) * step).reshape(-1)[: shape.numel()].reshape(shape)

    def weights(self):
        whole = {name: self.read(name) for name in self.places if not name[0].isdigit()}
        blocks = [
            {name.split("_", 1)[1]: self.read(name) for name in self.places if name.startswith(f"{i}_")}
            for i in range(self.layers)
        ]
        return {**whole, "blocks": blocks}

    def forward(self, ids):
        return models.gpt2_of_torch(ids, self.weights(), self.config)


class NormalFloats:
    """NF4 in blocks of 64 for four bits, int8 rows for eight; dequantized once per forward pass."""

    def __init__(self, weights, config, bits=8):
        if bits not in (4, 8):
            raise ValueError("4 or 8 bits")
        self.config, self.bits, self.kept, self.coded, self.quantizer = (
            config,
            bits,
            {},
            {},
            four_bit.InItsOwnPrecision(),
        )
        for where, tensors in (("", weights), *((place, block) for place, block in enumerate(weights["blocks"]))):
            for name, value in tensors.items():
                if name == "blocks" or value is None:
                    continue
                if name in ("qkv_weight", "out_weight", "up_weight", "down_weight"):
                    self.coded[where, name] = (*self.encode(value), value.shape)
                else:
                    self.kept[where, name] = value.detach().clone()
        self.count = len(weights["blocks"])

    def encode(self, value):
        if self.bits == 4:
            return self.quantizer.quantize(value)
        scale = value.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
        return (value / scale).round().to(torch.int8), scale

    def weights(self):
        whole = {"blocks": [{} for _ in range(self.count)]}
        for (where, name), value in self.kept.items():
            (whole if where == "" else whole["blocks"][where])[name] = value
        for (where, name), (codes, scale, shape) in self.coded.items():
            value = codes * scale if self.bits == 8 else self.quantizer.dequantize(codes, scale, shape)
            whole["blocks"][where][name] = value
        return whole

    def forward(self, ids):
        return gpt2(ids, self.weights(), self.config)


VARIANTS = {model.__name__: {"quantize_model": model} for model in (PerTensor, AffineBlocks, NormalFloats)}
