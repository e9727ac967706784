"""Cases of the unigram tokenizer, and what its segmentations must be."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.strategies.corpora import PROSE
from harness.strategies.text import is_settled, shown, texts, words
from reference_model.unigram import MARK, unigram

UNK = "<unk>"
STEP = 0.125
"""Scores are multiples of it, so that sums of them are exact in float32 too."""
FOREIGN = ("\u0416", "\u03a9", "\u8a9e", "\U0001f642", "\xdf")
"""Characters of two, three and four bytes that no vocabulary here has, unless the text of a case brings them."""


def marked(text: str, trial: Trial | None = None) -> str:
    """The text as it is split: spaces as marks, and one before it."""
    if trial is not None and trial.has_form("extra_spaces_removed"):
        text = " ".join(filter(None, text.split(" ")))
    before = "" if trial is not None and trial.has_form("no_mark_before") else MARK
    return before + text.replace(" ", MARK) if text else ""


def substrings(text: str) -> list[str]:
    """Up to six characters long; a mark is their first character or none, as trainers ensure."""
    row = marked(text)
    found = (row[a:b] for a in range(len(row)) for b in range(a + 2, min(len(row), a + 6) + 1))
    return [piece for piece in dict.fromkeys(found) if MARK not in piece[1:]]


@st.composite
def vocabularies(draw: st.DrawFn, *samples: str) -> dict[str, float]:
    """Every character of the samples, and some of their substrings; a longer piece is not always more probable."""
    characters = sorted({c for sample in samples for c in marked(sample)} | {MARK})
    several = [piece for sample in samples for piece in substrings(sample)]
    least = min(8, len(set(several)))
    chosen = draw(st.lists(st.sampled_from(several), min_size=least, max_size=24, unique=True)) if several else []
    pieces = draw(st.permutations([*characters, *chosen]))
    scores = draw(st.lists(st.integers(4, 80), min_size=len(pieces), max_size=len(pieces)))
    return {piece: -STEP * score for piece, score in zip(pieces, scores, strict=True)}


def build(pieces: Mapping[str, float], byte_fallback: bool = False) -> Call:
    return Call("build", {"pieces": dict(pieces), "unk": UNK, "byte_fallback": byte_fallback})


def encode(text: str) -> Call:
    return Call("encode", {"text": text})


def decode(pieces: Sequence[str]) -> Call:
    return Call("decode", {"pieces": list(pieces)})


def is_plain(text: str) -> bool:
    """Whether no normalisation changes it: no form of Unicode does, and words are one space apart."""
    forms = all(unicodedata.normalize(form, text) == text for form in ("NFC", "NFKC"))
    return forms and text == " ".join(text.split()) and is_settled(text) and text.isprintable() and MARK not in text


def plain_texts() -> st.SearchStrategy[str]:
    some = st.lists(words("abc", least=1, most=9), min_size=1, max_size=5).map(" ".join)
    beginnings = st.builds(lambda text, most: " ".join(text[:most].split()), st.sampled_from(PROSE), st.integers(1, 30))
    return st.one_of(some, some, beginnings, texts(settled=True, least=1, most=4)).filter(
        lambda text: bool(text) and is_plain(text)
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A text and back, with a vocabulary of its own characters and some of its substrings, and of another text's."""
    text = draw(plain_texts())
    pieces = draw(vocabularies(text, draw(words("abc ", most=6))))
    return Case((build(pieces), encode(text), decode(unigram(pieces).encode(text))), {}, f"{len(pieces)} pieces")


@st.composite
def short_words(draw: st.DrawFn) -> Case:
    """A word over few letters, so short that every way to split it can be tried."""
    letters = draw(st.sampled_from(("ab", "abc", "a\xe9")))
    word = draw(words(letters, least=1, most=9))
    return Case((build(draw(vocabularies(word, draw(words(letters, most=6))))), encode(word)), {}, "a short word")


@st.composite
def any_spaces(draw: st.DrawFn) -> Case:
    """Spaces before, after and in runs."""
    one = st.sampled_from(("a", " ", "b", "  ", "ab", "ba", "   "))
    before, after = (draw(st.sampled_from((" ", "  ", ""))) for _ in range(2))
    text = before + "".join(draw(st.lists(one, min_size=1, max_size=5))) + after
    return Case((build(draw(vocabularies(text, "ab a"))), encode(text)), {}, "spaces anywhere")


@st.composite
def unknown_characters(draw: st.DrawFn) -> Case:
    """Characters that no piece has, alone and side by side, between words that are known."""
    parts = draw(st.lists(words("ab", least=1, most=4), min_size=1, max_size=3))
    foreign = st.lists(st.sampled_from(FOREIGN), min_size=1, max_size=2).map("".join)
    text = (
        "".join(part + draw(st.sampled_from(("", " "))) + draw(foreign) for part in parts)
        + draw(words("ab ", most=3)).strip()
    )
    return Case((build(draw(vocabularies(*parts, "ab ab"))), encode(text)), {}, "unknown characters")


@st.composite
def with_bytes(draw: st.DrawFn) -> Case:
    case = draw(unknown_characters())
    pieces = case.calls[0].arguments["pieces"]
    return Case((build(pieces, byte_fallback=True), case.calls[1]), {}, "unknown characters, as bytes")


@st.composite
def any_pieces(draw: st.DrawFn) -> Case:
    """Pieces in any order."""
    pieces = draw(vocabularies("ab ba abba", draw(words("abc ", most=5))))
    return Case(
        (build(pieces), decode(draw(st.lists(st.sampled_from(sorted(pieces)), max_size=6)))), {}, "pieces in any order"
    )


def pieces_of(trial: Trial) -> dict[str, float]:
    pieces: dict[str, float] = trial.case.calls[0].arguments["pieces"]
    return pieces


def text_of(trial: Trial) -> str:
    text: str = trial.case.calls[1].arguments["text"]
    return text


def script(trial: Trial, *calls: Call) -> Case:
    return Case((trial.case.calls[0], *calls), trial.case.dimensions, trial.case.family)


def encoded(trial: Trial, text: str | None = None) -> list[str]:
    """The pieces of the text; raises a Violation where the output is no list of pieces."""
    found = trial.run(script(trial, encode(text_of(trial) if text is None else text))).value
    if not isinstance(found, (list, tuple)) or any(type(piece) is not str for piece in found):
        raise Violation(f"encode returns {found!r}; it must return a list of str")
    return list(found)


def score(found: Sequence[str], pieces: Mapping[str, float]) -> float:
    return math.fsum(pieces[piece] for piece in found)


def ways(row: str, pieces: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Every way to split a row of characters into known pieces."""
    if not row:
        yield ()
    for end in range(1, len(row) + 1):
        if row[:end] in pieces:
            for rest in ways(row[end:], pieces):
                yield (row[:end], *rest)


def best_of(row: str, pieces: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """The score and the pieces of the most probable way, by dynamic programming from the end."""
    best: list[tuple[float, tuple[str, ...]]] = [(0.0, ())]
    for at in range(len(row) - 1, -1, -1):
        ends = (end for end in range(at + 1, len(row) + 1) if row[at:end] in pieces)
        options = [(pieces[row[at:end]] + best[end - at - 1][0], (row[at:end], *best[end - at - 1][1])) for end in ends]
        best.insert(0, max(options, key=lambda option: option[0], default=(-math.inf, ())))
    return best[0]


def require_best(found: Sequence[str], best: Sequence[str], trial: Trial, text: str) -> None:
    pieces = pieces_of(trial)
    unknown = next((piece for piece in found if piece not in pieces), None)
    if unknown is not None:
        raise Violation(f"{shown(text)} gives {list(found)}; {unknown!r} is not in the vocabulary")
    got, due = score(found, pieces), score(best, pieces)
    if got != due:
        what = f"{shown(text)} gives {list(found)}, with a total score of {got:g}; {list(best)} scores {due:g}"
        scores = [f"{piece!r}: {pieces[piece]:g}" for piece in dict.fromkeys((*found, *best))]
        raise Violation(what, worst=", ".join(scores))


def collapsed(found: Sequence[str]) -> list[str]:
    """The pieces with one `unk` for every run of them."""
    return [piece for at, piece in enumerate(found) if piece != UNK or at == 0 or found[at - 1] != UNK]


def joined(found: Sequence[str]) -> str:
    """The pieces as one text, with every `unk` as a zero character."""
    return "".join("\0" if piece == UNK else piece for piece in found)
