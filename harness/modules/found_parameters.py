"""The module's side of a mapping: every parameter once, layers folded into one, equal pieces put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from harness.modules.expected_parameters import LAYER, STACKED


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


def theirs_of(module: nn.Module, layers: int | None) -> list[FoundParameter]:
    """Every parameter once, tied ones under all their names. ``layers``: how many layers, None for none."""
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
            found.append(
                FoundParameter(names[0], tuple(names), tuple(tensors[key].shape), owner, others=tuple(names[1:]))
            )
    return _layered(found, layers) if layers is not None else found


def is_like_a_buffer(names: Sequence[str]) -> bool:
    return any(name.rpartition(".")[2] in ("mask", "bias_mask", "causal_mask", "masked_bias", "tril") for name in names)


def _layered(entries: list[FoundParameter], layers: int) -> list[FoundParameter]:
    """The largest family of names that differ in one index alone, one of each for every layer, folded into one."""
    families: dict[tuple[str, str], dict[int, dict[str, FoundParameter]]] = {}
    for entry in entries:
        tokens = entry.names[0].split(".")
        for at, token in enumerate(tokens[:-1]):
            stem = re.fullmatch(r"(.*?)(\d+)", token)
            if stem:
                head = ".".join((*tokens[:at], stem[1]))
                families.setdefault((head, "."), {}).setdefault(int(stem[2]), {})[".".join(tokens[at + 1 :])] = entry
    best: tuple[int, str, dict[int, dict[str, FoundParameter]]] | None = None
    for (head, _), members in families.items():
        indices = sorted(members)
        consecutive = indices in (list(range(layers)), list(range(1, layers + 1)))
        alike = len({tuple(sorted((rest, e.shape) for rest, e in m.items())) for m in members.values()}) == 1
        if consecutive and alike:
            weight = sum(len(m) for m in members.values())
            if best is None or weight > best[0] or (weight == best[0] and len(head) < len(best[1])):
                best = (weight, head, members)
    if best is None:
        return entries
    _, head, members = best
    inside = {id(entry) for m in members.values() for entry in m.values()}
    folded = []
    for rest, first in members[min(members)].items():
        names = tuple(members[i][rest].names[0] for i in sorted(members))
        folded.append(replace(first, pattern=f"{head}{LAYER}.{rest}", names=names, layered=True, others=()))
    return [entry for entry in entries if id(entry) not in inside] + folded


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
            stacked.append(
                replace(
                    pieces[0],
                    pattern=pattern,
                    names=names,
                    shape=(len(pieces), *pieces[0].shape),
                    stacked=True,
                    others=(),
                )
            )
    return stacked
