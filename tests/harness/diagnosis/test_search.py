"""Which known mistake is named: a catalogue of three mistakes in a function of two lines."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from harness.core.case import Case
from harness.core.implementation import Answer, Crash, CrashKind, Offer, Request
from harness.core.mistake import Edit, KnownMistake, applied
from harness.diagnosis.finding import edits_of
from harness.diagnosis.matching import EditedReference, Observation, is_silent, is_wrong, misfit
from harness.diagnosis.search import Diagnostician
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
