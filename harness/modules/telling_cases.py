"""Cases of a contract on which the parameters of a module are told apart best."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import HypothesisSideeffectWarning

from harness.core.case import Case
from harness.core.contract import Contract
from harness.core.tree import leaves
from harness.core.values import Settings
from harness.modules.expected_parameters import sizes, slots

GENERATED, BATCH = 30, 6
"""Cases that are generated, and how many from one seed: each batch starts with simple ones."""

_TELLING: dict[int, tuple[Contract, list[Case]]] = {}


def telling_cases(contract: Contract) -> list[Case]:
    """Some cases, first those whose sizes tell the parameters apart: all there, none of size 1, few of them equal.

    Generated once per contract: every adapter of it asks.
    """
    if id(contract) not in _TELLING:
        _TELLING[id(contract)] = contract, _telling_cases(contract)
    return _TELLING[id(contract)][1]


def _telling_cases(contract: Contract) -> list[Case]:
    generated = [case for seed in range(GENERATED // BATCH) for case in _generated(contract, seed)]
    return sorted(generated, key=lambda case: _unclarity(contract, case))


def _generated(contract: Contract, seed: int) -> list[Case]:
    found: list[Case] = []

    @hypothesis_seed(seed)
    @settings(
        max_examples=BATCH,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @given(contract.cases())
    def collect(case: Case) -> None:
        found.append(case)

    with warnings.catch_warnings():  # a report may ask what is offered before Hypothesis expects to be used
        warnings.simplefilter("ignore", HypothesisSideeffectWarning)
        collect()
    return found


def _unclarity(contract: Contract, case: Case) -> tuple[int, int, int, int]:
    """Sizes of 1; sizes that equal each other or the quotient of two (a head size); arguments left out; all sizes."""
    shapes = [slot.shape for slot in slots(contract, case.arguments) if slot.part is None]
    config = _whole_numbers(case.arguments)
    values = list({**sizes(contract, case.arguments), **config}.values())
    quotients = [a // b for a in values for b in values if b and a > b and a % b == 0]
    ones = sum(size == 1 for shape in shapes for size in shape) + sum(v == 1 for v in config.values())
    lists = sum(len(v) < 2 for v in _lists(case.arguments))
    same = len(values) - len(set(values)) + sum(q == 1 or q in values for q in quotients)
    absent = sum(leaf is None for _, leaf in leaves(dict(case.arguments)))
    return (ones + lists, same, absent, sum(values))


def _whole_numbers(arguments: Mapping[str, Any]) -> dict[str, int]:
    """The whole numbers among the settings, those of a record of sizes one by one."""
    flat: dict[str, Any] = {}
    for name, value in arguments.items():
        flat.update(value.as_dict() if isinstance(value, Settings) else {name: value})
    return {name: value for name, value in flat.items() if type(value) is int}


def _lists(value: object) -> Iterator[list[Any]]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _lists(inner)
    elif isinstance(value, list):
        yield value
