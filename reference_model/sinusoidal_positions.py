"""Places become waves."""

import torch
from torch import Tensor


def sinusoidal_positions(positions: Tensor, width: int, base: float = 10000.0) -> Tensor:
    """sin and cos of position / base^(2i / D), side by side for each i.  positions int [..., T] -> float32 [..., T, D]

    Features 2i and 2i + 1 are the sine and the cosine of one angle.  An odd width ends with a sine that has no cosine.
    The table is worked out in float64 and rounded once, so that far positions are as exact as near ones.
    Raises TypeError when the positions are not integers.
    Source: Vaswani et al. 2017, section 3.5.
    """
    if positions.dtype.is_floating_point or positions.dtype.is_complex or positions.dtype == torch.bool:
        raise TypeError(f"positions must be integers, not {positions.dtype}")
    exponents = torch.arange(0, width, 2, dtype=torch.float64, device=positions.device) / width
    frequencies = base**-exponents
    places = positions.double()
    angles = places.unsqueeze(-1) * frequencies
    sines = torch.sin(angles)
    cosines = torch.cos(angles)
    pairs = torch.stack((sines, cosines), -1)
    features = pairs.flatten(-2)[..., :width]
    return features.to(torch.float32)
