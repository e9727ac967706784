"""The module's side of a mapping: every parameter once, layers folded into one, equal pieces put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from harness.modules.expected_parameters import LAYER, STACKED

MASKS = ("mask", "bias_mask", "causal_mask", "masked_bias", "tril")
"""Last names of what is a buffer by its nature, though it may be kept as a parameter."""


@dataclass(frozen=True)
class FoundParameter:
    """One parameter of the module, under all its names; ``pattern`` stands for all layers and all stacked pieces."""

    pattern: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    owner: nn.Module
    layered: bool = False
    stacked: bool = False
    others: tuple[str, ...] = ()

    @property
    def local(self) -> tuple[str, ...]:
        """The names behind the index of the layer."""
        return tuple(
            re.split(r"\*\.?", name, maxsplit=1)[-1] if self.layered else name for name in (self.pattern, *self.others)
        )


def found_parameters(module: nn.Module, layers: int | None) -> list[FoundParameter]:
    """Every parameter once, tied ones under all their names. ``layers``: how many layers there are, None for no list.

    Frozen parameters that hold a mask are no parameters of the component and are left out.
    """
    owners = dict(module.named_modules())
    by_tensor: dict[int, list[str]] = {}
    tensors: dict[int, Tensor] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        by_tensor.setdefault(id(tensor), []).append(name)
        tensors[id(tensor)] = tensor
    found = []
    for key, names in by_tensor.items():
        if tensors[key].requires_grad or not is_like_a_buffer(names):
            owner = owners.get(names[0].rpartition(".")[0], module)
            shape = tuple(tensors[key].shape)
            found.append(FoundParameter(names[0], tuple(names), shape, owner, others=tuple(names[1:])))
    return _layered(found, layers) if layers is not None else found


def is_like_a_buffer(names: Sequence[str]) -> bool:
    """Whether one of these names is that of a mask, which some modules keep as a parameter."""
    return any(name.rpartition(".")[2] in MASKS for name in names)


Members = dict[int, dict[str, FoundParameter]]
"""Index of a layer -> (name inside the layer -> parameter)."""


def _layered(entries: list[FoundParameter], layers: int) -> list[FoundParameter]:
    """The largest family of names that differ in one index alone, one of each for every layer, folded into one."""
    best = _largest_family(entries, layers)
    if best is None:
        return entries
    head, members = best
    inside = {id(entry) for m in members.values() for entry in m.values()}
    folded = []
    for rest, first in members[min(members)].items():
        names = tuple(members[i][rest].names[0] for i in sorted(members))
        folded.append(replace(first, pattern=f"{head}{LAYER}.{rest}", names=names, layered=True, others=()))
    return [entry for entry in entries if id(entry) not in inside] + folded


def _largest_family(entries: list[FoundParameter], layers: int) -> tuple[str, Members] | None:
    """(what stands before the index, its members) of the family with most parameters; the outermost of equal ones."""
    families: dict[str, Members] = {}
    for entry in entries:
        tokens = entry.names[0].split(".")
        for at, token in enumerate(tokens[:-1]):
            stem = re.fullmatch(r"(.*?)(\d+)", token)
            if stem:
                head = ".".join((*tokens[:at], stem[1]))
                families.setdefault(head, {}).setdefault(int(stem[2]), {})[".".join(tokens[at + 1 :])] = entry
    fitting = [(head, members) for head, members in families.items() if _is_one_per_layer(members, layers)]
    return max(fitting, key=lambda pair: (sum(map(len, pair[1].values())), -len(pair[0])), default=None)


def _is_one_per_layer(members: Members, layers: int) -> bool:
    """Whether the indices are those of all layers, from 0 or from 1, and every layer holds the same shapes."""
    consecutive = sorted(members) in (list(range(layers)), list(range(1, layers + 1)))
    alike = {tuple(sorted((rest, e.shape) for rest, e in m.items())) for m in members.values()}
    return consecutive and len(alike) == 1


def stacks(entries: list[FoundParameter]) -> list[FoundParameter]:
    """Parameters of one shape whose names differ in one index (``heads.0.key``, ``heads.1.key``), put together."""
    families: dict[str, dict[int, FoundParameter]] = {}
    for entry in entries:
        for found in re.finditer(r"(?<![^.])(\d+)(?=\.)", entry.pattern):
            pattern = entry.pattern[: found.start()] + STACKED + entry.pattern[found.end() :]
            families.setdefault(pattern, {})[int(found[1])] = entry
    stacked = []
    for pattern, members in families.items():
        pieces = [members[i] for i in sorted(members)]
        if sorted(members) == list(range(len(members))) and len(members) > 1 and len({p.shape for p in pieces}) == 1:
            names = tuple(name for piece in pieces for name in piece.names)
            shape = (len(pieces), *pieces[0].shape)
            stacked.append(replace(pieces[0], pattern=pattern, names=names, shape=shape, stacked=True, others=()))
    return stacked
