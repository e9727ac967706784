"""Drawing stops with the last case that is asked for; fewer cases are the first of more."""

from hypothesis import strategies as st

from harness.core.case import Case
from harness.strategies.sampling import draw

made: list[int] = []


@st.composite
def cases(draw_one):
    made.append(1)
    return Case.of({"a": draw_one(st.integers(0, 10**6)), "b": draw_one(st.sampled_from("xyz"))})


def test_fewer_cases_are_the_first_of_more() -> None:
    many = [case.key for case in draw(cases(), 7, 24)]
    assert len(set(many)) == 24
    for count in (1, 4, 10, 13):
        assert [case.key for case in draw(cases(), 7, count)] == many[:count]


def test_nothing_is_drawn_beyond_them() -> None:
    made.clear()
    assert len(list(draw(cases(), 7, 4))) == 4
    assert len(made) < 8
