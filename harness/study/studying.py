"""Lessons by name, run one after the other or side by side; what came of them as a record."""

from __future__ import annotations

import importlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import torch

from harness.core.errors import UsageError, did_you_mean
from harness.core.lesson import Answer, CannotTakePart, Lesson, LessonResult, Outcome
from harness.core.record import Cause, RunRecord, Status, Verdict
from harness.core.registry import scan
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation
from harness.study.components import ReferenceComponents, UserComponents
from harness.study.running import EFFORTS, Effort, Progress, held_against, run_lesson, silent

REFERENCE = "the reference"


@cache
def lessons() -> dict[str, Lesson]:
    """Every lesson of ``specs/lessons`` by its name. Raises RegistryError naming a file without its lesson."""
    found = scan(importlib.import_module("specs.lessons"), "LESSON", Lesson)
    return {lesson.name: lesson for lesson in found.values()}


def chosen(names: Sequence[str]) -> list[str]:
    """The names of lessons, all where none is given; ``_`` stands for ``-``. Raises UsageError for an unknown name."""
    known, found = lessons(), list[str]()
    for given in names:
        name = given.replace("_", "-")
        if name not in known:
            hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
            raise UsageError(f"there is no lesson {given!r}; {hint}")
        found.append(name)
    return list(dict.fromkeys(found)) or list(known)


@dataclass(frozen=True)
class Order:
    """What is run, in plain values, for another process too. ``impl``: as --impl takes it; empty for the reference."""

    impl: str = ""
    effort: str = "default"
    seed: int = 0


def run_one(name: str, order: Order, progress: Progress = silent) -> LessonResult:
    """One lesson with the user's components where they are offered.

    Where a question that they answer for fails, the same lesson is run with the reference: what fails with both says
    nothing about them.
    """
    torch.set_num_threads(1)
    lesson, effort = lessons()[name], EFFORTS[order.effort]
    if not order.impl:
        reference = ReferenceComponents(load_catalogue().contracts)
        return run_lesson(lesson, reference, effort, first_seed=order.seed, progress=progress)
    inspection = inspect_implementation(order.impl, seed=order.seed)
    assert isinstance(inspection.implementation, Executor)
    reference = ReferenceComponents(inspection.catalogue.contracts)
    components = UserComponents(inspection.implementation, reference)
    result = _with_those_that_fit(lesson, components, effort, order.seed, progress)
    if not result.own or not (result.problem or any(map(_is_against, result.answers))):
        return result
    right = run_lesson(lesson, reference, effort, first_seed=order.seed, progress=progress)
    return held_against(result, right)


def _with_those_that_fit(
    lesson: Lesson, components: UserComponents, effort: Effort, seed: int, progress: Progress
) -> LessonResult:
    """The result without the components that do not take what the lesson gives them."""
    left_out: list[str] = []
    while True:
        try:
            result = run_lesson(lesson, components, effort, first_seed=seed, progress=progress)
            return replace(result, left_out=tuple(left_out))
        except CannotTakePart as misfit:
            components.leave_out(misfit.component)
            left_out.append(f"{misfit.component}: {misfit}")


def _is_against(answer: Answer) -> bool:
    return answer.outcome is Outcome.REFUTED and bool(answer.decided_by)


def run_all(names: Sequence[str], order: Order, jobs: int = 1, progress: Progress = silent) -> Iterator[LessonResult]:
    """The results in the order of the names, each as soon as it is there. ``jobs``: lessons at the same time."""
    if order.impl:  # a usage error comes before any lesson is run
        inspect_implementation(order.impl, seed=order.seed)
    if jobs <= 1 or len(names) == 1:
        for name in names:
            yield run_one(name, order, progress)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(run_one, name, order) for name in names]
        try:
            for name, one in zip(names, waiting, strict=True):
                progress(f"{name}: running")
                yield one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def begun_record(order: Order) -> RunRecord:
    """A record without results."""
    contracts = load_catalogue().contracts
    return RunRecord(
        impl=order.impl or REFERENCE,
        seed=order.seed,
        planned={},
        order=tuple(contracts),
        parts={name: contract.parts for name, contract in contracts.items()},
        meanings={name: contract.meaning for name, contract in contracts.items()},
        verdicts=[],
        summaries={},
        effort=order.effort,
        started=time.time(),
    )


def add(record: RunRecord, result: LessonResult) -> None:
    """One more result, and what it says about the user's components as verdicts on them."""
    record.lessons.append(result)
    record.seconds = time.time() - record.started
    for answer in result.answers:
        for component in answer.decided_by:
            if component in result.own:
                record.add(_verdict(component, result, answer))
                record.planned[component] = record.planned.get(component, 0) + 1


def _verdict(component: str, result: LessonResult, answer: Answer) -> Verdict:
    fails = answer.name in result.against or "runs" in result.against
    status = Status.FAILED if fails else Status.PASSED if answer.outcome is Outcome.HOLDS else Status.NOT_APPLICABLE
    message = "" if status is Status.PASSED else f"lesson {result.name}: {answer.outcome}"
    if fails:
        message = result.problem or f"lesson {result.name}: this holds with the reference's component and not with it"
    return Verdict(
        component,
        f"{result.name.replace('-', '_')}_{answer.name}",
        answer.sentence.rstrip("."),
        status,
        message=message,
        cases=result.seeds,
        cause=Cause.BROKEN_CLAIM if fails else Cause.NONE,
    )


def study(
    name: str | Sequence[str] = (),
    impl: str | None = None,
    *,
    effort: str = "default",
    seed: int = 0,
    progress: Callable[[str], None] = silent,
) -> list[LessonResult]:
    """Run lessons and return what came of them: of one name, of several, or of all where none is given.

    Raises UsageError for a lesson, an effort or an implementation that is none.
    """
    if effort not in EFFORTS:
        raise UsageError(f"there is no effort {effort!r}; there are: {', '.join(EFFORTS)}")
    names = chosen([name] if isinstance(name, str) else list(name))
    return list(run_all(names, Order(impl or "", effort, seed), 1, progress))
