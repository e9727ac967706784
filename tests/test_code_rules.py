"""The rules for the code, held by counting: sizes of files and functions, docstrings, the formatter, decisions on text.

ruff and mypy hold the rest (`tox -e lint`, `mypy`): 120 columns, complexity, types. Each exception has its reason here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import source_counts

ROOT = Path(__file__).resolve().parents[1]
LONG_FILES: dict[str, str] = {}
"""Files that may have more than 300 lines, and why."""
PAPER = "one function, to be read beside the paper; half of it is the docstring with shapes and sources"
LONG_FUNCTIONS = {
    "reference_model/attention.py: attention": PAPER,
    "reference_model/grouped_query_attention.py: grouped_query_attention": PAPER,
    "reference_model/sliding_window_attention.py: sliding_window_attention": PAPER,
    "reference_model/trainer.py: trainer": PAPER,
}
"""Functions that may have more than 40 lines, and why."""


@pytest.fixture(scope="module")
def counts() -> source_counts.Counts:
    folders = ("harness", "specs", "reference_model")
    return sum((source_counts.count_folder(ROOT, folder) for folder in folders), source_counts.Counts())


def test_files_are_short(counts: source_counts.Counts) -> None:
    """At most 300 lines; an exception that is short again is taken off the list."""
    assert {place.partition(":")[0] for place in counts.long_files} == set(LONG_FILES)


def test_functions_are_short(counts: source_counts.Counts) -> None:
    """At most 40 lines, docstring included."""
    found = set()
    for place in counts.long_functions:
        file, _, rest = place.partition(":")
        found.add(f"{file}: {rest.partition(': ')[2].partition(',')[0]}")
    assert found == set(LONG_FUNCTIONS)


def test_public_objects_are_documented(counts: source_counts.Counts) -> None:
    """Every public module, class, function and method of core, numerics, execution and modules has a docstring."""
    assert counts.public_objects > 300
    assert counts.without_docstring == []


def test_nothing_is_kept_from_the_formatter(counts: source_counts.Counts) -> None:
    """No `fmt: skip`; three folders are excluded in pyproject.toml, each with its reason."""
    assert counts.format_skips == 0


def test_lines_fit(counts: source_counts.Counts) -> None:
    """120 columns, strings and comments too. The tables of known mistakes may be wider: one record beside the other."""
    assert counts.long_lines == 0
