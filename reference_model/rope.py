"""Places become turns of what stands there."""

import torch
from torch import Tensor


def rope(x: Tensor, positions: Tensor, base: float = 10000.0, rotated: int | None = None) -> Tensor:
    """Pair i of features turned by the angle position / base^(2i / K).

    x [B, H, T, K], positions int [T] or [B, T] -> as x

    Features 2i and 2i + 1 are one pair, the two coordinates of a point in a plane.  ``rotated``: only so many features,
    from the first, are turned, and K is their number in the exponent; the rest is left alone.  Angles are worked out in
    float32 at least: 16 bit do not hold them.  The result is rounded once, to the dtype of x.
    Raises ValueError where the number of features to turn is odd or too large, or T is not the number of positions.
    Source: Su et al. 2021, section 3.2.2, equations 14 and 15, and section 3.4.2, equation 34.
    """
    size = x.shape[-1] if rotated is None else rotated
    if size % 2 or size > x.shape[-1]:
        raise ValueError(f"pairs are turned: {size} of {x.shape[-1]} features cannot be")
    if positions.shape[-1] != x.shape[-2]:
        raise ValueError(f"{positions.shape[-1]} positions for {x.shape[-2]} places in time")
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    exponents = torch.arange(0, size, 2, dtype=wide, device=x.device) / size
    frequencies = base**-exponents
    places = positions.to(wide)
    angles = places.unsqueeze(-1) * frequencies
    angles = angles.unsqueeze(-3) if positions.dim() > 1 else angles
    cosines = torch.cos(angles)
    sines = torch.sin(angles)
    turning, rest = x[..., :size].to(wide), x[..., size:]
    first, second = turning[..., 0::2], turning[..., 1::2]
    turned_first = first * cosines - second * sines
    turned_second = second * cosines + first * sines
    turned = torch.stack((turned_first, turned_second), -1).flatten(-2)
    return torch.cat((turned.to(x.dtype), rest), -1)
