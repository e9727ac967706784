"""What the machine says of a file in somebody's style: for each component that it takes up, one outcome."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor
from harness.project.variants import in_one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STYLES = Path(__file__).parents[1] / "styles"
PASSES, FAILS, NOT_CHECKED, BARELY, TO_DO = "passes", "fails", "not checked", "barely checked", "to do"
NOT_APPLICABLE = "not applicable"
UNJUDGED = (NOT_CHECKED, TO_DO, NOT_APPLICABLE)


@dataclass(frozen=True)
class Outcome:
    """What came of one component: a word, the claims that fail, how many passed, and the first message."""

    status: str
    failing: tuple[str, ...] = ()
    passed: int = 0
    why: str = ""


@lru_cache(maxsize=4)
def reference(declared: tuple[tuple[str, str], ...], seed: int, cases: int) -> Inspection:
    """The reference in these forms: its cases, answers and tolerances are shared by all files that declare them."""
    known = load_catalogue()
    plain = Inspection(known, reference_executor(known.contracts), seed, cases, dict(declared))
    executor = reference_executor(known.contracts, plain.edits)
    return Inspection(known, executor, seed, cases, dict(declared))


def inspect_style(impl: str, declared: str = "", seed: int = 0, cases: int = 3) -> Inspection:
    """The inspection of one file. Raises UsageError where nothing in it is a component."""
    judged = inspect_implementation(impl, seed=seed, cases=cases, variants=declared)
    like = reference(tuple(judged.variants.items()), seed, cases) if judged.eps is None else None
    return Inspection(
        judged.catalogue,
        judged.implementation,
        seed,
        cases,
        judged.variants,
        judged.where,
        judged.notes,
        like=like,
        eps=judged.eps,
        expected=judged.expected,
        half_precision=judged.half_precision,
    )


def outcome(judged: Inspection, component: str) -> Outcome:
    """Every claim of one component, in one word."""
    executor = judged.implementation
    if isinstance(executor, Executor) and executor.to_do(component):
        return Outcome(TO_DO, why=executor.to_do(component))
    contract = judged.catalogue.contracts[component]
    claims = judged.catalogue.claims_of(component)
    verdicts = [judged.held(claim, judged.bench.judge(contract, claim, shrink=False)[0]) for claim in claims]
    failing = tuple(v.claim for v in verdicts if v.failing)
    passed = sum(v.status == Status.PASSED for v in verdicts)
    said = {v.status.value: v.message for v in reversed(verdicts)}
    if failing:
        first = next(v for v in verdicts if v.failing)
        return Outcome(FAILS, failing, passed, f"{first.claim} {first.status}: {first.message}")
    for status in (NOT_CHECKED, TO_DO):
        if status in said and not passed:
            return Outcome(status, (), passed, said[status])
    if not passed and set(said) == {NOT_APPLICABLE}:
        return Outcome(NOT_APPLICABLE, why=said[NOT_APPLICABLE])
    if BARELY in said or not passed:
        return Outcome(BARELY, (), passed, said.get(BARELY, "no claim passed"))
    return Outcome(PASSES, (), passed)


def outcomes(impl: str, declared: str = "", seed: int = 0, cases: int = 3) -> dict[str, Outcome]:
    """Every component that the file is said to have, with its outcome; nothing where it has none."""
    try:
        judged = inspect_style(impl, declared, seed, cases)
    except UsageError as error:
        return {"": Outcome(NOT_CHECKED, why=str(error))}
    return {name: outcome(judged, name) for name in judged.implementation.components}


@dataclass(frozen=True)
class Expected:
    """What is true of one file: see the head of tests/styles/expected.toml."""

    file: str
    declared: str = ""
    passes: tuple[str, ...] = ()
    fails: dict[str, list[str]] = field(default_factory=dict)
    unjudged: tuple[str, ...] = ()
    waits: dict[str, str] = field(default_factory=dict)
    needs: str = ""

    def known_forms(self) -> tuple[str, list[str]]:
        """The declarations that the machine knows, and those that it does not."""
        known, unknown = [], []
        for one in filter(None, self.declared.split(",")):
            try:
                in_one_line(one, load_catalogue().contracts)
            except UsageError:
                unknown.append(one)
            else:
                known.append(one)
        return ",".join(known), unknown

    def wrong(self, found: dict[str, Outcome], unknown: list[str]) -> dict[str, str]:
        """What the machine says that is not true, by component; unknown declarations under their own text."""
        wrong = dict.fromkeys(unknown, "no such form")
        for name in dict.fromkeys((*self.passes, *self.fails, *self.unjudged, *found)):
            one = found.get(name, Outcome(NOT_CHECKED, why=found[""].why if "" in found else "not found"))
            if name in self.passes:
                right = one.status == PASSES
            elif name in self.fails:
                right = one.status == FAILS and set(one.failing) == set(self.fails[name])
            elif name in self.unjudged:
                right = one.status in UNJUDGED
            else:
                right = one.status != FAILS
            if not right:
                wrong[name] = f"{one.status}: {', '.join(one.failing) or one.why}"
        return wrong


def read_toml(path: Path) -> dict[str, Any]:
    """What a file of tables holds."""
    with path.open("rb") as file:
        return tomllib.load(file)


def expected_of(path: Path, folder: Path | None = None) -> dict[str, Expected]:
    """The table of expectations, by the names of its entries; a file is ``NAME.py`` unless it says otherwise."""
    table: dict[str, dict[str, Any]] = read_toml(path)
    where = path.parent if folder is None else folder
    return {name: Expected(**{"file": str(where / f"{name}.py"), **_whole(row, where)}) for name, row in table.items()}


def _whole(row: dict[str, Any], where: Path) -> dict[str, Any]:
    named = {"file": str(where / row["file"])} if "file" in row else {"file": row["impl"]} if "impl" in row else {}
    return {**{key: value for key, value in row.items() if key != "impl"}, **named}
