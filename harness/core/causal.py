"""Where time stands in a component whose outputs depend on the past only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Causal:
    """The statement that an output depends on inputs at its own position and before it only.

    ``inputs``: the arguments that have a time axis, and which axis that is. ``output``: the time axis of the output.
    ``vocabulary``: the dimension of a case that bounds integer inputs. ``gradient``: whether gradients are tested too.
    """

    inputs: Mapping[str, int]
    output: int = 1
    vocabulary: str = ""
    gradient: bool = False
