"""A small choice of cases shows all that the pool shows, often enough; nothing idle is kept."""

from harness.judging.set_cover import cover


def test_everything_is_shown_as_often_as_it_must_be() -> None:
    shows = [{"a", "b"}, {"a"}, {"b", "c"}, {"c", "a"}, {"d"}]
    needs = dict.fromkeys("abcd", 2)
    chosen = cover(shows, [1.0] * 5, needs)
    times = {thing: sum(thing in shows[index] for index in chosen) for thing in needs}
    assert all(times[thing] >= 2 for thing in "abc") and times["d"] == 1, "d is in one case of the pool alone"
    assert len(chosen) == len(set(chosen)) < 5 or 1 not in chosen


def test_cheap_cases_are_preferred() -> None:
    assert cover([{"a"}, {"a"}, {"a"}], [5.0, 1.0, 3.0], {"a": 1}) == [1]


def test_what_later_choices_made_idle_is_left_out() -> None:
    """The greedy choice begins with the middle, which the two others show as well."""
    shows = [{1, 2, 3, 4}, {1, 2, 5, 6}, {3, 4, 7, 8}]
    assert cover(shows, [0.5, 1.0, 1.0], dict.fromkeys(range(1, 9), 1)) == [1, 2]


def test_what_must_be_chosen_is() -> None:
    assert cover([{"a"}, {"a", "b"}, set()], [1.0] * 3, {"a": 1, "b": 1}, first=[2]) == [2, 1]


def test_nothing_is_chosen_where_nothing_is_shown() -> None:
    assert cover([set(), set()], [1.0, 1.0], {"a": 2}) == []
    assert cover([], [], {}) == []
