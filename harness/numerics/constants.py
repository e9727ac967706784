"""Constants that were rounded to float32: right code whose float64 results are off by a few 1e-8, smoothly.

``torch.sqrt(torch.tensor(2 / torch.pi))`` is a float32 number whatever it is multiplied with. To first order the
result is then off by the derivative with respect to that constant times a few float32 units, in every element, with
one unknown per constant and case. A mistake is off in another direction, or by more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

UNIT = 2.0**-24
"""The largest relative error of one rounding to float32; the edits that ask for a direction move a constant by it."""
UNITS = 4.0
"""How far a constant may be off that was computed in float32 (a quotient, a root, a product)."""


def explained_by_constants(
    error: torch.Tensor, directions: Sequence[torch.Tensor], tolerance: torch.Tensor | float
) -> bool:
    """Whether an error is a small multiple of each direction: |multiple| <= 4, what is left within the tolerance.

    ``error``: the implementation's minus the reference's, any shape. ``directions``: of the same shape, what moving
    one constant by one float32 unit does. ``tolerance``: per element, or one for all.
    """
    wanted = error.double().reshape(-1)
    bound = torch.as_tensor(tolerance, dtype=torch.float64).expand(error.shape).reshape(-1)
    moved = [d.double().reshape(-1) for d in directions if bool((d != 0).any())]
    if not moved or not bool(torch.isfinite(wanted).all()):
        return False
    weights = 1.0 / bound.clamp_min(torch.finfo(torch.float64).tiny)
    columns = torch.stack(moved, 1)
    # Columns that are parallel on this case (one element, one head) share the error between them: the smallest
    # solution.
    multiples = torch.linalg.pinv(columns * weights[:, None], rtol=1e-9) @ (wanted * weights)
    left = (wanted - columns @ multiples).abs()
    return bool((multiples.abs() <= UNITS).all()) and bool((left <= bound).all())
