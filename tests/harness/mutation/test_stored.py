"""What is stored of single mutants: read strictly, and never of a mutant that does not exist."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.judging.catalogue import load_catalogue
from harness.mutation.stored import Kind, gone, read, stored_components, stored_of
from harness.mutation.trials import population

KNOWN = load_catalogue()
ENTRY = '[[{}]]\nof = "a.b"\nbefore = "x"\nafter = "y"\nreason = "{}"\n'
REASON = "It gives the same numbers for every call."


@pytest.mark.parametrize("component", stored_components())
def test_every_entry_is_of_a_mutant_that_exists(component: str) -> None:
    """Where a line of the reference changes, what is said of its mutants is looked at again."""
    assert component in KNOWN.contracts
    stored = stored_of(component)
    assert stored and gone(stored, population(KNOWN, component)) == []


def test_an_entry_is_read() -> None:
    """With its kind; the first of several that read alike where no number is given."""
    (one,) = read(ENTRY.format("open", REASON), "a.toml")
    assert one.key == ("a.b", "x", "y", 1) and one.kind is Kind.OPEN and one.reason == REASON


@pytest.mark.parametrize(
    "text",
    (
        "[[",
        ENTRY.format("other", REASON),
        ENTRY.format("open", "No idea."),
        ENTRY.format("open", "it is the same for every call"),
        ENTRY.format("open", REASON) + ENTRY.format("equivalent", REASON),
        ENTRY.format("open", REASON).replace("after", "later"),
    ),
)
def test_what_is_stored_wrongly_is_refused(text: str) -> None:
    """With the name of the file."""
    with pytest.raises(UsageError, match=r"a\.toml"):
        read(text, "a.toml")
