"""Which right value takes the place of a result, told so that it can be made again in another case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from harness.core.steps import Replacement, Site
from harness.localisation.alignment import Known, is_close
from harness.localisation.experiment import Experiment
from harness.localisation.layouts import NUMBER_FORMS, Layout, Part, arranged, is_mask, orders, whole_layouts

Source = tuple[Site, int, int]
"""A value of the reference: site, turn, number of the result."""


PLAIN = Layout()


@dataclass(frozen=True)
class Recipe:
    """Values of the reference for one result of one site, or for one argument of its operation.

    ``sources``: one for all turns, or one for each. ``axis``: instead, turn n gets slice n of one value along this
    axis. ``as_it_is``: in the reference's own shape, which the implementation then broadcasts. ``order``: instead,
    the results in another order. ``missing``: whether the site is right, and the value is the reference's next one.
    ``undone``: instead, what the operation read: it is left out.
    """

    site: Site
    result: int = 0
    sources: tuple[Source, ...] = ()
    layout: Layout = PLAIN
    axis: int | None = None
    striding: bool = False
    as_it_is: bool = False
    order: tuple[int, ...] = ()
    missing: bool = False
    argument: int = -1
    undone: bool = False

    def made(self, experiment: Experiment) -> Replacement | None:
        """The replacement in one case; None where it cannot be made there, or changes nothing."""
        if self.order:
            return Replacement(self.site, order=self.order) if self.site in experiment.own.at else None
        own = self.own(experiment)
        if self.undone:
            return self._without(experiment, own)
        values = [self._value(experiment, turn, value, len(own)) for turn, value in enumerate(own)]
        if not own or any(value is None for value in values):
            return None
        if all(value is not None and is_close(value, mine) for value, mine in zip(values, own, strict=True)):
            return None
        return Replacement(self.site, self.result, tuple(values), argument=self.argument)

    def own(self, experiment: Experiment) -> list[torch.Tensor]:
        """What it replaces, at each turn; none where the site is not reached."""
        if self.site not in experiment.own.at:
            return []
        if self.argument < 0:
            return experiment.own.values(self.site, self.result)
        steps = [experiment.own.steps[n] for n in experiment.own.at[self.site]]
        return [step.read[self.argument] for step in steps if len(step.read) > self.argument]

    def _without(self, experiment: Experiment, own: Sequence[torch.Tensor]) -> Replacement | None:
        """What the operation reads first takes the place of its result, at each turn."""
        graph = experiment.own
        steps = [graph.steps[n] for n in graph.at.get(self.site, ())]
        if not own or any(
            not step.read or step.read[0].dtype != mine.dtype for step, mine in zip(steps, own, strict=True)
        ):
            return None
        if all(
            step.read[0].shape == mine.shape and is_close(step.read[0], mine)
            for step, mine in zip(steps, own, strict=True)
        ):
            return None
        return Replacement(self.site, self.result, tuple(step.read[0] for step in steps))

    def _value(self, experiment: Experiment, turn: int, mine: torch.Tensor, turns: int) -> torch.Tensor | None:
        if len(self.sources) not in (1, turns):
            return None
        site, at, result = self.sources[turn if len(self.sources) > 1 else 0]
        step = experiment.right.step(site, at)
        value = step.values[result] if step is not None and result < len(step.values) else None
        if value is None:
            return None
        layout = self.layout
        if self.axis is not None:
            layout = Layout(layout.axes, Part(self.axis, turns, turn, self.striding), layout.form)
        if self.as_it_is:
            return value.to(mine.dtype) if value.is_floating_point() == mine.is_floating_point() else None
        return arranged(value, layout, mine.shape, mine.dtype)


def source_of(experiment: Experiment, known: Known) -> Source:
    """The name of a value of the reference."""
    step = experiment.right.steps[known.step]
    return (step.site, step.turn, known.result)


def recipes(experiment: Experiment, of: Recipe, known: Sequence[Known]) -> Iterator[Recipe]:
    """Every way in which these values of the reference fit what a recipe, as yet without a source, is to replace."""
    own = of.own(experiment)
    if not own:
        return
    mine, turns = own[0], len(own)
    for one in known:
        if one.step < 0:
            continue
        source = (source_of(experiment, one),)
        alike = one.value.numel() == mine.numel()
        if alike or (not of.missing and _repeats(mine, one.value)):
            for layout in whole_layouts(one.value, mine.shape, mine.dtype):
                yield replace(of, sources=source, layout=layout)
        if turns == 1 and not alike and not of.missing and _broadcasts(mine, one.value):
            yield replace(of, sources=source, as_it_is=True)
        if turns > 1:
            yield from _slices(replace(of, sources=source), one.value, mine, turns)
    if turns > 1:
        yield from _one_each(experiment, of, mine, {source_of(experiment, one) for one in known if one.step >= 0})


def derived_recipes(experiment: Experiment, of: Recipe, known: Sequence[Known]) -> Iterator[Recipe]:
    """The same with roots, squares, quotients and negatives of these values."""
    own = of.own(experiment)
    for one in known if len(own) == 1 else ():
        if one.step < 0 or one.value.numel() != own[0].numel() or not one.value.is_floating_point():
            continue
        for form in NUMBER_FORMS:
            for axes in orders(one.value.shape, own[0].shape):
                yield replace(of, sources=(source_of(experiment, one),), layout=Layout(axes, None, form))


def _slices(of: Recipe, value: torch.Tensor, mine: torch.Tensor, turns: int) -> Iterator[Recipe]:
    """Slice n for turn n, along each axis that has so many."""
    if value.numel() != turns * mine.numel():
        return
    for axis, size in enumerate(value.shape):
        if size % turns:
            continue
        shape = list(value.shape)
        shape[axis] = size // turns
        for axes in orders(torch.Size(shape), mine.shape):
            for striding in (False, True) if size > turns else (False,):
                yield replace(of, layout=Layout(axes), axis=axis, striding=striding)


def _one_each(experiment: Experiment, of: Recipe, mine: torch.Tensor, known: set[Source]) -> Iterator[Recipe]:
    """Where the reference has as many turns, or as many results: one for each, in order, a known one first."""
    graph, turns = experiment.right, len(of.own(experiment))
    groups: list[tuple[Source, ...]] = _alike(experiment, turns, mine.numel())
    for other, at in graph.at.items():
        steps = [graph.steps[n] for n in at]
        if len(at) == turns:
            groups += [tuple((one.site, one.turn, k) for one in steps) for k in range(len(steps[0].values))]
        if len(at) == 1 and len(steps[0].values) == turns:
            groups.append(tuple((other, 0, k) for k in range(turns)))
    for sources in dict.fromkeys(groups):
        first = graph.step(sources[0][0], sources[0][1])
        value = first.values[sources[0][2]] if first is not None else None
        if sources[0] in known and value is not None and value.numel() == mine.numel():
            for layout in whole_layouts(value, mine.shape, mine.dtype):
                yield replace(of, sources=sources, layout=layout)


def _alike(experiment: Experiment, turns: int, numbers: int) -> list[tuple[Source, ...]]:
    """As many steps of the reference as there are turns, one after the other, that do the same to like values."""
    kinds: dict[tuple[str, torch.Size], list[Source]] = {}
    for step in experiment.right.steps:
        for k, value in enumerate(step.values):
            if value is not None and value.numel() == numbers:
                kinds.setdefault((step.name, value.shape), []).append((step.site, step.turn, k))
    return [tuple(found[n : n + turns]) for found in kinds.values() for n in range(0, len(found) - turns + 1, turns)]


def _repeats(mine: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether a value may be broadcast into another one's place: that one is the same all along these axes."""
    if value.numel() > mine.numel() or value.dim() > mine.dim():
        return False
    shape = (1,) * (mine.dim() - value.dim()) + tuple(value.shape)
    if any(a not in (1, b) for a, b in zip(shape, mine.shape, strict=True)):
        return False
    first = mine
    for axis, size in enumerate(shape):
        first = first.narrow(axis, 0, 1) if size == 1 else first
    return torch.equal(first.expand_as(mine), mine)


def _broadcasts(mine: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether a value of another shape may take the place of one that the implementation broadcasts."""
    small, large = mine.shape, value.shape
    pairs = list(zip(reversed(small), reversed(large), strict=False))
    if len(small) == len(large):  # two ways to keep an axis of size 1
        return all(a == b or 1 in (a, b) for a, b in pairs)
    return is_mask(mine) and len(small) < len(large) and all(a in (1, b) for a, b in pairs)


__all__ = ["Recipe", "Source", "derived_recipes", "recipes", "source_of"]
