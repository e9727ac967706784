"""Text of any kind, from single letters to what breaks real programs, that shrinks to a few plain characters.

Texts are joined from snippets and single code points. A snippet is something a person can read in a report and say
what is special about it; a code point may be any that Unicode has a place for, unassigned and private ones too. Lone
surrogates are never among them: they are no text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st

from harness.strategies.corpora import JOINTS, RANGES, SEAMS, SNIPPETS


def kind(character: str, database: object = unicodedata) -> str:
    """letter, number, space or other: all that a rule written with Unicode's classes can tell apart."""
    category = database.category(character)  # type: ignore[attr-defined]
    if category[0] in "LN":
        return "letter" if category[0] == "L" else "number"
    return "space" if category[0] == "Z" or character in "\t\n\x0b\x0c\r\x85" else "other"


def is_settled(text: str) -> bool:
    """Whether every version of Unicode from 3.2 on says the same of these characters, as far as rules can see.

    Programs bring databases of their own, of different years: what one year calls unassigned is a letter in the next.
    Private code points are not settled either, nor are those on which programs or years differ: U+001C to U+001F and
    U+180E, white space to some.
    """
    return all(
        unicodedata.category(c) not in ("Cn", "Co", "Cs")
        and c not in "\x1c\x1d\x1e\x1f\u180e"
        and kind(c) == kind(c, unicodedata.ucd_3_2_0)
        for c in text
    )


def _code_points(settled: bool) -> st.SearchStrategy[str]:
    one = st.one_of([st.integers(first, last) for first, last in RANGES]).map(chr)
    return one.filter(is_settled) if settled else one


@cache
def snippets(settled: bool = False) -> st.SearchStrategy[str]:
    """One snippet, or one code point. ``settled``: only such as :func:`is_settled` vouches for."""
    pools = [_vouched(pool, settled) for pool in SNIPPETS.values()]
    return st.one_of(*(st.sampled_from(pool) for pool in pools if pool), _code_points(settled))


@cache
def _vouched(pool: tuple[str, ...], settled: bool) -> tuple[str, ...]:
    return tuple(snippet for snippet in pool if not settled or is_settled(snippet))


def texts(*, settled: bool = False, least: int = 0, most: int = 7, among: Sequence[str] = ()) -> st.SearchStrategy[str]:
    """A text of up to ``most`` snippets, or of ``least`` at the least. ``among``: further snippets of one's own."""
    one = snippets(settled)
    if among:
        one = st.one_of(one, one, st.sampled_from(list(among)))
    return st.lists(one, min_size=least, max_size=most).map("".join)


@st.composite
def charts(draw: st.DrawFn, *, settled: bool = False) -> str:
    """Most snippets of one kind, side by side: rules of a kind are all met in one text."""
    pools = [pool for pool in (_vouched(pool, settled) for pool in SNIPPETS.values()) if pool]
    pool = draw(st.sampled_from(pools))
    between = draw(st.sampled_from(("", " ", "a")))
    return between.join(snippet for snippet in pool if draw(st.integers(0, 3)))


@st.composite
def joints(draw: st.DrawFn, *, most: int = 14) -> str:
    """A short text in which another kind of character begins at nearly every step."""
    count = draw(st.integers(1, most))
    one = st.one_of(st.sampled_from(JOINTS), st.sampled_from(SEAMS))
    return "".join(draw(st.lists(one, min_size=count, max_size=count)))


@st.composite
def medleys(draw: st.DrawFn, *, settled: bool = False) -> str:
    """A snippet of most kinds, in order of the kinds or against it."""
    pools = [pool for pool in (_vouched(pool, settled) for pool in SNIPPETS.values()) if pool]
    chosen = [draw(st.sampled_from(pool)) for pool in pools if draw(st.integers(0, 3))]
    return "".join(chosen[:: draw(st.sampled_from((1, -1)))])


def words(alphabet: str = "abc", least: int = 1, most: int = 9) -> st.SearchStrategy[str]:
    """One word over a few letters: short ones with many repeats, where the order of decisions shows."""
    return st.text(alphabet=st.sampled_from(list(alphabet)), min_size=least, max_size=most)


def shown(text: str, limit: int = 60) -> str:
    """The text as a Python literal, cut in the middle where it is long."""
    literal = repr(text)
    return literal if len(literal) <= limit else f"{literal[: limit - 12]} ... {literal[-8:]}"


def where_texts_part(actual: str, expected: str) -> str:
    """``they part at character 2: U+0301 (COMBINING ACUTE ACCENT), expected U+00E9 (...)``."""
    differ = (i for i, (a, b) in enumerate(zip(actual, expected, strict=False)) if a != b)
    at = next(differ, min(len(actual), len(expected)))
    return f"they part at character {at}: {_named(actual[at : at + 1])}, expected {_named(expected[at : at + 1])}"


def _named(character: str) -> str:
    if not character:
        return "the end"
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
