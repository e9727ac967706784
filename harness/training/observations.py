"""Events of states that are kept and loaded, and what experiments of ours found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from harness.training.events import Event


@dataclass(frozen=True, kw_only=True)
class SeenAhead(Event):
    """Which positions of its input one row of logits depends on, by the gradient.

    ``position``: of the row; ``seen``: the last position that it depends on, among ``length``; ``other_rows``: whether
    it depends on other rows of the batch. ``training``: the mode.
    """

    position: int
    target: int
    """The position whose token this row predicts; -1 where it is not known."""
    seen: int
    length: int
    other_rows: bool
    training: bool
    mixes: bool = False
    """Whether a part of the model mixes the rows of a batch by its nature, as batch normalisation does."""


@dataclass(frozen=True, kw_only=True)
class SeenAheadIn(Event):
    """The line that first brings later positions in. ``has_mask``: whether a mask takes part there."""

    has_mask: bool


@dataclass(frozen=True, kw_only=True)
class RandomInEvaluation(Event):
    """The model was called twice in evaluation mode with the same input, and gave different results."""

    difference: float


@dataclass(frozen=True, kw_only=True)
class SeedSet(Event):
    """``torch.manual_seed`` was called."""


class Holder(str, Enum):
    """What a state belongs to."""

    MODULE = "module"
    OPTIMIZER = "optimiser"
    SCHEDULER = "scheduler"


@dataclass(frozen=True, kw_only=True)
class StateLoaded(Event):
    """``load_state_dict`` of a module, an optimiser or a scheduler, each by its number.

    ``holder``: which of them. ``taken``: how many tensors of a module were in the state; ``of``: how many it has.
    ``own``: whether the state holds the module's own tensors, so that nothing was kept.
    """

    holder: Holder
    number: int
    taken: int = 0
    of: int = 0
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class StateRead(Event):
    """``torch.load``: states of how many optimisers, schedulers and modules lie in what was read."""

    optimizers: int
    schedulers: int
    modules: int
    counters: int = 0
    """Whole numbers above 0 in it: steps or epochs."""


@dataclass(frozen=True, kw_only=True)
class StateTaken(Event):
    """``state_dict`` of a module was called; ``number``: of its root."""

    number: int


@dataclass(frozen=True, kw_only=True)
class CheckpointedAtRandom(Event):
    """A part with dropout is computed again in the backward pass, with other random numbers."""


@dataclass(frozen=True, kw_only=True)
class TiedByValue(Event):
    """Two parameters of one model, an embedding and a projection of its shape, were equal and not the same."""

    names: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class CopyEvaluated(Event):
    """A second model of the same class and sizes was called without a gradient.

    ``shared``: whether its parameters are those of the trained model. ``changed``: whether its values differ from those
    that it had at the first call. ``copied``: whether these were the initial values of the trained model.
    """

    root: int
    shared: bool
    changed: bool
    copied: bool


@dataclass(frozen=True, kw_only=True)
class ParametersReplaced(Event):
    """A state was loaded into the trained model for an evaluation, and training went on with it."""

    parameters: int


@dataclass(frozen=True, kw_only=True)
class AdaptersSeen(Event):
    """A model has matrices of low rank beside weights. ``trained``: how many of these weights are trained too."""

    root: int
    adapters: int
    trained: int


@dataclass(frozen=True, kw_only=True)
class LoadedForNothing(Event):
    """A state was loaded into a model that was gone at the first step, while another one of its class was trained."""


@dataclass(frozen=True, kw_only=True)
class NumberRead(Event):
    """A tensor of one value was read as a number."""

    value: float
