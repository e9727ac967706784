"""What happened in a training run, as plain data. Tensors in events are small copies; parameters go by their names."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from harness.training.places import Place


@dataclass(frozen=True, kw_only=True)
class Event:
    """``at``: the person's line. ``step``: its training step, from 0. ``index``: its place in the stream."""

    at: Place
    step: int
    index: int


@dataclass(frozen=True, kw_only=True)
class ModelCalled(Event):
    """The outermost call of a module with parameters ended. ``root``: the module at the top of its tree, by number."""

    model: str
    root: int
    training: bool
    gradient: bool
    in_training_mode: tuple[str, ...] = ()
    """Names of submodules in training mode that behave differently in it, where the model itself is not."""
    not_in_training_mode: tuple[str, ...] = ()
    """Names of such submodules that are in evaluation mode, where the model itself is in training mode."""


@dataclass(frozen=True, kw_only=True)
class LossComputed(Event):
    """A cross-entropy. ``value``: of the loss; ``expected``: the same from the logits, in float64 and by its meaning.

    ``targets``, ``ids``: copies, of shape (batch, time) where that is known. ``logits``: their shape.
    """

    value: float
    expected: float | None
    logits: tuple[int, ...]
    targets: torch.Tensor | None
    ids: torch.Tensor | None
    ignore_index: int
    reduction: str
    gradient: bool
    training: bool | None
    standard: bool
    """Whether neither class weights nor label smoothing change it."""


@dataclass(frozen=True, kw_only=True)
class BackwardRan(Event):
    """A backward pass ended. Names of parameters: ``reached`` those whose gradient it wrote; ``stale`` those that
    still held the gradient that an optimiser step had used; ``carried`` those that held an unused one."""

    loss: float | None
    reached: tuple[str, ...]
    stale: tuple[str, ...]
    carried: tuple[str, ...]
    not_finite: tuple[str, ...]
    loss_place: Place = field(default_factory=Place)
    forward: bool = True
    """Whether a forward pass came since the last backward pass."""


@dataclass(frozen=True, kw_only=True)
class GradientsCleared(Event):
    """``zero_grad`` was called. ``names``: parameters; ``unused``: those with a gradient that no step has used."""

    owner: str
    names: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Clipped(Event):
    """Gradients were clipped. ``given``: how many tensors the call saw. ``used``: whether a step had used them all.

    ``scaled``: whether the gradients still were those of a loss that a scaler had scaled up.
    """

    by_value: bool
    limit: float
    given: int
    names: tuple[str, ...]
    norm: float | None
    used: bool
    empty: bool
    """Whether none of the tensors had a gradient."""
    scaled: bool


@dataclass(frozen=True)
class StepOfParameter:
    """What one step did to one parameter. ``gradient``: its norm, None where there was none.

    ``moved``: whether any value changed. ``lost``: the share of values with a gradient that rounding kept as they were.
    """

    name: str
    gradient: float | None
    moved: bool
    lost: float
    finite: bool
    clipped: bool = False


@dataclass(frozen=True)
class Group:
    """A parameter group of an optimiser."""

    names: tuple[str, ...]
    rate: float
    decay: float


@dataclass(frozen=True, kw_only=True)
class OptimizerStepped(Event):
    """An optimiser made a step. ``number``: which optimiser, in order of its first appearance; -1 for an own one.

    ``count``: its own count of steps before this one, None where it keeps none.
    """

    number: int
    kind: str
    parameters: tuple[StepOfParameter, ...]
    groups: tuple[Group, ...]
    count: int | None
    since_backward: int
    """Backward passes since the last step of any optimiser."""


@dataclass(frozen=True, kw_only=True)
class ScheduleStepped(Event):
    """A scheduler made a step. ``optimizer``: the number of its optimiser; ``rates``: before and after."""

    kind: str
    number: int
    optimizer: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    in_evaluation: bool = False


@dataclass(frozen=True, kw_only=True)
class LoaderStarted(Event):
    """A data loader was iterated anew."""

    number: int
    batches: int | None
    shuffled: bool


@dataclass(frozen=True, kw_only=True)
class ModeSet(Event):
    """``train()`` or ``eval()`` was called on a module that no call of the same kind contains."""

    model: str
    root: int
    training: bool


@dataclass(frozen=True, kw_only=True)
class ScalerUsed(Event):
    """A gradient scaler did something. ``what``: the method's name."""

    what: str


@dataclass(frozen=True, kw_only=True)
class StateLoaded(Event):
    """``load_state_dict`` of a module, an optimiser or a scheduler. ``number``: of the optimiser."""

    owner: str
    number: int


@dataclass(frozen=True, kw_only=True)
class StateRead(Event):
    """``torch.load``. ``holds_optimizer``: whether the state of an optimiser lies in it."""

    holds_optimizer: bool
    holds_model: bool
