"""What is missing: a right value that is read where the reference takes one more step (a bias, a scale, a mask)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from harness.core.steps import Site
from harness.localisation.alignment import Known
from harness.localisation.experiment import Experiment
from harness.localisation.recipe import Recipe, recipes
from harness.localisation.sites import Sites

STEPS = 3
"""How many steps of the reference further on its next value may lie: a split and a view lie between."""


def omissions(experiment: Experiment, site: Site, result: int, reached: set[int]) -> Iterator[Recipe]:
    """The reference's next values in the place of a right result, the nearest first.

    Of a part of a right value nothing is missing that is not missing of the whole, but where a loop makes the parts.
    ``reached``: steps of the reference whose values the implementation computes somewhere: they are not missing.
    """
    values = experiment.own.values(site, result)
    if not values or (len(values) == 1 and experiment.is_part(values[0])):
        return
    for steps in _next(experiment, values[0]):
        yield from recipes(experiment, Recipe(site, result, missing=True), _known(experiment, steps - reached))


def omitted_arguments(experiment: Experiment, site: Site, sites: Sites) -> Iterator[Recipe]:
    """The reference's next values in the place of what a function is given: only there, whoever else reads it.

    ``x + sublayer(x)`` where the sublayer must be given the norm of x. Asked for the first operation of a function that
    reads right values alone.
    """
    first, *more = experiment.own.at[site]
    step = experiment.own.steps[first]
    if more or not step.outer or not all(sites.is_right(n) for n in step.inputs if n >= 0):
        return
    for at, value in enumerate(step.read):
        if value.numel() > 1 and value.is_floating_point():
            for steps in _next(experiment, value):
                given = Recipe(site, argument=at, missing=True)
                yield from recipes(experiment, given, _known(experiment, steps))


def _next(experiment: Experiment, value: torch.Tensor) -> Iterator[set[int]]:
    """The steps of the reference that read a right value, those that read these, and so on."""
    graph = experiment.right
    matches = experiment.alignment.matches(value)
    here = {match.known.step for match in matches if match.known.step >= 0}
    if matches and not here:
        given = [match.known.value for match in matches]
        yield {n for n, step in enumerate(graph.steps) if any(_is_one_of(tensor, given) for tensor in step.read)}
        return
    seen, now = set(here), set(here)
    for _ in range(STEPS):
        now = {reader for step in now for reader in graph.readers[step]} - seen
        seen |= now
        yield now


def _is_one_of(tensor: torch.Tensor, values: list[torch.Tensor]) -> bool:
    return any(tensor.shape == value.shape and torch.equal(tensor, value) for value in values)


def _known(experiment: Experiment, steps: set[int]) -> list[Known]:
    return [
        Known(value, step, k)
        for step in sorted(steps)
        for k, value in enumerate(experiment.right.steps[step].values)
        if value is not None and experiment.alignment.is_telling(value)
    ]
