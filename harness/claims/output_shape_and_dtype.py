"""The result has the form that the contract declares: a plain tensor of its shape, dtype and device."""

import torch

from harness.core.claim import About, Claim, Trial, Violation
from harness.core.tree import dotted, leaves


def output_shape_and_dtype(trial: Trial) -> None:
    for dtype in dict.fromkeys((trial.dtype, torch.float32)):
        expected, actual = trial.expect(dtype=dtype).value, trial.run(dtype=dtype).value
        declared, found = dict(leaves(expected)), dict(leaves(actual))
        if type(actual) is not type(expected) and not _interchangeable(actual, expected):
            raise Violation(f"it returns {_described(actual)}; the contract requires {_described(expected)}")
        for path, leaf in declared.items():
            if not torch.is_tensor(leaf):
                continue
            other, name = found.get(path), dotted(("out", *path))
            if type(other) is not torch.Tensor:
                raise Violation(f"{name} is {_described(other)}; the contract requires {_described(leaf)}")
            if not trial.contract.agrees:
                continue
            if (other.shape, other.dtype, other.device) != (leaf.shape, leaf.dtype, leaf.device):
                raise Violation(f"{name} is {_described(other)}; the contract requires {_described(leaf)}")


def _interchangeable(actual: object, expected: object) -> bool:
    return isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple)) and len(actual) == len(expected)


def _described(value: object) -> str:
    if torch.is_tensor(value):
        kind = "" if type(value) is torch.Tensor else f" ({type(value).__name__})"
        device = "" if value.device.type == "cpu" else f" on {value.device}"
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}{kind}{device}"
    if value is None:
        return "None (is a `return` missing?)"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


CLAIM = Claim(
    "output_shape_and_dtype",
    "the output is a plain tensor of the declared shape, dtype and device",
    output_shape_and_dtype,
    needs=lambda contract: not contract.returns_objects,
    sabotage=lambda call, method, arguments, request: {"out": call(arguments)},
    aliases=("declared_form",),
    about=frozenset({About.FORM}),
)
