"""How a wrong gradient is related to the right one: half of it, transposed, not summed, not added up, ...

For mistakes that no known mistake explains. A relation is stated only if it gives the implementation's gradient in
every case that was tried, right and wrong ones, with the same constants; so a coincidence in one small case is never
stated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from harness.core.case import is_float

LEAST = 12
"""Numbers that a relation must give, over all cases: one free constant fits one number, and these are a dozen."""
CLEAR = 1e3
"""A factor is read from a gradient that is this many tolerances large: of one that must vanish, only rounding is
left."""
SLACK = 4.0
"""Of the tolerance, for a gradient that is computed from another one."""
POWERS = {
    -1.0: "divided by {} (a mean where a sum belongs?)",
    1.0: "multiplied by {}",
    -0.5: "divided by the root of {}",
    0.5: "multiplied by the root of {}",
}


@dataclass(frozen=True, eq=False)
class Sighting:
    """One argument's gradient in one case, beside the right one.

    ``value``: the argument itself. ``sizes``: the named sizes of the case. ``ids``: whole-number arguments by name.
    ``others``: what else it might be, in words: {"is the gradient of bias": tensor}.
    """

    actual: torch.Tensor
    expected: torch.Tensor
    tolerance: float
    value: torch.Tensor | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, torch.Tensor] = field(default_factory=dict)
    others: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def fine(self) -> bool:
        """Whether the implementation's gradient is the reference's here, within the tolerance."""
        return _alike(self.actual, self.expected, self)


def relation(sightings: Sequence[Sighting], parts: Sequence[str] = ()) -> str:
    """What the gradient is, in words that follow "the gradient of x ...", or an empty text where nothing fits.

    ``parts``: names of the equal parts that the argument is stacked from along its first axis.
    """
    if not any(not s.fine for s in sightings):
        return ""
    stated = _as_a_whole(sightings)
    if stated or not parts:
        return stated
    return _in_its_parts(sightings, parts)


def _as_a_whole(sightings: Sequence[Sighting]) -> str:
    enough = sum(s.expected.numel() for s in sightings) >= LEAST
    if not enough:
        return ""
    if any(s.actual.shape != s.expected.shape for s in sightings):
        return _of_another_shape(sightings)
    for words, predicted in _predictions(sightings):
        if fits_all(sightings, predicted):
            return words
    return _of_repeated_rows(sightings) or _off_along_the_rows(sightings)


def fits_all(sightings: Sequence[Sighting], predicted: Callable[[Sighting], torch.Tensor | None]) -> bool:
    """Whether what is predicted is the implementation's in every case of which it says something, and in enough."""
    pairs = [(p, s) for s in sightings if (p := predicted(s)) is not None]
    return all(_alike(s.actual, p, s) for p, s in pairs) and _says_enough(pairs, sightings)


def _says_enough(pairs: Sequence[tuple[torch.Tensor, Sighting]], sightings: Sequence[Sighting]) -> bool:
    """Whether a relation speaks of all cases, or, where it cannot (an argument left out), of two wrong ones and
    most."""
    if len(pairs) == len(sightings):
        return True
    wrong = sum(not s.fine for _, s in pairs)
    return wrong >= 2 and 2 * wrong >= sum(not s.fine for s in sightings)


def _predictions(sightings: Sequence[Sighting]) -> Iterator[tuple[str, Callable[[Sighting], Any]]]:
    """(in words, what the gradient would then be)."""
    yield "is zero", lambda s: torch.zeros_like(s.expected)
    yield "has the wrong sign", lambda s: -s.expected
    factor = _factor(max(sightings, key=lambda s: float(s.expected.double().norm())))
    if factor is not None and factor != 0:
        yield f"is {factor:.6g} times the expected value", lambda s: factor * s.expected
    names = sorted({name for s in sightings for name in s.sizes})
    products = [" x ".join(pair) for pair in itertools.combinations(names, 2)]
    quotients = [" / ".join(pair) for pair in itertools.permutations(names, 2)]
    for size in (*names, *products, *quotients):
        for power, words in POWERS.items():
            if power < 0 and size in quotients:
                continue
            yield f"is {words.format(size)}", lambda s, t=size, p=power: _scaled(s, t, p)  # type: ignore[misc]
    yield (
        "is transposed",
        lambda s: s.expected.mT if s.expected.dim() >= 2 and s.expected.mT.shape == s.expected.shape else None,
    )
    for other in dict.fromkeys(words for s in sightings for words in s.others):
        yield other, lambda s, o=other: s.others.get(o)  # type: ignore[misc]


def _factor(s: Sighting) -> float | None:
    """The factor between both, by least squares, rounded where it is nearly a short number."""
    a, e = s.actual.double(), s.expected.double()
    power = float((e * e).sum())
    if not math.isfinite(power) or float(e.abs().max()) <= CLEAR * s.tolerance:
        return None
    factor = float((a * e).sum()) / power
    short = float(f"{factor:.4g}")
    return short if abs(short - factor) <= 1e-6 * abs(factor) else factor


def _scaled(s: Sighting, size: str, power: float) -> torch.Tensor | None:
    """The right gradient times a power of a size: ``batch``, ``batch x time`` or ``width / heads``."""
    names = size.replace(" / ", " x ").split(" x ")
    if any(s.sizes.get(name, 0) < 1 for name in names):
        return None
    first, *rest = (float(s.sizes[name]) for name in names)
    value = first / math.prod(rest) if " / " in size else first * math.prod(rest)
    scaled: torch.Tensor = s.expected * value**power
    return scaled


def _of_another_shape(sightings: Sequence[Sighting]) -> str:
    """Transposed, axes that were not summed, or axes of size 1 too many or too few."""
    other = [s for s in sightings if s.actual.shape != s.expected.shape]
    first = other[0]
    shapes = f"has shape {list(first.actual.shape)} where {list(first.expected.shape)} is due"
    if all(s.actual.dim() == s.expected.dim() == 2 and _alike(s.actual.mT, s.expected, s) for s in sightings):
        return "is transposed"
    if all(_not_summed(s) for s in other):
        return f"lacks the sum over its leading axes: it {shapes}"
    squeezed = all(s.actual.numel() == s.expected.numel() for s in sightings)
    if squeezed and all(_alike(s.actual.reshape(s.expected.shape), s.expected, s) for s in sightings):
        return f"{shapes}; its numbers are right"
    return shapes


def _not_summed(s: Sighting) -> bool:
    more = s.actual.dim() - s.expected.dim()
    return more > 0 and _alike(s.actual.sum(tuple(range(more))), s.expected, s)


def _of_repeated_rows(sightings: Sequence[Sighting]) -> str:
    """Rows that are looked up once are right, those that are looked up several times are wrong."""
    for name in dict.fromkeys(name for s in sightings for name in s.ids):
        seen = 0
        for s in sightings:
            ids = s.ids.get(name)
            if (
                ids is None
                or s.expected.dim() != 2
                or (ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < len(s.expected))
            ):
                break
            times = torch.bincount(ids.reshape(-1).long(), minlength=len(s.expected))
            once = times < 2
            if not _alike(s.actual[once], s.expected[once], s):
                break
            seen += 0 if s.fine else 1
        else:
            if seen > 1:
                return f"is wrong in the rows that {name} names more than once: what they are due must be added up"
    return ""


def _off_along_the_rows(sightings: Sequence[Sighting]) -> str:
    """Each row is off by one number, or by a multiple of the argument: a term of a mean or of a variance is missing."""
    if (
        not all(s.expected.dim() and s.expected.numel() for s in sightings)
        or max(s.expected.shape[-1] for s in sightings) < 4
    ):
        return ""
    gaps = [(s.actual.double() - s.expected.double(), s) for s in sightings]
    if all(_small(gap - gap.mean(-1, keepdim=True), s) for gap, s in gaps):
        return "is off by one number in each row of its last axis: a mean or a sum over that axis is missing"
    for words, centred in (("the argument less its mean", True), ("the argument", False)):
        if all(_small(_beside(gap, s.value, centred), s) for gap, s in gaps):
            return f"is off by a multiple of {words} in each row of its last axis: a sum over that axis is missing"
    return ""


def _beside(gap: torch.Tensor, value: torch.Tensor | None, centred: bool) -> torch.Tensor:
    """What remains of the gap when its part along the argument is taken away, row by row."""
    if value is None or value.shape != gap.shape:
        return torch.full_like(gap, math.inf)
    along = value.double()
    along = along - along.mean(-1, keepdim=True) if centred else along
    length = (along * along).sum(-1, keepdim=True)
    return gap - along * torch.where(length > 0, (gap * along).sum(-1, keepdim=True) / length, 0.0)


def _in_its_parts(sightings: Sequence[Sighting], parts: Sequence[str]) -> str:
    """Which of the stacked parts are right, and how the others are wrong."""
    if any(s.actual.shape != s.expected.shape or s.expected.shape[0] % len(parts) for s in sightings):
        return ""
    cut = [[_part(s, n, len(parts)) for s in sightings] for n in range(len(parts))]
    wrong = [n for n, pieces in enumerate(cut) if not all(s.fine for s in pieces)]
    if len(wrong) == len(parts):
        return ""
    stated = list(dict.fromkeys(filter(None, (_as_a_whole(cut[n]) for n in wrong))))
    listed = " and ".join(parts[n] for n in wrong)
    return f"is right but for its part {listed}" + (f", which {stated[0]}" if len(stated) == 1 else "")


def _part(s: Sighting, n: int, count: int) -> Sighting:
    def pick(value: Any) -> Any:
        return value.chunk(count)[n] if is_float(value) and value.shape == s.expected.shape else value

    others = {words: pick(t) for words, t in s.others.items() if t.shape == s.expected.shape}
    return replace(
        s,
        actual=pick(s.actual),
        expected=pick(s.expected),
        value=pick(s.value) if s.value is not None else None,
        others=others,
    )


def _alike(one: torch.Tensor, other: torch.Tensor, s: Sighting) -> bool:
    return one.shape == other.shape and _small(one.double() - other.double(), s, other)


def _small(gap: torch.Tensor, s: Sighting, like: torch.Tensor | None = None) -> bool:
    """Whether nothing of a gap is larger than rounding; of a larger gradient the rounding is larger in proportion."""
    if not gap.numel():
        return True
    size, other = (float(t.abs().max()) if t is not None and t.numel() else 0.0 for t in (s.expected, like))
    bound = SLACK * s.tolerance * max(1.0, other / size if size else 1.0)
    return bool(torch.isfinite(gap).all()) and float(gap.abs().max()) <= bound
