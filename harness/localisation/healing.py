"""Which value heals: right values are put in the place of the implementation's, in the order of execution.

The first that makes the answer right shows the line: everything behind it is right then. A result that is right
already, and is read where the reference takes one more step, is healed by that step's value (:mod:`omission`); both
compete, and what lies earliest is taken. But where the step that reads it is healed by another of its operands (a mask,
a table), that operand is wrong and nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, permutations, product

import torch

from harness.core.steps import Replacement, Site, Step
from harness.localisation.alignment import Known
from harness.localisation.experiment import Experiment, OutOfTime
from harness.localisation.omission import omissions, omitted_arguments
from harness.localisation.recipe import Recipe, derived_recipes, recipes
from harness.localisation.sites import Sites

MOST_RESULTS = 4
"""Results of one call whose orders are tried."""
MOST_ROOTS, MOST_EACH = 3, 6
"""Values that are replaced together, and right values that are tried for each."""


class Healing:
    """The search in one case; what heals it must heal the others too."""

    def __init__(self, experiment: Experiment, others: Sequence[Experiment]) -> None:
        self.experiment, self.others = experiment, others
        self.sites = Sites(experiment)
        self._failed: set[tuple[object, ...]] = set()
        """What was tried in the first case: many recipes make the same numbers."""

    def found(self) -> tuple[Recipe, ...]:
        """The earliest replacement that makes the answer right, or several that do so together; none where none does.

        The reference's values that the implementation computes nowhere are tried first, at every site; others, and
        their roots and quotients, then at the sites on the way to what was found.
        """
        first: Recipe | None = None
        with suppress(OutOfTime):
            first = self._first(self._new_values())
            if first is None:
                suspects = [at for at in self.experiment.own.by_value if self.sites.is_suspect(at[0])]
                first = self._first(self._known_values(suspects, is_last_resort=True))
                if first is None:
                    return self._together({n for n, fine in enumerate(self.sites.fine) if not fine})
            elif not first.missing and not first.order:
                on_the_way = self.sites.not_right_before(first.site)
                if left_out := self._together(on_the_way, only_left_out=True):
                    return left_out
                earlier = [
                    at for at in self.experiment.own.by_value if on_the_way.issuperset(self.experiment.own.at[at[0]])
                ]
                first = self._first(self._known_values(earlier)) or first
                if together := self._together(self.sites.not_right_before(first.site)):
                    return together
        return () if first is None or self._is_the_result(first) else (first,)

    def _is_the_result(self, recipe: Recipe) -> bool:
        """Whether the result itself was replaced, or one number that it is made of alone, and what that is made of is
        wrong: that says nothing."""
        is_single = self.experiment.is_single and all(value.numel() == 1 for value in recipe.own(self.experiment))
        return is_single and bool(self.sites.wrong_before(recipe.site))

    def _first(self, candidates: Iterable[Recipe]) -> Recipe | None:
        missing: Recipe | None = None
        beyond: set[int] = set()
        for recipe in candidates:
            if missing is not None and (recipe.missing or not beyond.isdisjoint(self.experiment.own.at[recipe.site])):
                continue
            if not self._heals(recipe):
                continue
            if not recipe.missing or recipe.argument >= 0:
                return recipe
            missing = recipe
            beyond = {reader for n in self.experiment.own.at[recipe.site] for reader in self.sites.made_of(n)}
        return missing

    def _heals(self, *chosen: Recipe) -> bool:
        """Whether these replacements together heal this case, and every other in which they can be made."""
        made = _all_made(chosen, self.experiment)
        if made is None or (key := tuple(map(_content, made))) in self._failed:
            return False
        if not self.experiment.heals(*made):
            self._failed.add(key)
            return False
        others = ((one, _all_made(chosen, one)) for one in self.others)
        return all(made is None or one.heals(*made) for one, made in others)

    def _new_values(self) -> Iterator[Recipe]:
        """At every site, the earliest first: the values that are nowhere computed, other orders, what is missing."""
        experiment, sites = self.experiment, self.sites
        ordered: set[Site] = set()
        new = [known for known in experiment.alignment.known if known.step not in sites.reached]
        for site, result in experiment.own.by_value:
            if site not in ordered:
                ordered.add(site)
                yield from self._other_orders(site)
            if sites.is_suspect(site):
                yield from omitted_arguments(experiment, site, sites)
                yield from recipes(experiment, Recipe(site, result), self._likely_first(site, new))
            elif sites.is_frontier(site):
                yield from self._other_layouts(site, result)
                yield from omissions(experiment, site, result, sites.reached)

    def _known_values(self, at: Sequence[tuple[Site, int]], is_last_resort: bool = False) -> Iterator[Recipe]:
        """At these sites: the values that are computed elsewhere, and another way to each value.

        An operation that takes no part is left out only where nothing else is known to heal: of two equal factors
        either may be left out where both must be smaller.

        What is made of no argument is replaced by such a value only.
        """
        own, right = self.experiment.own, self.experiment.right
        for site, result in at:
            of, every = Recipe(site, result), self.experiment.alignment.known
            if own.constant.issuperset(own.at[site]):
                every = [known for known in every if known.step in right.constant]
            old = [known for known in every if known.step in self.sites.reached]
            if is_last_resort or self._takes_a_part(site, result):
                yield from self._left_out(site, result)
            yield from recipes(self.experiment, of, self._likely_first(site, old))
            yield from derived_recipes(self.experiment, of, self._likely_first(site, every))

    def _together(self, wrong: set[int], only_left_out: bool = False) -> tuple[Recipe, ...]:
        """Several of these values that are wrong by themselves, each replaced by a right one: sine and cosine of one
        angle; or all left out: logits and targets are both shifted."""
        own, sites = self.experiment.own, self.sites
        roots = [n for n in sorted(wrong) if wrong.isdisjoint(own.before(n))]
        if not 1 < len(roots) <= MOST_ROOTS:
            return ()
        left_out = [one for n in roots for one in self._left_out(own.steps[n].site, 0)]
        if len(left_out) == len(roots) and self._heals(*left_out):
            return tuple(left_out)
        if only_left_out:
            return ()
        new = [known for known in self.experiment.alignment.known if known.step not in sites.reached]
        choices = []
        for n in roots:
            site = own.steps[n].site
            fitting = recipes(self.experiment, Recipe(site), self._likely_first(site, new))
            made = islice((one for one in fitting if one.made(self.experiment)), MOST_EACH)
            choices.append(list(made))
        return next((chosen for chosen in product(*choices) if self._heals(*chosen)), ())

    def _takes_a_part(self, site: Site, result: int) -> bool:
        """Whether there is less in the results of an operation than in what it reads."""
        steps = [self.experiment.own.steps[n] for n in self.experiment.own.at[site]]
        values = self.experiment.own.values(site, result)
        pairs = zip(steps, values, strict=True) if len(steps) == len(values) else ()
        return any(bool(step.read) and step.read[0].numel() > value.numel() for step, value in pairs)

    def _left_out(self, site: Site, result: int) -> Iterator[Recipe]:
        """An operation on right values, left out: a second shift, a factor that is there already."""
        steps = [self.experiment.own.steps[n] for n in self.experiment.own.at[site]]
        if all(step.read and self._reads_right(step) for step in steps):
            yield Recipe(site, result, undone=True)

    def _reads_right(self, step: Step) -> bool:
        """Whether what an operation reads first is right: what another step computed, or an argument."""
        experiment = self.experiment
        if step.inputs and step.inputs[0] >= 0:
            return self.sites.is_right(step.inputs[0])
        return experiment.alignment.is_telling(step.read[0]) and experiment.is_right(step.read[0])

    def _other_layouts(self, site: Site, result: int) -> Iterator[Recipe]:
        """The same right value, its axes merged or split in another order, where the reference has it in none alike."""
        for value in self.experiment.own.values(site, result)[:1]:
            whole = [match for match in self.experiment.alignment.matches(value) if match.layout.part is None]
            if not any(match.is_same for match in whole):
                yield from recipes(self.experiment, Recipe(site, result), [match.known for match in whole])

    def _other_orders(self, site: Site) -> Iterator[Recipe]:
        """The results of one call in every other order, where something wrong is made of them."""
        graph, sites = self.experiment.own, self.sites
        at = graph.at[site]
        number = len(graph.steps[at[0]].values)
        if not 1 < number <= MOST_RESULTS or all(sites.fine[r] for n in at for r in sites.made_of(n)):
            return
        for order in permutations(range(number)):
            if order != tuple(range(number)):
                yield Recipe(site, order=order)

    def _likely_first(self, site: Site, known: Sequence[Known]) -> list[Known]:
        """The values of the reference that are made of what this site is made of stand first."""
        graph = self.experiment.own
        read: set[int] = set()
        for n in graph.at[site][:1]:
            for source in graph.before(n):
                for value in graph.steps[source].values:
                    if value is not None and value.numel() > 1:
                        read |= {match.known.step for match in self.experiment.alignment.matches(value)}
        likely = {n for n, step in enumerate(self.experiment.right.steps) if read & set(step.inputs) - {-1}}
        return sorted(known, key=lambda one: one.step not in likely)


def _all_made(chosen: Sequence[Recipe], experiment: Experiment) -> list[Replacement] | None:
    """The replacements in one case; None where one of them cannot be made there."""
    made = [recipe.made(experiment) for recipe in chosen]
    found = [replacement for replacement in made if replacement is not None]
    return found if len(found) == len(made) else None


def _content(one: Replacement) -> tuple[object, ...]:
    """What a replacement does, to be compared by its numbers."""
    return (one.site, one.result, one.argument, one.order, *map(_numbers, one.values))


def _numbers(value: torch.Tensor | None) -> object:
    if value is None:
        return None
    raw = value.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8)
    return (value.shape, value.dtype, raw.numpy().tobytes())
