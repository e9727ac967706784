"""Which checks a run judges: arguments such as ``layer_norm`` or ``layer_norm::deterministic``, and the shard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.core.errors import UsageError, did_you_mean
from harness.project.names import Names
from harness.project.shards import Shard


@dataclass(frozen=True)
class Selection:
    """``chosen``: components and ``component::check``; empty for everything. ``order``: all components in order.

    ``stand_ins``: components that are missing, with the one that is judged in the place of each.
    """

    chosen: Sequence[str]
    shard: Shard
    order: Sequence[str]
    stand_ins: Mapping[str, str] = field(default_factory=dict)

    def has(self, component: str, check: str) -> bool:
        """Whether this run judges that check."""
        if not self.shard.has(self.order.index(component)):
            return False
        names = (component, *self.included_by(component))
        return not self.chosen or any(n in self.chosen or f"{n}::{check}" in self.chosen for n in names)

    def included_by(self, component: str) -> list[str]:
        """The missing components in whose place this one is judged."""
        return [missing for missing, name in self.stand_ins.items() if name == component]

    def has_single_checks(self, component: str) -> bool:
        """Whether single checks of a component were asked for, rather than the whole component."""
        return any("::" in chosen and chosen.partition("::")[0] == component for chosen in self.chosen)


def take_arguments(
    config: pytest.Config, components: Collection[str], checks_of: Callable[[str], list[str]], earlier: Names
) -> list[str]:
    """Take the arguments that name a component or a check from pytest's list; paths stay pytest's.

    ``earlier``: names of checks that have changed, which work too. Raises UsageError where a name is misspelt.
    """
    chosen = list(config.option.impl_select or [])
    by_hand = config.args_source is pytest.Config.ArgsSource.ARGS
    others = []
    for argument in config.args if by_hand else []:
        place = argument.partition("::")[0]
        if place.rpartition("/")[2] in components and not Path(place).exists():
            chosen.append(_known(argument.rpartition("/")[2], checks_of, earlier))
        else:
            _refuse_misspelt(place, components)
            others.append(argument)
    config.args[:] = others
    config.args_source = pytest.Config.ArgsSource.ARGS
    config.option.impl_select = chosen
    return chosen


def _known(chosen: str, checks_of: Callable[[str], list[str]], earlier: Names) -> str:
    """The component, or ``component::check``, if there is such a check."""
    component, _, name = chosen.partition("::")
    names = checks_of(component)
    if not name or name in names:
        return chosen
    current = earlier.check(chosen)
    if current.partition("::")[2] not in names:
        hint = did_you_mean(name, names) or f"there are: {', '.join(names)}"
        raise UsageError(f"{component} has no check {name!r}; {hint}")
    return current


def _refuse_misspelt(place: str, components: Collection[str]) -> None:
    """A path that does not exist, and is nearly the name of a component, is meant as that."""
    hint = did_you_mean(place, components, 0.7)
    if hint and "/" not in place and not Path(place).exists():
        raise UsageError(f"there is no component {place!r}; {hint}")
