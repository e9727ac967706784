"""Every known mistake is caught, and the diagnosis names it when it is the only one switched on.

`plumbline matrix` tries them all; here one of each component, and all with PLUMBLINE_FULL=1.
"""

import os

import pytest
from support_lanes import sample

from harness.commands.matrix import forms_under, right, try_mistake
from harness.core.mistake import EditDoesNotFit, applied, fits
from harness.judging.catalogue import load_catalogue
from harness.project.forms import edits_of_forms

KNOWN = load_catalogue()
SEED = int(os.environ.get("PLUMBLINE_TEST_SEED", "1"))
MISTAKES = KNOWN.all_mistakes()


@pytest.mark.parametrize(
    "mistake",
    sample(MISTAKES, lambda mistake: mistake.full_name, lambda mistake: mistake.component, 1),
    ids=lambda mistake: mistake.full_name,
)
def test_it_is_caught_and_named(mistake) -> None:
    """A claim of its component is violated, and exactly this mistake explains it (or the record says why not)."""
    row = try_mistake(KNOWN, mistake, seed=SEED, every_claim=False, like=right(SEED, None, mistake))
    assert row["caught_by"], "no claim catches it"
    if not mistake.unnamed_because:
        assert row["named"], f"named {row['finding']}"


def test_there_are_at_least_250() -> None:
    """The catalogue covers every component, with at least 250 mistakes in all."""
    assert len(MISTAKES) >= 250
    assert all(KNOWN.mistakes.get(name) for name in KNOWN.contracts)


def test_at_least_95_percent_can_be_named() -> None:
    """Those that cannot be named give the reason, and they are few."""
    assert sum(not mistake.unnamed_because for mistake in MISTAKES) >= 0.95 * len(MISTAKES)


def test_every_mistake_is_a_sentence_to_a_person() -> None:
    """Names are unique, sentences end, and every edit fits the reference as it stands."""
    names = [mistake.full_name for mistake in MISTAKES]
    assert len(names) == len(set(names))
    assert all(mistake.sentence.rstrip().endswith((".", "?", "!")) for mistake in MISTAKES)
    for mistake in MISTAKES:
        forms = edits_of_forms(forms_under(KNOWN, mistake.under), KNOWN.contracts)
        assert fits((*forms, *mistake.edits)), mistake.full_name
    wanted = {
        name if "." in name else f"{mistake.component}.{name}" for mistake in MISTAKES for name in mistake.looks_like
    }
    assert wanted <= set(names) | {n for n in wanted if ".variant=" in n}


def test_the_reference_is_put_back_whatever_happens() -> None:
    """After an edit was in force, even when the code inside raised, the function is the one it was."""
    mistake = MISTAKES[0]
    function = mistake.edits[0].of
    before = function.__code__
    with pytest.raises(RuntimeError), applied(mistake.edits):
        assert function.__code__ is not before
        raise RuntimeError
    assert function.__code__ is before


def test_an_edit_that_does_not_fit_is_refused() -> None:
    """The same line cannot be edited twice at once."""
    mistake = MISTAKES[0]
    with pytest.raises(EditDoesNotFit), applied((*mistake.edits, *mistake.edits)):
        pass
