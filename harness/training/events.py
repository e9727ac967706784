"""What happened in a training run, as plain data. Tensors in events are small copies; parameters go by their names."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from harness.training.origins import NOWHERE, Origin
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
    model_has_dropout: bool = False


@dataclass(frozen=True, kw_only=True)
class LossComputed(Event):
    """A cross-entropy. ``value``: of the loss; ``expected``: its mean over the counted targets, in float64.

    ``targets``, ``ids``: copies, of shape (batch, time) where that is known. ``logits``: shape (rows, classes).
    """

    value: float
    expected: float
    counted: int
    """Targets that are not ignored."""
    logits: tuple[int, ...]
    targets: torch.Tensor | None
    ids: torch.Tensor | None
    ids_object: int
    """The identity of the tensor of ids."""
    ignore_index: int
    reduction: str
    gradient: bool
    training: bool | None
    """Whether the model that was called last is in training mode."""
    plain: bool
    """Whether neither class weights nor label smoothing change it."""
    probabilities: bool
    """Whether every row of the logits is a distribution already: a softmax came before."""
    normalised: bool
    """Whether every row of the logits is one of log-probabilities."""
    is_nll: bool
    """Whether it was computed by ``nll_loss``, which takes log-probabilities."""
    misordered: bool
    """Whether the logits are those of the model in another order."""
    dropout: bool = False
    functional_dropout: bool = False
    """Whether any dropout of the model that was called last is at work, and whether a functional one was."""
    smoothing: float = 0.0
    source: int = 0
    """Elements of the memory that the ids are a view of."""
    memory: int = 0
    """Where that memory lies."""
    mark: str = ""
    """Stands for the values of the ids."""
    half: str = ""
    """The 16-bit type of automatic mixed precision, where it is on."""
    root: int = -1
    called_at: Place = field(default_factory=Place)
    """The model that was called last, by the number of its root, and where that was called."""
    ids_from: Origin = NOWHERE
    targets_from: Origin = NOWHERE
    time_major: bool = False
    """Whether the ids were given as (time, batch); here they are turned."""
    reordered: bool = False
    """Whether the targets would be the next tokens in another order of rows and positions."""


@dataclass(frozen=True)
class LossUse:
    """How a backward pass uses a cross-entropy. ``index``: of its event. ``weight``: of one target in what is
    differentiated; ``equal``: whether all counted targets have that weight."""

    index: int
    weight: float
    coefficient: float


@dataclass(frozen=True, kw_only=True)
class BackwardRan(Event):
    """A backward pass ended. Names of parameters: ``reached`` those whose gradient it wrote; ``stale`` those that
    still held the gradient that an optimiser step had used; ``carried`` those that held an unused one."""

    loss: float | None
    reached: tuple[str, ...]
    stale: tuple[str, ...]
    carried: tuple[str, ...]
    not_finite: tuple[str, ...]
    uses: tuple[LossUse, ...] = ()
    norm: float | None = None
    """Of all gradients after it."""
    scaled: bool = False
    """Whether a scaler scaled the loss up."""
    root: int = 0
    """The identity of the tensor that was differentiated."""
    changed: tuple[str, ...] = ()
    """Parameters that no optimiser holds and that changed all the same."""
    moved: bool = False
    """Whether parameters changed since the last backward pass although no step came in between."""
    kept: int = 0
    """Losses of earlier steps whose graphs still live."""


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
    dtype: str = ""
    frozen: bool = False
    """Whether it requires no gradient."""
    dimensions: int = 0
    size: int = 0
    """Number of values."""
    beside_frozen: bool = False
    """Whether its module has another parameter that requires no gradient."""
    born: Place = field(default_factory=Place)
    """Where it was put into a module."""
    along: float = 0.0
    """The cosine between what was added and the gradient: below 0 where it descends."""


@dataclass(frozen=True)
class Group:
    """A parameter group of an optimiser."""

    names: tuple[str, ...]
    rate: float
    decay: float
    extra: tuple[tuple[str, float], ...] = ()
    """Numbers under keys that the optimiser did not have when it was built."""
    default_rate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OptimizerStepped(Event):
    """An optimiser made a step. ``number``: which optimiser, in order of its first appearance; -1 for an own one.

    ``count``: its own count of steps before this one, None where it keeps none. ``scaled``: whether the gradients
    still are those of a loss that a scaler had scaled up. ``attribute_rate``: a rate that somebody set on the optimiser
    itself, where no step reads it.
    """

    number: int
    kind: str
    parameters: tuple[StepOfParameter, ...]
    groups: tuple[Group, ...]
    count: int | None
    since_backward: int
    """Backward passes since the last step of any optimiser."""
    scaled: bool = False
    light: bool = False
    """Whether nothing was looked at but the step itself."""
    attribute_rate: bool = False
    betas: tuple[float, ...] = ()
    made_at: Place = field(default_factory=Place)
    """Where the optimiser was built."""
    ascends: bool = False
    """Whether it maximises."""


@dataclass(frozen=True, kw_only=True)
class ScheduleStepped(Event):
    """A scheduler made a step. ``optimizer``: the number of its optimiser; ``rates``: before and after."""

    kind: str
    number: int
    optimizer: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    wants_every_step: bool = False
    """Whether schedulers of its kind go on with every step, by torch's documentation."""
    past_its_end: bool = False
    """Whether a half period of a cosine is over, and the rate rises again."""


@dataclass(frozen=True, kw_only=True)
class LoaderStarted(Event):
    """A data loader was iterated anew."""

    number: int
    batches: int | None
    shuffled: bool
    made_at: Place = field(default_factory=Place)
    """Where it was built."""


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
class OptimizerMade(Event):
    """An optimiser was built. ``live``: how many of its parameters belong to a module that is not gone."""

    number: int
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SchedulerMade(Event):
    """A scheduler was built. ``number``: its own; ``optimizer``: that of its optimiser. ``target``: the name that its
    line assigns it to."""

    number: int
    optimizer: int
    kind: str
