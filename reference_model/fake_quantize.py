"""Quantization while training: rounded numbers forwards, straight through backwards."""

import torch
from torch import Tensor


class fake_quantize:
    """x on the codes of a tracked range, in floating point, with the gradient of x inside that range, 0 outside.

    In training each forward moves the range towards that of its x, by the share `momentum` of the difference; the first
    sets it. In evaluation the range stands still.  The range, widened to hold 0, is laid on 2^bits codes so that 0.0
    has one. symmetric: codes -(2^(bits-1) - 1) .. 2^(bits-1) - 1 reach over +-max(|low|, |high|).
    Raises ValueError for bits below 2, a momentum outside (0, 1], a low above its high, or a forward without a range.
    Source: Bengio et al. 2013, section 4 (straight-through); Jacob et al. 2018, sections 3 and 3.1 (moving averages, 0
    has a code); torch.ao.quantization `FakeQuantize`, `MovingAverageMinMaxObserver`.
    """

    def __init__(self, bits: int = 8, momentum: float = 0.1, symmetric: bool = False) -> None:
        if bits < 2:
            raise ValueError(f"bits must be at least 2, not {bits}")
        if not 0.0 < momentum <= 1.0:
            raise ValueError(f"momentum must be in (0, 1], not {momentum}")
        self.bits = bits
        self.momentum = momentum
        self.symmetric = symmetric
        self.training = True
        self.low: Tensor | None = None
        self.high: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x [...] -> [...], each number on a code."""
        if self.training:
            self.observe(x.detach())
        lowest, highest = self.codes()
        scale, zero = self.scale_and_zero(x)
        steps = torch.round(x / scale)
        codes = steps + zero
        clamped = codes.clamp(lowest, highest)
        rounded = (clamped - zero) * scale
        inside = (codes >= lowest) & (codes <= highest)
        passed = torch.where(inside, x, x.detach())
        return passed + (rounded - passed).detach()

    def observe(self, x: Tensor) -> None:
        """Move the range towards the smallest and largest number of x."""
        low, high = x.amin(), x.amax()
        if self.low is None or self.high is None:
            self.low, self.high = low, high
            return
        self.low = self.low + self.momentum * (low - self.low)
        self.high = self.high + self.momentum * (high - self.high)

    def codes(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        half = 2 ** (self.bits - 1)
        if self.symmetric:
            return 1 - half, half - 1
        return -half, half - 1

    def scale_and_zero(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The step between two codes, and the code of 0.0."""
        if self.low is None or self.high is None:
            raise ValueError("there is no range yet: forward once in training, or load one")
        lowest, highest = self.codes()
        low = self.low.to(like.dtype).clamp(max=0.0)
        high = self.high.to(like.dtype).clamp(min=0.0)
        if self.symmetric:
            largest = torch.maximum(-low, high)
            scale = largest / highest
        else:
            scale = (high - low) / (highest - lowest)
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        place = torch.zeros_like(scale) if self.symmetric else lowest - low / scale
        zero = torch.round(place)
        return scale, zero

    def range(self) -> Tensor:
        """The tracked range as it is, not widened.  -> [2]"""
        if self.low is None or self.high is None:
            raise ValueError("no range has been observed or loaded")
        return torch.stack([self.low, self.high])

    def load(self, low: float, high: float) -> None:
        """Put a range in the place of the tracked one."""
        if not low <= high:
            raise ValueError(f"low must not be above high: {low}, {high}")
        self.low = torch.tensor(low, dtype=torch.float64)
        self.high = torch.tensor(high, dtype=torch.float64)

    def train(self) -> None:
        """The range follows what is seen, as at the start."""
        self.training = True

    def eval(self) -> None:
        """The range stands still."""
        self.training = False
