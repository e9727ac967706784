"""Every known mistake is caught, and the diagnosis names it when it is the only one switched on."""

import os

import pytest

from harness.commands.matrix import try_bug
from harness.core.mistake import EditDoesNotFit, applied, fits
from harness.judging.inspection import Inspection, load_catalogue, reference_door

KNOWN = load_catalogue()
SEED = int(os.environ.get("PLUMBLINE_TEST_SEED", "1"))
RIGHT = Inspection(KNOWN, reference_door(KNOWN.contracts), seed=SEED)
BUGS = KNOWN.all_bugs()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.full_name)
def test_it_is_caught_and_named(bug) -> None:
    """A claim of its component is violated, and exactly this mistake explains it (or the record says why not)."""
    row = try_bug(KNOWN, bug, seed=SEED, every_claim=False, like=RIGHT)
    assert row["caught_by"], "no claim catches it"
    if not bug.unnamed_because:
        assert row["named"], f"named {row['finding']}"


def test_there_are_at_least_250() -> None:
    """The catalogue covers every component, with at least 250 mistakes in all."""
    assert len(BUGS) >= 250
    assert all(KNOWN.bugs.get(name) for name in KNOWN.contracts)


def test_at_least_95_percent_can_be_named() -> None:
    """Those that cannot be named give the reason, and they are few."""
    assert sum(not bug.unnamed_because for bug in BUGS) >= 0.95 * len(BUGS)


def test_every_mistake_is_a_sentence_to_a_person() -> None:
    """Names are unique, sentences end, and every edit fits the reference as it stands."""
    names = [bug.full_name for bug in BUGS]
    assert len(names) == len(set(names))
    assert all(bug.sentence.rstrip().endswith((".", "?", "!")) for bug in BUGS)
    assert all(fits(bug.edits) for bug in BUGS)
    wanted = {name if "." in name else f"{bug.component}.{name}" for bug in BUGS for name in bug.looks_like}
    assert wanted <= set(names) | {n for n in wanted if ".variant=" in n}


def test_the_reference_is_put_back_whatever_happens() -> None:
    """After an edit was in force, even when the code inside raised, the function is the one it was."""
    bug = BUGS[0]
    function = bug.edits[0].of
    before = function.__code__
    with pytest.raises(RuntimeError), applied(bug.edits):
        assert function.__code__ is not before
        raise RuntimeError
    assert function.__code__ is before


def test_an_edit_that_does_not_fit_is_refused() -> None:
    """The same line cannot be edited twice at once."""
    bug = BUGS[0]
    with pytest.raises(EditDoesNotFit), applied((*bug.edits, *bug.edits)):
        pass
