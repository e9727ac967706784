"""The sample that the usual run of our tests takes: every group takes part, and the full run takes all."""

import support_lanes
from support_lanes import sample

ITEMS = [(group, number) for group in "abc" for number in range(10)]


def taken(items=ITEMS, most=2):
    return sample(items, lambda item: f"{item[0]}{item[1]}", lambda item: item[0], most)


def test_every_group_takes_part_in_order(monkeypatch) -> None:
    """Two of each group, in the order in which they were given, the same ones every time."""
    monkeypatch.setattr(support_lanes, "FULL", False)
    found = taken()
    assert [group for group, _ in found] == ["a", "a", "b", "b", "c", "c"]
    assert found == sorted(found) and found == taken(list(ITEMS))
    assert taken([("d", 0), *ITEMS])[1:] == found, "a new group changes nothing for the others"


def test_the_full_run_takes_all(monkeypatch) -> None:
    """PLUMBLINE_FULL=1."""
    monkeypatch.setattr(support_lanes, "FULL", True)
    assert taken() == ITEMS
