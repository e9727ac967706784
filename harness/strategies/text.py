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

SNIPPETS: dict[str, tuple[str, ...]] = {
    "letters": (
        "a",
        "b",
        "ab",
        "the",
        "Hello",
        "lower",
        "I",
        "WORDS",
        "x",
    ),
    "spaces": (
        " ",
        "  ",
        "   ",
        "\n",
        "\t",
        "\r\n",
        "\r",
        "\n\n",
        " \n ",
        "\t ",
        "\xa0",
        "\u3000",
        "\u2003",
        "\x0b",
        "\x0c",
        "\x85",
        "\u2028",
    ),
    "contractions": (
        "'s",
        "I'm",
        " we'll",
        "they've",
        "you're",
        "he'd",
        "don't",
        "'S",
        "I'M",
        "DON'T",
        "'Ll",
        "\u2019s",
        "''",
        "'",
        " 's",
    ),
    "numbers": (
        "0",
        "7",
        "12",
        "1234567",
        " 42",
        "3.14",
        "1,000",
        "a1b2",
        "\xbd",
        "\xb2",
        "\u2167",
        "\u0661\u0662\u0663",
        "\u4e09",
    ),
    "punctuation": (
        ".",
        ",",
        "!?",
        "...",
        "--",
        "(a)",
        "_",
        "a_b",
        " $",
        "#",
        ":;",
        '"',
        "\\n",
        "/",
        "<|",
        "|>",
        "[",
        "%",
        " .",
        " ,",
        " n't",
    ),
    "accents": (
        "\xe9",
        "e\u0301",
        "\xc5",
        "A\u030a",
        "\u212b",
        "\ufb01",
        "\u2126",
        "\u1e9b\u0323",
        "n\u0303",
        "\u0130",
        "\xdf",
        "\ud55c",
        "\u1112\u1161\u11ab",
        "\uff21",
    ),
    "scripts": (
        "\u65e5\u672c\u8a9e",
        "\u4f60\u597d\uff0c\u4e16\u754c",
        "\u3053\u3093",
        "\u043c\u0438\u0440",
        " \u041c\u0438\u0440",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u0645\u0631\u062d\u0628\u0627",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "\u0e44\u0e17\u0e22",
        "\u03b1\u03b2",
        "\U00010348",
        "\U0001d4b3",
    ),
    "emoji": (
        "\U0001f642",
        "\U0001f44d\U0001f3fd",
        "\u2764\ufe0f",
        "\U0001f1eb\U0001f1f7",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ),
    "invisible": (
        "\u200d",
        "\ufe0f",
        "\u200b",
        "\xad",
        "\ufeff",
        "\u202e",
        "\u2060",
        "\u061c",
    ),
    "control": (
        "\x00",
        "\x01",
        "\x07",
        "\x1b",
        "\x7f",
        "\x80",
        "\x1c",
        "\x1f",
    ),
    "markers": (
        "\u0120",
        "\u010a",
        "\u2581",
        "##",
        "</w>",
        "[UNK]",
        "<unk>",
        "<|endoftext|>",
        "\ufffd",
    ),
    "odd code points": (
        "\ue000",
        "\uf8ff",
        "\U000f0000",
        "\u0378",
        "\uffff",
        "\ufffe",
        "\ufdd0",
        "\U0010ffff",
        "\U000e0001",
    ),
}
"""What is special about a snippet -> snippets, simple ones first."""

JOINTS = (
    "a",
    "B",
    " ",
    "1",
    "!",
    "'s",
    "\n",
    "  ",
    "_",
    "'",
    "2",
    "\xe9",
    "\u65e5",
    "\xbd",
    "e\u0301",
    "\t",
    "\xa0",
    "'S",
    "-",
    "\u0928\u093f",
    "\u0663",
    ".",
)
"""One or two characters of every kind: texts made of them have a place where kinds meet at every step."""

SEAMS = (
    " a",
    " 1",
    " !",
    "\na",
    "\t1",
    "\xa0b",
    "  a",
    "   1",
    "\r\nB",
    "a1",
    "1a",
    "a_",
    "1234567",
    "1\xbd",
    "\xb23",
    "'re",
    "I'S",
    "a'LL",
    "''s",
    "!'s",
    "a1A",
    "\u65e51",
    "e\u0301a",
    "!\n",
    "\u2019s",
    "a\xa0",
    " '",
    "1.5",
    "\xbda",
)
"""Places where rules about kinds differ most often: who owns the space, where a number ends, what a contraction is."""

PROSE = (
    "The first line is short.\nThe second isn't; it's a little longer, and it ends here.",
    "In 1969 about 600,000,000 people watched; today they'd stream it in 4K at 59.94 fps.",
    "def mean(values):\n    total = 0.0\n    for v in values:\n        total += v\n    return total / len(values) "
    " # 0/0?\n",
    "Das Stra\xdfenschild f\xfcr \xdcberg\xf6\xdfe h\xe4ngt schr\xe4g \u2013 \u201eso ein Unfug\u201c, sagt sie.",
    "L\u2019\xe9t\xe9 dernier, \xe0 l'\xeele d'Ol\xe9ron, o\xf9 l\u2019on p\xeachait\u2026 \xab Voil\xe0 ! \xbb",
    "\u041d\u0435\u0431\u043e \u0431\u044b\u043b\u043e \u044f\u0441\u043d\u044b\u043c, \u0430 \u0432\u0435\u0442"
    "\u0435\u0440 \u2014 \u0442\u0451\u043f\u043b\u044b\u043c.",
    "\u732b\u304c\u5e2d\u306b\u5ea7\u3063\u3066\u3044\u307e\u3059\u3002\u4eca\u65e5\u306f\u3044\u3044\u5929\u6c17"
    "\u3067\u3059\u306d\uff01",
    "| name  | price |\n|-------|------:|\n| tea   | $3.50 |\n\n\n    indented,   with   gaps   and a trailing space ",
    '<html><body class="x">&nbsp;&amp; <!-- a comment --></body></html>',
    "HELLO!!! WE'RE OPEN -- DON'T MISS IT (until 9 p.m.)... http://example.org/a_b?c=1&d=%20",
)
"""Ordinary text in some languages and forms."""

RANGES: tuple[tuple[int, int], ...] = (
    (0x61, 0x7A),
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0x80, 0xFF),
    (0x100, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xDFF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x2BFF),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xF8FF),
    (0xF900, 0xFFFF),
    (0x10000, 0x1FFFF),
    (0x20000, 0x2FFFF),
    (0xE0000, 0xE01FF),
    (0x100000, 0x10FFFF),
)
"""Code points, in ranges drawn equally often; together with the snippets they reach every plane in use."""


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
