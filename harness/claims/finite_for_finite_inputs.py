"""Finite inputs give finite outputs and gradients wherever the reference's are finite."""

from typing import Any

import torch

from harness.claims import _sabotage
from harness.core.case import is_float
from harness.core.claim import About, Claim, Trial, Violation
from harness.core.implementation import Phase
from harness.core.tree import dotted, leaves


def finite_for_finite_inputs(trial: Trial) -> None:
    for dtype in dict.fromkeys((trial.dtype, torch.float32)):
        options: dict[str, Any] = {"gradients": True} if trial.contract.differentiable else {}
        expected, actual = trial.expect(dtype=dtype, **options), trial.run(dtype=dtype, **options)
        places = [(Phase.FORWARD, "out", expected.value, actual.value)]
        places += [
            (Phase.BACKWARD, f"the gradient of {n}", e, actual.gradients.get(n)) for n, e in expected.gradients.items()
        ]
        for phase, name, right, actual_value in places:
            found = dict(leaves(actual_value))
            for path, leaf in leaves(right):
                other = found.get(path)
                if is_float(leaf) and is_float(other) and other.shape == leaf.shape:
                    bad = torch.isfinite(leaf) & ~torch.isfinite(other)
                    if bool(bad.any()):
                        index = bad.nonzero()[0].tolist()
                        raise Violation(
                            f"{name}{dotted(path)}{index} is {float(other[tuple(index)])}",
                            worst=f"expected {float(leaf[tuple(index)]):.6g}",
                            phase=phase,
                        )


CLAIM = Claim(
    "finite_for_finite_inputs",
    "finite inputs give finite outputs and gradients",
    finite_for_finite_inputs,
    needs=lambda contract: contract.differentiable,
    sabotage=lambda call, method, arguments, request: _sabotage.floats(
        call(arguments), lambda out: out / 0.0 if out.numel() else out
    ),
    aliases=("finite_on_finite",),
    about=frozenset({About.FORM}),
)
