"""Edits of functions: one line changes, composites follow, everything is put back."""

import threading
import time

import pytest

from harness.core.mistake import Edit, EditDoesNotFit, KnownMistake, applied, fits


def part(x, times=2):
    doubled = x * times  # the right line
    return doubled


def whole(x):
    return part(x) + 1


def other_part(x, times=2):
    return -x


def documented(x):
    """Says
    nothing."""
    return x  # as it is


def test_an_edit_reaches_every_composite() -> None:
    """The function object stays, its code changes: callers see it; afterwards all is as before."""
    edit = Edit(part, "doubled = x*times", "doubled = x * (times + 1)")
    with applied((edit,)):
        assert part(5) == 15 and whole(5) == 16
    assert part(5) == 10 and whole(5) == 11


def test_defaults_and_state_are_put_back() -> None:
    """A changed default counts while in force, and attributes written meanwhile are gone."""
    with applied((Edit(part, "def part(x, times=2):", "def part(x, times=7):"),)):
        assert part(1) == 7
        part.seen = True
    assert part(1) == 2 and not hasattr(part, "seen")


def test_a_whole_function_can_stand_in() -> None:
    """instead= replaces the body; the diff shows both functions."""
    mistake = KnownMistake("negative", "You negate it.", part, instead=other_part)
    with applied(mistake.edits):
        assert whole(5) == -4
    assert "-        return -x" in mistake.diff() and "+        return " in mistake.diff()


def test_the_diff_goes_from_the_mistake_to_the_expected_code() -> None:
    """As a person applies it: minus is to go, plus is to come; docstrings of the reference are left out."""
    edit = Edit(part, "doubled = x * times", "doubled = x + times\nprint(doubled)")
    assert edit.diff().splitlines() == ["-    doubled = x + times", "-    print(doubled)", "+    doubled = x * times"]
    assert '"""' not in Edit(documented, instead=other_part).diff()
    assert "+        return x  # as it is" in Edit(documented, instead=other_part).diff()


def test_what_does_not_fit_is_refused() -> None:
    """A line that is not there, or that another edit took, is an error and leaves the function alone."""
    one = Edit(part, "doubled = x * times", "doubled = x")
    assert fits((one,)) and not fits((one, one))
    with pytest.raises(EditDoesNotFit, match="stands 0 times"), applied((Edit(part, "tripled = x", "y"),)):
        pass
    assert part(5) == 10


def test_two_threads_do_not_mix_their_edits() -> None:
    """The functions belong to the process: one thread's edits are in force at a time, and all are put back."""
    edits = [Edit(part, "doubled = x * times", f"doubled = x + {n}") for n in (1, 2)]
    wrong: list[int] = []

    def work(edit: Edit, expected: int) -> None:
        for _ in range(200):
            with applied((edit,)), applied((Edit(whole, "return part(x) + 1", "return part(x) + 2"),)):
                time.sleep(0)  # let the other one run
                if whole(5) != expected:
                    wrong.append(whole(5))

    threads = [threading.Thread(target=work, args=(edit, 5 + n + 2)) for n, edit in enumerate(edits, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and whole(5) == 11


@pytest.mark.parametrize(
    ("right", "wrong"), [("doubled = x * times", "x = 3 * x\ndoubled = x * times"), ("return x", "return x\nx = 3 * x")]
)
def test_a_relation_s_diff_shows_what_it_adds_alone(right: str, wrong: str) -> None:
    """The line that it stands beside is no part of it; a known mistake shows both as they are written."""
    relation = KnownMistake("scaled", "3 times x is used in the place of x.", part, right, wrong, is_relation=True)
    assert relation.diff() == "-    x = 3 * x"
    assert KnownMistake("scaled", "", part, right, wrong).diff().count("\n") == 2
