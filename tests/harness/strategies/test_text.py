"""Texts of every kind, and vocabularies grown from them."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.strategies.corpora import JOINTS, PROSE, SEAMS, SNIPPETS
from harness.strategies.scripts import ORDERS, byte_order, byte_vocabularies, cuts, grown, merged, numbered_names
from harness.strategies.text import (
    charts,
    is_settled,
    joints,
    kind,
    medleys,
    shown,
    texts,
    where_texts_part,
    words,
)

ANY = st.one_of(texts(), charts(), medleys(), joints(), words())
PIECES = st.lists(words("ab", most=12).map(str.encode), min_size=1, max_size=4)


@given(ANY)
@settings(deadline=None, max_examples=200)
def test_every_text_has_a_utf_8_form(text) -> None:
    """No lone surrogate is ever drawn."""
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.one_of(texts(settled=True), charts(settled=True), medleys(settled=True)))
@settings(deadline=None, max_examples=200)
def test_settled_texts_are_settled(text) -> None:
    """Every character of them is of the same kind in the oldest database at hand."""
    assert is_settled(text)
    assert all(kind(c) == kind(c, unicodedata.ucd_3_2_0) for c in text)


def test_what_is_settled() -> None:
    """Letters, old emoji of no special kind and marks are; unassigned, private and reclassified code points are not."""
    assert is_settled("a1 \u65e5\u0301\n\U0001f642")
    assert not any(map(is_settled, ("\u0378", "\ue000", "\u200b", "\u180e", "\x1c")))
    assert all(is_settled(snippet) for snippet in (*JOINTS, *SEAMS)) and any(map(is_settled, PROSE))


def test_every_kind_of_trouble_is_there() -> None:
    """Normal forms that differ, line ends, joiners, controls, private and unassigned code points."""
    joined = "".join(snippet for pool in SNIPPETS.values() for snippet in pool)
    assert all(unicodedata.normalize(form, joined) != joined for form in ("NFC", "NFD", "NFKC", "NFKD"))
    assert all(mark in joined for mark in ("\r\n", "\t", "\x00", "\u200d", "\ufeff", "\ue000", "\u0378", "I'M", "   "))


@given(PIECES, st.lists(st.integers(0, 60), max_size=24), words("ab", most=14).map(str.encode))
@settings(deadline=None, max_examples=300)
def test_every_token_of_a_grown_vocabulary_is_reached_by_merging(pieces, picks, word) -> None:
    """Each token is the join of two older ones; merging its bytes gives it back, and merging loses nothing."""
    ranks = grown(pieces, picks, byte_order("by value"))
    assert sorted(ranks.values()) == list(range(len(ranks)))
    for token, rank in ranks.items():
        assert merged(token, ranks) == [token]
        older = {other for other, number in ranks.items() if number < rank}
        assert len(token) == 1 or any(token[:at] in older and token[at:] in older for at in range(1, len(token)))
    assert b"".join(merged(word, ranks)) == word


@pytest.mark.parametrize("order", ORDERS)
def test_byte_orders_hold_every_byte_once(order) -> None:
    """256 of them; printable first is GPT-2's order."""
    assert sorted(byte_order(order, 3)) == list(range(256))
    assert byte_order("printable first")[:2] == [ord("!"), ord('"')]
    assert byte_order("printable first")[188:190] == [0, 1]


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_vocabularies_and_names_are_numbered_apart(data) -> None:
    """Names get ids above the tokens, each one its own."""
    ranks, _ = data.draw(byte_vocabularies([b"abab", b"abc"]))
    names = data.draw(numbered_names(("<x>", "<y>"), len(ranks)))
    numbers = [*ranks.values(), *names.values()]
    assert len(set(numbers)) == len(numbers)


def test_cuts_and_words_for_people() -> None:
    """Both ends are cut too; a difference is told by code point and name; long texts are cut in the middle."""
    assert cuts([1, 2]) == [([], [1, 2]), ([1], [2]), ([1, 2], [])]
    told = where_texts_part("a\xe9", "ae\u0301")
    assert told.startswith("they part at character 1: U+00E9 (LATIN SMALL LETTER E WITH ACUTE), expected U+0065")
    assert where_texts_part("a", "ab") == "they part at character 1: the end, expected U+0062 (LATIN SMALL LETTER B)"
    assert len(shown("x" * 500)) <= 70 and shown("a\nb") == r"'a\nb'"
