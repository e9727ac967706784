"""The narrow executor to somebody's implementation: a request goes in, an answer comes out, and nothing else passes.

Requests and answers hold tensors, strings and numbers only, so that an implementation may live in another process
without any claim noticing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from harness.core.case import Case
from harness.core.steps import Replacement, Step


@dataclass(frozen=True)
class Request:
    """Play this case of this component.

    ``gradients``: seed of the random cotangent, or None for the forward pass alone. ``mode``: "eval" or "train" for
    whatever has such a switch, "dropout" for training with the rates of dropout at one half, "faint dropout" with rates
    that drop nothing. ``context``: "plain", "inference" (inside torch.inference_mode), "deepcopied" or "reloaded"
    (state_dict round trip). ``fresh``: never answer from memory (repeatability and state are being judged).
    ``output_part``: (axis, start, stop): gradients of this part of the output alone; the cotangent is 0 outside it.
    ``weigh``: also tell what the object that the script built holds in memory at its end (``facts["bytes"]``), and what
    each call returned holds (``facts["bytes of quantize()"]``). ``trace``: also tell each step of the calls
    (``Answer.steps``). ``replacements``: what takes the place of results on the way.
    """

    component: str
    case: Case
    gradients: int | None = None
    mode: str = "eval"
    context: str = "plain"
    fresh: bool = False
    output_part: tuple[int, int, int] | None = None
    weigh: bool = False
    trace: bool = False
    replacements: tuple[Replacement, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What an answer is cached under; ``fresh`` is no part of it."""
        how = (self.gradients, self.mode, self.context, self.output_part, self.weigh)
        return (self.component, self.case.key, *how, self.trace, self.replacements)

    def of(self, case: Case) -> Request:
        """The same request for another case."""
        return replace(self, case=case)


class CrashKind(str, Enum):
    """Why a request has no answer. It equals and is written as its text."""

    RAISED = "raised"
    TIMED_OUT = "timed out"
    TO_DO = "to do"
    """Not written yet (NotImplementedError)."""
    NOT_SUPPORTED = "not supported"
    """The implementation has no place for what was asked; see :class:`harness.core.claim.NotSupported`."""
    MISFIT = "misfit"
    """It was called with something that it does not take; see :class:`harness.core.claim.Misfit`."""

    @property
    def says_nothing(self) -> bool:
        """Whether it says nothing about the code: what was asked for is none of its business."""
        return self in (CrashKind.NOT_SUPPORTED, CrashKind.MISFIT)

    def __str__(self) -> str:
        return self.value


class Phase(str, Enum):
    """The two passes of a run."""

    FORWARD = "forward"
    BACKWARD = "backward"

    def __str__(self) -> str:
        return self.value


class EffectKind(str, Enum):
    """What a run changed beside its answer."""

    ARGUMENT = "argument"
    """An argument of the call that was made."""
    EARLIER_ARGUMENT = "earlier argument"
    """An argument of an earlier call, which a later one wrote to."""
    INCOMING_GRADIENT = "incoming gradient"
    OWN_GRADIENT = "gradient of its own"
    """A result that needs a gradient, though nothing that was given does."""
    GENERATOR = "random generator"
    FLAG = "global flag"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Effect:
    """One side effect of a run, and its text. ``argument`` of ``method``: what was written to. ``phase``: when."""

    kind: EffectKind
    text: str
    argument: str = ""
    method: str = ""
    phase: Phase = Phase.FORWARD

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Crash:
    """Why a request has no answer. ``phase``: the pass in which that came out; ``call``: which call, from 0."""

    kind: CrashKind
    error: str
    message: str
    frames: tuple[str, ...] = ()
    phase: Phase = Phase.FORWARD
    call: int = 0


@dataclass(frozen=True, eq=False)
class MeasuredOutput:
    """What a call returned, together with facts about the object that computed it."""

    value: Any
    facts: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Answer:
    """What came back: one output per call, gradients by dotted argument name, and what was touched on the way.

    ``facts``: numbers known of the object that computed it, where there is one ("parameters": how many it trains;
    "bytes": what it holds in memory, where that was asked for).
    """

    outputs: tuple[Any, ...] = ()
    gradients: dict[str, Any] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    crash: Crash | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    """What was computed on the way, in order, where that was asked for."""

    @property
    def value(self) -> Any:
        """The output of the last call."""
        return self.outputs[-1]


class OfferKind(str, Enum):
    """What an implementation is plugged in as."""

    FUNCTION = "function"
    CLASS = "class"
    MODULE = "module"
    """A torch.nn.Module, which has a training mode and a state_dict."""
    INSIDE = "inside"
    """No module of its own: it is judged with the model it is written into."""

    def __str__(self) -> str:
        return self.value


READ_FIRST = "read before the first result"
"""A fact about a lazy call: how many entries of its argument it had read when its first result came, all where there is
none."""


@dataclass(frozen=True)
class Offer:
    """What an implementation says of a component: where it is defined, and what to know about how it is plugged in.

    ``by_hand``: name, file and line of the hand-written backward function that gives its gradients, where there is one.
    """

    component: str
    where: str = ""
    line: int = 0
    kind: OfferKind = OfferKind.FUNCTION
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    by_hand: tuple[str, str, int] | None = None
    to_do: str = ""
    """Why it is not written yet, as far as is known without calling it."""
    misfit: str = ""
    """What it needs that the contract does not give, as far as is known without calling it."""
    plug_in: tuple[str, ...] = ()
    """The shortest lines of Python that would plug a misfit in."""


class Implementation(Protocol):
    """Somebody's implementation."""

    name: str
    components: tuple[str, ...]
    """What it says it has, at no cost; ``offers`` looks closer."""

    def offers(self, component: str) -> Offer | None:
        """How it offers a component, or None when it does not."""

    def run(self, request: Request) -> Answer:
        """Play a request. Never raises for what the implementation does; see :class:`Crash`."""
