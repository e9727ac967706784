"""The layout of each matched parameter. A square matrix does not show it; its layer, a declaration or others do."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from harness.modules.found_parameters import FoundParameter
from harness.modules.layouts import Arrangement, shown, ways, with_rows_before
from harness.modules.parameter_map import LayoutBasis, Match
from harness.modules.partial_match import PartialMatch

IN_OUT = "in_out"
"""What a person declares where square matrices are kept as [in, out]."""
Decided = tuple[FoundParameter, Arrangement]


def choose_layouts(state: PartialMatch) -> list[Match]:
    """Every pair with its layout, in the contract's order. A declared parameter of another shape is a problem."""
    decided = _decided_by_shape(state)
    found, assumed = [], []
    for slot, entry, basis in state.pairs:
        fitting = ways(slot, entry.shape) or with_rows_before(slot, entry.shape, entry.owner)
        if not fitting:
            problem = f"{entry.pattern} is {shown(entry.shape)}, but {slot.label} is {shown(slot.shape)}"
            state.problems.append(problem)
            continue
        way, layout_basis = fitting[0], LayoutBasis.SHAPE
        if {Arrangement.AS_IS, Arrangement.TRANSPOSED} <= {w.kind for w in fitting}:
            kind, layout_basis = _of_square(entry, state.layout, decided)
            way = next(w for w in fitting if w.kind is kind)
        if layout_basis is LayoutBasis.ASSUMED:
            assumed.append(entry.pattern)
        found.append(Match(slot, entry, way, basis, layout_basis))
    if assumed:
        verb = "are square and were" if len(assumed) > 1 else "is square and was"
        state.notes.append(
            f'{", ".join(assumed)} {verb} assumed to be [out, in]; where yours are [in, out], declare layout="{IN_OUT}"'
        )
    order = {(s.path, s.part): i for i, s in enumerate(state.expected)}
    return sorted(found, key=lambda m: order[(m.expected.path, m.expected.part)])


def _decided_by_shape(state: PartialMatch) -> list[Decided]:
    """Matrices whose shape shows whether they are transposed, embedding tables aside."""
    decided = []
    for slot, entry, _ in state.pairs:
        kinds = [way.kind for way in ways(slot, entry.shape)]
        plain = kinds in ([Arrangement.AS_IS], [Arrangement.TRANSPOSED])
        if len(slot.shape) == 2 and plain and not isinstance(entry.owner, nn.Embedding):
            decided.append((entry, kinds[0]))
    return decided


def _of_square(
    entry: FoundParameter, declared: str | None, decided: Sequence[Decided]
) -> tuple[Arrangement, LayoutBasis]:
    """The layout of a square matrix: its layer's type, what was declared, or its siblings tell."""
    if is_conv1d(entry.owner):
        return Arrangement.TRANSPOSED, LayoutBasis.SHAPE
    if is_torch_layer(entry.owner):
        return Arrangement.AS_IS, LayoutBasis.SHAPE
    if declared is not None:
        return Arrangement.TRANSPOSED if declared == IN_OUT else Arrangement.AS_IS, LayoutBasis.DECLARED
    same_type = {kind for other, kind in decided if type(other.owner) is type(entry.owner)}
    for kinds in (same_type, {kind for _, kind in decided}):
        if len(kinds) == 1:
            return next(iter(kinds)), LayoutBasis.SIBLINGS
    return Arrangement.AS_IS, LayoutBasis.ASSUMED


def is_conv1d(owner: nn.Module) -> bool:
    """Whether it is the layer of Hugging Face's GPT-2 that keeps its matrix as [in, out], or another that does so."""
    return type(owner).__name__ == "Conv1D" or getattr(owner, "keeps_in_out", False) is True


def is_torch_layer(owner: nn.Module) -> bool:
    """Whether it is a layer of torch, or derived from one: these keep what they multiply with as [out, in]."""
    containers = ("torch.nn.modules.container", "torch.nn.modules.module")
    homes = [kind.__module__ for kind in type(owner).__mro__]
    return any(home.startswith("torch.nn.modules.") and home not in containers for home in homes)
