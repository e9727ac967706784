"""Dependency graphs: boxes in layers and lines between them, one drawing per connected set of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP, LAYER, HIGH, MARGIN, BEND = 22, 86, 44, 6, 14
LETTER, PADDING = 8.0, 40
"""Pixels for a letter of a name, and for the sign and the margins of a box."""
SWEEPS = 6
"""How often the order within the layers is improved; five layers come to rest after three."""


@dataclass(frozen=True)
class Box:
    name: str
    state: str
    x: int
    y: int
    width: int


@dataclass(frozen=True)
class Drawing:
    """Boxes, and lines (composite, part, path) from the foot of a composite to the top of its part, in pixels."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[str, str, str], ...]
    width: int
    height: int
    high: int = HIGH


def dependencies(names: Sequence[str], parts: Mapping[str, Sequence[str]], states: Mapping[str, str]) -> list[Drawing]:
    """Only what has parts, or is one; composites stand above their parts. The largest drawing comes first."""
    known = {name: [part for part in parts.get(name, ()) if part in states] for name in names}
    pieces: list[list[str]] = []
    for name in names:
        tied = [piece for piece in pieces if any(n in known[name] or name in known[n] for n in piece)]
        rest = [piece for piece in pieces if piece not in tied]
        pieces = [*rest, [*(n for piece in tied for n in piece), name]]
    return [_drawn(piece, known, states) for piece in sorted(pieces, key=len, reverse=True) if len(piece) > 1]


def _drawn(piece: Sequence[str], known: Mapping[str, Sequence[str]], states: Mapping[str, str]) -> Drawing:
    layers, links = _layers(piece, known)
    for sweep in range(SWEEPS):
        _mend(layers, links, downwards=sweep % 2 == 0)
    wide = {node: _width(node) for layer in layers for node in layer}
    spans = [sum(wide[node] for node in layer) + GAP * (len(layer) - 1) for layer in layers]
    width = max(spans) + 2 * MARGIN
    place: dict[str, tuple[int, int]] = {}
    for level, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        x = (width - span) // 2
        for node in layer:
            place[node] = (x, MARGIN + level * LAYER)
            x += wide[node] + GAP
    boxes = tuple(Box(n, states[n], *place[n], wide[n]) for layer in layers for n in layer if n in known)
    lines = []
    for chain in links:
        points = [(place[n][0] + wide[n] // 2, place[n][1]) for n in chain]
        path = f"M{points[0][0]} {points[0][1] + HIGH}"
        for (x, y), (then_x, then_y) in pairwise(points):
            path += f"C{x} {y + HIGH + BEND} {then_x} {then_y - BEND} {then_x} {then_y}"
            path += f"V{then_y + HIGH}" if (then_x, then_y) != points[-1] else ""
        lines.append((chain[0], chain[-1], path))
    return Drawing(boxes, tuple(lines), width, (len(layers) - 1) * LAYER + HIGH + 2 * MARGIN)


def _layers(piece: Sequence[str], known: Mapping[str, Sequence[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Parts below the lowest component that uses them; a line that crosses a layer has a place of its own in it."""
    above = {name: [n for n in piece if name in known[n]] for name in piece}

    def level(name: str) -> int:
        return 1 + max((level(n) for n in above[name]), default=-1)

    levels = {name: level(name) for name in piece}
    layers: list[list[str]] = [[n for n in piece if levels[n] == at] for at in range(max(levels.values()) + 1)]
    links = []
    for name in piece:
        for part in known[name]:
            passed = [f"{name} > {part} > {at}" for at in range(levels[name] + 1, levels[part])]
            for at, node in enumerate(passed, levels[name] + 1):
                layers[at].append(node)
            links.append([name, *passed, part])
    return layers, links


def _mend(layers: list[list[str]], links: Sequence[Sequence[str]], downwards: bool) -> None:
    """Each layer in the order of the mean place of what its boxes hang on in the layer before."""
    steps = [pair for chain in links for pair in pairwise(chain)]
    for layer in layers[1:] if downwards else layers[-2::-1]:
        place = {node: (at + 0.5) / len(other) for other in layers for at, node in enumerate(other)}
        mean = {}
        for node in layer:
            tied = [place[a if downwards else b] for a, b in steps if (b if downwards else a) == node]
            mean[node] = sum(tied) / len(tied) if tied else place[node]
        layer.sort(key=mean.__getitem__)


def _width(node: str) -> int:
    return 4 if " > " in node else max(130, round(LETTER * len(node)) + PADDING)
