"""A claim: one statement that must hold, in a sentence, and the function that tests it on one case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import torch

from harness.core.case import Case
from harness.core.implementation import Answer, Effect, Phase
from harness.core.quorum import Quorum


class About(str, Enum):
    """What a claim is about. Reports and the diagnosis read this, never the claim's name or sentence."""

    NUMBERS = "numbers"
    """All its numbers, beside the reference's."""
    ROUNDING = "rounding"
    """How much precision its numbers lose."""
    GRADIENT = "gradient"
    """A derivative that autograd or a backward function gives."""
    CONSISTENCY = "consistency"
    """Two results of the implementation, which must agree with each other."""
    FORM = "form"
    """Kind, shape and dtype of a result, whether there is one at all, and what is refused."""
    STATE = "state"
    """Side effects, and what is kept between calls."""

    def __str__(self) -> str:
        return self.value


class Violation(Exception):
    """The check failed on this case.

    ``worst``: the worst element in words. ``error``: in units of the tolerance (inf where there is none).
    ``error_map``: the same for every element around the worst, over two axes. ``phase``: the pass that is wrong.
    ``effects``: the side effects that it is about. ``returned``: what came back, where that is another kind of thing
    than declared. ``explains``: whether the message says why, and not only that numbers differ. ``advice``: of what
    nobody is held to, why that is, and what to do. ``form``: the name of the component's legal form that it would be
    right in, where the check knows that.
    """

    def __init__(
        self,
        message: str,
        *,
        worst: str = "",
        error: float = float("inf"),
        error_map: tuple[tuple[float, ...], ...] = (),
        phase: Phase = Phase.FORWARD,
        effects: tuple[Effect, ...] = (),
        returned: str = "",
        explains: bool = True,
        advice: str = "",
        form: str = "",
    ) -> None:
        super().__init__(message)
        self.message, self.worst, self.error, self.error_map = message, worst, error, error_map
        self.phase, self.effects, self.returned, self.explains = phase, effects, returned, explains
        self.advice = advice
        self.form = form

    @classmethod
    def of_effects(cls, effects: Iterable[Effect]) -> Violation:
        """These side effects, each once: none of them may happen."""
        once = tuple(dict.fromkeys(effects))
        backward = any(effect.phase is Phase.BACKWARD for effect in once)
        phase = Phase.BACKWARD if backward else Phase.FORWARD
        return cls("; ".join(dict.fromkeys(effect.text for effect in once)), phase=phase, effects=once)


class NotApplicable(Exception):
    """This case says nothing about the claim (the harness's own decision, counted)."""


class NotSupported(Exception):
    """The implementation has no place for what the case asks for; the text says what. The check is not applicable."""


class Misfit(NotSupported):
    """The implementation was called with something that it does not take, or built at a size that it did not get.

    The text says what it needs. Nothing is said about the code.
    """


class Crashed(Exception):
    """The implementation raised where it must not; carries the Crash."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.crash.message if answer.crash else "")
        self.crash = answer.crash


class ToDo(Exception):
    """The implementation says that it is not written yet (NotImplementedError)."""


class Trial(Protocol):
    """What a claim may use: one case, the two executors, and the numerics bound to that case.

    Options of the runs: ``dtype`` (the case is cast to it first; the working precision if not given), ``gradients``
    (also return gradients for a random cotangent), ``mode``, ``context``, ``fresh``, ``output_part`` and ``weigh`` as
    in Request.
    """

    case: Case
    contract: Any
    offer: Any
    dtype: torch.dtype
    """The working precision: float64, or float32 where that is all the implementation computes in."""
    seed: int

    @property
    def is_varied(self) -> bool:
        """Whether a legal form other than the contract's own was declared for this component."""

    def has_form(self, *names: str) -> bool:
        """Whether one of these legal forms was declared for this component, or any form on an axis of this name."""

    def number(self, axis: str) -> float | None:
        """The number that was declared on this axis for this component; None where none was."""

    @property
    def companions(self) -> tuple[Case, ...]:
        """Other cases to run in between."""

    def run(self, case: Case | None = None, **options: Any) -> Answer:
        """The implementation's answer; raises Crashed, ToDo or NotSupported where there is none."""

    def attempt(self, case: Case | None = None, **options: Any) -> Answer:
        """The implementation's answer, a crash included (for claims about what must raise)."""

    def probe(self, case: Case | None = None, **options: Any) -> Answer:
        """The implementation's answer, which is no evidence of anything: to see in which form it takes an argument."""

    def expect(self, case: Case | None = None, **options: Any) -> Answer:
        """The reference's answer under the same options."""

    def agreement(
        self, case: Case | None = None, *, dtype: torch.dtype | None = None, gradients: bool = False
    ) -> tuple[Answer, Answer]:
        """The exact answer (float64), and the tolerance of every output and gradient in the dtype asked for."""

    def spread(self, case: Case | None = None) -> Any:
        """Tolerances of the outputs for comparing two runs of the implementation with each other."""

    def spread_of_value(self, case: Case | None = None) -> Any:
        """The last of them."""

    def close(self, actual: Any, expected: Any, tolerance: Any, what: str) -> None:
        """Note the largest error in units of the tolerance; raise Violation naming the worst element above 1."""

    def note_error(self, error: float) -> None:
        """Note an error in units of its tolerance; the largest one of a case is reported."""

    def cotangent(self, value: torch.Tensor) -> torch.Tensor:
        """The random cotangent that gradients are taken with, in float64."""

    def random(self) -> torch.Generator:
        """A generator seeded by the run, the claim and the case."""

    def not_applicable(self) -> None:
        """Raises NotApplicable: this case says nothing about the claim."""


@dataclass(frozen=True)
class Claim:
    """One promise.

    ``test(trial)`` raises :class:`Violation` where the claim does not hold; the trial notes the errors of its
    comparisons. ``needs(contract)`` says whether the claim fits a component. A generic claim carries a ``sabotage``
    (a way to call a right component that breaks this claim); a component's own claim names in ``broken_by`` the known
    mistake that breaks it. ``cases`` is a strategy of its own, where the component's cases do not reach what the
    claim is about. ``false_alarm`` and ``power`` are stated by random claims. ``about`` is what reports sort and
    group verdicts by.
    """

    name: str
    sentence: str
    test: Callable[..., None]
    needs: Callable[[Any], bool] = lambda contract: True
    sabotage: Callable[..., Any] | None = None
    broken_by: str = ""
    cases: Callable[[], Any] | None = None
    max_cases: int | None = None
    false_alarm: float = 0.0
    power: float | None = None
    tags: frozenset[str] = field(default_factory=frozenset)
    about: frozenset[About] = field(default_factory=frozenset)
    structural: bool = False
    """Whether it holds for any weights, and needs no numbers of the reference's."""
    quorum: tuple[Quorum, ...] = ()
    """What some of the cases that it says something about must have, so that a pass means something."""
    aliases: tuple[str, ...] = ()
    """Earlier names, which records, expectations and the command line still understand."""

    def __call__(self, trial: Trial, *arguments: Any) -> None:
        """Test one case on behalf of another claim."""
        self.test(trial, *arguments)


def claim(sentence: str, *, name: str = "", **options: Any) -> Callable[[Callable[..., None]], Claim]:
    """Decorator: this function tests the claim that bears its name. ``options`` are the fields of :class:`Claim`.

    ``name``: another name than the function's, where that is taken.
    """

    def named(test: Callable[..., None]) -> Claim:
        return Claim(name or test.__name__, sentence, test, **options)

    return named
