"""Rounding of another kind: every intermediate result of a computation moved by one unit, with random signs.

Moving the arguments alone does not show what an algorithm loses on its way: 1 + tanh(u) at u = -12 keeps five digits
however its argument is moved, and a variance that cancels does so at whatever the mean happens to be. This is
Monte Carlo arithmetic (Parker 1997) with random signs: each operation that rounds has its result moved by one epsilon
relative to itself, in the backward pass too. Data movement (views, copies, indexing, masks, casts) is left as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

POOL = 1 << 14
"""Random signs drawn at once; every result takes the next of them."""

EXACT = frozenset(
    [
        "_to_copy",
        "clone",
        "copy",
        "copy_",
        "detach",
        "lift_fresh",
        "alias",
        "contiguous",
        "view",
        "reshape",
        "expand",
        "permute",
        "transpose",
        "t",
        "zeros",
        "ones",
        "full",
        "empty",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "scalar_tensor",
        "arange",
        "eye",
        "empty_strided",
        "new_empty_strided",
        "fill",
        "fill_",
        "zero_",
        "rand",
        "randn",
        "randint",
        "randperm",
        "bernoulli",
        "normal",
        "uniform",
        "normal_",
        "uniform_",
        "random_",
        "rand_like",
        "randn_like",
        "randint_like",
        "index",
        "index_select",
        "gather",
        "embedding",
        "take",
        "scatter",
        "scatter_",
        "index_put",
        "cat",
        "stack",
        "repeat",
        "roll",
        "flip",
        "triu",
        "tril",
        "diag_embed",
        "diagonal_copy",
        "constant_pad_nd",
        "select_backward",
        "slice_backward",
        "slice_scatter",
        "select_scatter",
        "as_strided_scatter",
        "unfold_copy",
        "where",
        "masked_fill",
        "masked_select",
        "masked_scatter",
        "neg",
        "abs",
        "sign",
        "relu",
        "clamp",
        "clamp_min",
        "clamp_max",
        "maximum",
        "minimum",
        "amax",
        "amin",
        "max",
        "min",
        "sort",
        "topk",
        "argmax",
        "argmin",
        "round",
        "floor",
        "ceil",
        "trunc",
        "sgn",
        "nan_to_num",
        "threshold_backward",
        "value_selecting_reduction_backward",
    ]
)
"""Operations that do not round: what they return is one of their arguments' numbers, or a constant."""


_EVERY_RESULT: dict[Any, tuple[bool, ...]] = {}


def _rounds(func: Any) -> tuple[bool, ...]:
    """For each result of an operation, whether it is new memory that rounding has touched."""
    if func not in _EVERY_RESULT:
        exact = func._schema.name.rpartition("::")[2] in EXACT
        _EVERY_RESULT[func] = tuple(not exact and declared.alias_info is None for declared in func._schema.returns)
    return _EVERY_RESULT[func]


@lru_cache(maxsize=64)
def factors(epsilon: float, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Numbers 1 + epsilon and 1 - epsilon in random order; equal for equal seeds."""
    signs = torch.randint(0, 2, (POOL,), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
    return (1 + epsilon * signs).to(dtype)


class Jitter(TorchDispatchMode):
    """While in force, floating-point results of rounding operations are moved by ``epsilon`` relative to themselves.

    Without an ``epsilon`` each result is moved by one unit of the dtype that it is in.
    """

    def __init__(self, epsilon: float | None, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.epsilon, self.seed, self.at = epsilon, seed, 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; torch would load its whole compiler (seconds) to make sure."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs) if kwargs else func(*args)
        rounds = _rounds(func)
        if True not in rounds:
            return result
        if isinstance(result, torch.Tensor):
            self.move(result)
        elif isinstance(result, (tuple, list)):
            for value, rounded in zip(result, rounds, strict=False):
                if rounded and isinstance(value, torch.Tensor):
                    self.move(value)
        return result

    def move(self, value: torch.Tensor) -> None:
        """Move every number of this tensor, in place."""
        count = value.numel()
        if not count or not value.dtype.is_floating_point:
            return
        pool = factors(self.epsilon or torch.finfo(value.dtype).eps, self.seed, value.dtype)
        if count > POOL:
            value.mul_(pool.repeat(-(-count // POOL))[:count].view(value.shape))
            return
        if self.at + count > POOL:
            self.at = 0
        value.mul_(pool.narrow(0, self.at, count).view(value.shape))
        self.at += count
