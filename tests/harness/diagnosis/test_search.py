"""Which known mistake is named: a catalogue of three mistakes in a function of two lines."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from harness.core.case import Case
from harness.core.implementation import Answer, Crash, CrashKind, Offer, Request
from harness.core.mistake import Edit, KnownMistake, applied
from harness.diagnosis.finding import edits_of
from harness.diagnosis.matching import EditedReference, Observation, is_much_nearer, is_silent, is_wrong, misfit
from harness.diagnosis.search import BUDGET, Diagnostician
from harness.judging.catalogue import load_catalogue

CONTRACTS = {"line": replace(load_catalogue().contracts["gelu"], name="line", variants=(), parts=())}


def line(x: torch.Tensor) -> torch.Tensor:
    y = 2.0 * x
    y = y + 1.0
    return y


def mistake(name: str, right: str, wrong: str) -> KnownMistake:
    return KnownMistake(name, f"{name} is wrong", line, right, wrong, component="line")


SLOPE = mistake("slope", "y = 2.0 * x", "y = 3.0 * x")
SLOPE_ABOVE_0 = mistake("slope_above_0", "y = 2.0 * x", "y = torch.where(x > 0, 3.0 * x, 2.0 * x)")
OFFSET = mistake("offset", "y = y + 1.0", "y = y + 2.0")
ANOTHER_OFFSET = mistake("another_offset", "y = y + 1.0", "y = 2.0 + y")
MISTAKES = (SLOPE, SLOPE_ABOVE_0, OFFSET)


class Line:
    """The function with edits in force."""

    name, components = "line", ("line",)

    def __init__(self, edits: tuple[Edit, ...] = ()) -> None:
        self.edits = edits

    def offers(self, component: str) -> Offer:
        return Offer(component)

    def run(self, request: Request) -> Answer:
        with applied(self.edits):
            return Answer((line(request.case.arguments["x"]),))


def observed(function: Callable[[torch.Tensor], torch.Tensor], *xs: float) -> list[Observation]:
    """What a function answers to one request per number, beside the reference."""
    requests = [Request("line", Case.of({"x": torch.tensor([x], dtype=torch.float64)})) for x in xs]
    bound = Answer((1e-12,))
    return [Observation(r, Answer((function(r.case.arguments["x"]),)), Line().run(r), bound) for r in requests]


def explain(observations: Sequence[Observation], mistakes: Sequence[KnownMistake] = MISTAKES) -> tuple[str, ...] | None:
    finding = Diagnostician(CONTRACTS, {"line": mistakes}, Line).explain("line", observations)
    return None if finding is None else finding.names


def test_a_mistake_is_named_only_if_it_explains_every_observation() -> None:
    """Two mistakes agree above 0: one observation below, right or wrong, tells them apart."""
    assert explain(observed(lambda x: 3.0 * x + 1.0, 1.0, -1.0, 2.0)) == ("line.slope",)
    above = observed(lambda x: torch.where(x > 0, 3.0 * x, 2.0 * x) + 1.0, 1.0, 2.0, -1.0)
    assert [is_wrong(o) for o in above] == [True, True, False]
    assert explain(above) == ("line.slope_above_0",)
    assert explain(above, (SLOPE, OFFSET)) is None


def test_two_mistakes_together_are_named_where_neither_is_enough() -> None:
    assert explain(observed(lambda x: 3.0 * x + 2.0, 1.0, -2.0, 0.5)) == ("line.slope", "line.offset")


def test_nothing_is_named_where_no_known_mistake_gives_these_numbers() -> None:
    assert explain(observed(lambda x: 5.0 * x + 7.0, 1.0, -1.0)) is None
    assert explain(observed(lambda x: 2.0 * x + 1.0, 1.0, -1.0)) is None, "right answers need no explanation"
    assert explain([]) is None


def test_mistakes_that_explain_it_equally_well_are_listed_beside_the_first() -> None:
    finding = Diagnostician(CONTRACTS, {"line": (SLOPE, OFFSET, ANOTHER_OFFSET)}, Line).explain(
        "line", observed(lambda x: 2.0 * x + 2.0, 1.0, -1.0)
    )
    assert finding is not None and finding.mistakes == (OFFSET,) and finding.or_else == (ANOTHER_OFFSET,)


def test_what_was_found_in_the_parts_is_tried_first() -> None:
    """A pair that is handed in goes before the single mistakes."""
    observations = observed(lambda x: 3.0 * x + 2.0, 1.0, -1.0)
    finding = Diagnostician(CONTRACTS, {"line": ()}, Line).explain("line", observations, [(SLOPE, OFFSET)])
    assert finding is not None and finding.mistakes == (SLOPE, OFFSET)


def test_the_fit_is_measured_in_tolerances_and_silence_is_the_reference_s_own_answer() -> None:
    (o,) = observed(lambda x: 3.0 * x + 1.0, 2.0)
    executor = EditedReference(Line(edits_of([SLOPE])), None)
    assert misfit(executor.run(o), o, executor) == 0.0
    assert misfit(Line(edits_of([OFFSET])).run(o.request), o, executor) is None
    assert is_silent(Line().run(o.request), o) and not is_silent(executor.run(o), o)


def test_an_answer_is_not_explained_by_a_crash_nor_a_crash_by_an_answer() -> None:
    crash = Answer((), crash=Crash(CrashKind.RAISED, "ValueError", "no"))
    (o,) = observed(lambda x: 3.0 * x + 1.0, 2.0)
    executor = EditedReference(Line(edits_of([SLOPE])), None)
    assert misfit(crash, o, executor) is None
    assert misfit(executor.run(o), replace(o, answer=crash), executor) is None and is_wrong(replace(o, answer=crash))


def answered(value: float, gradient: Sequence[float]) -> Answer:
    return Answer((torch.tensor([value], dtype=torch.float64),), {"x": torch.tensor(gradient, dtype=torch.float64)})


def asked(answer: Answer, reference: Answer) -> Observation:
    request = Request("line", Case.of({"x": torch.ones(2, dtype=torch.float64)}), gradients=1)
    return Observation(request, answer, reference, Answer((1e-12,), {"x": 1e-12}))


def test_gradients_are_compared_where_both_are_finite() -> None:
    """A root at zero has no slope in one writing and some in another one; the value is wrong beside it."""
    executor = EditedReference(Line(), None)
    nan = float("nan")
    o = asked(answered(3.0, (nan, 2.0)), answered(1.0, (1.0, 1.0)))
    assert misfit(answered(3.0, (5.0, 2.0)), o, executor) == 0.0
    assert misfit(answered(3.0, (nan, 2.0)), o, executor) == 0.0
    assert misfit(answered(3.0, (5.0, 4.0)), o, executor) is None


def test_a_gradient_that_is_wrong_only_where_it_is_not_finite_is_not_explained_by_leaving_that_out() -> None:
    executor = EditedReference(Line(), None)
    o = asked(answered(1.0, (float("nan"), 1.0)), answered(1.0, (1.0, 1.0)))
    assert misfit(answered(1.0, (1.0, 1.0)), o, executor) is None


def test_nan_is_equal_to_nan_in_what_is_returned() -> None:
    executor = EditedReference(Line(), None)
    o = asked(answered(float("nan"), (1.0, 1.0)), answered(1.0, (1.0, 1.0)))
    assert misfit(answered(float("nan"), (1.0, 1.0)), o, executor) == 0.0
    assert misfit(answered(1.0, (1.0, 1.0)), o, executor) is None


def test_an_error_is_near_to_errors_alone_and_numbers_are_compared_where_the_reference_has_none() -> None:
    def raised(error: str, call: int = 0) -> Answer:
        return Answer((), crash=Crash(CrashKind.RAISED, error, "no", call=call))

    (o,) = observed(lambda x: 3.0 * x + 1.0, 2.0)
    crashed = replace(o, answer=raised("ValueError"))
    assert is_much_nearer(raised("ValueError"), crashed)
    assert is_much_nearer(raised("TypeError"), crashed), "a form that has no place for a case refuses it in its own way"
    assert not is_much_nearer(raised("ValueError"), o) and not is_much_nearer(o.reference, crashed)
    alone = replace(o, reference=raised("ValueError"))
    assert is_much_nearer(o.answer, alone) and not is_much_nearer(o.reference, alone)
    assert not is_much_nearer(o.reference, o) and is_much_nearer(o.answer, o)


def test_a_component_that_nothing_explains_is_given_up_after_a_budget() -> None:
    """What was tried is counted; what was found elsewhere is still tried."""
    looking = Diagnostician(CONTRACTS, {"line": MISTAKES}, Line)
    unknown = observed(lambda x: x.sin(), 1.0, -1.0, 0.5)
    assert looking.explain("line", unknown) is None
    searched = looking.searched["line"]
    assert searched.mistakes == len(MISTAKES) and searched.together == 3 and searched.seconds > 0
    searched.seconds = BUDGET + 1
    known = observed(lambda x: 3.0 * x + 1.0, 1.0, -1.0, 2.0)
    assert looking.explain("line", known) is None
    assert looking.explain("line", known, [(SLOPE,)]) is not None
