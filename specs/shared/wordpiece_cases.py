"""Cases of WordPiece, and a second implementation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.strategies.text import words
from reference_model.wordpiece import CONTINUES, wordpiece

UNK = "[UNK]"
LETTERS = ("ab", "abc", "a\xe9b", "\u3042\u3044", "aB")
SPACES = (" ", " ", " ", "  ", "\n", "\t", " \n ")


def build(vocab: Iterable[str], unk: str = UNK, max_chars: int = 100) -> Call:
    """The unknown word is the first piece; ids follow the order."""
    pieces = dict.fromkeys((unk, *vocab))
    return Call("build", {"vocab": {piece: i for i, piece in enumerate(pieces)}, "unk": unk, "max_chars": max_chars})


def encode(text: str) -> Call:
    return Call("encode", {"text": text})


def decode(pieces: Sequence[str]) -> Call:
    return Call("decode", {"pieces": list(pieces)})


def parts_of(word: str) -> list[str]:
    """Every part of a word as the vocabulary would write it."""
    cuts = combinations(range(len(word) + 1), 2)
    return [word[a:b] if a == 0 else CONTINUES + word[a:b] for a, b in cuts]


@st.composite
def vocabularies(draw: st.DrawFn, *samples: str, complete: bool | None = None) -> list[str]:
    """Parts of the samples' words, and where ``complete`` every single character in both forms: no word is unknown."""
    several = list(dict.fromkeys(part for sample in samples for word in sample.split() for part in parts_of(word)))
    least = min(len(several), 4)
    chosen = draw(st.lists(st.sampled_from(several), min_size=least, max_size=24, unique=True)) if several else ["a"]
    if complete if complete is not None else draw(st.booleans()):
        characters = sorted({c for sample in samples for c in sample + sample.lower() if not c.isspace()})
        chosen += [form + c for c in characters for form in ("", CONTINUES)]
    return list(dict.fromkeys(chosen))


@st.composite
def some_text(draw: st.DrawFn, letters: str, most: int = 4) -> str:
    parts = draw(st.lists(words(letters, least=1, most=7), min_size=1, max_size=most))
    return "".join(part + draw(st.sampled_from(SPACES)) for part in parts[:-1]) + parts[-1]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A text and back; some vocabularies know every character, in others words are unknown."""
    letters = draw(st.sampled_from(LETTERS))
    text = draw(some_text(letters))
    vocab = draw(vocabularies(text, draw(some_text(letters, 2))))
    unk = draw(st.sampled_from((UNK, "<unk>")))
    made = build(vocab, unk, draw(st.sampled_from((100, 100, 5))))
    return Case((made, encode(text), decode(wordpiece(**made.arguments).encode(text))), {}, f"{len(vocab)} pieces")


@st.composite
def known_texts(draw: st.DrawFn) -> Case:
    """Every character is a piece in both forms: any word can be split."""
    text = draw(some_text(draw(st.sampled_from(LETTERS))))
    return Case((build(draw(vocabularies(text, complete=True))), encode(text)), {}, "every character known")


@st.composite
def dead_ends(draw: st.DrawFn) -> Case:
    """The longest piece leads nowhere where a shorter one would have led to the end; the words around it are known."""
    word = draw(words("abc", least=4, most=7))
    first = draw(st.integers(2, len(word) - 2))
    shorter = draw(st.integers(1, first - 1))
    vocab = [word[:first], word[:shorter], CONTINUES + word[shorter:], "x", "xy", CONTINUES + "y"]
    if draw(st.booleans()):
        vocab.append(CONTINUES + word[first : first + 1])
    vocab = [piece for piece in vocab if piece not in (word, CONTINUES + word[first:])]
    text = draw(st.sampled_from(("", "xy ", "x\n"))) + word + draw(st.sampled_from(("", " xy")))
    return Case((build(vocab), encode(text)), {}, "a dead end")


@st.composite
def unknown_words(draw: st.DrawFn) -> Case:
    """One character of a word is in no piece: at its beginning, inside, at its end."""
    text = draw(some_text("ab", 3))
    word = draw(words("ab", least=1, most=5))
    at = draw(st.integers(0, len(word)))
    foreign = draw(st.sampled_from(("z", "\u0416", "\U0001f642")))
    vocab = draw(vocabularies(text, word, "ab", complete=True))
    asked = encode(f"{text} {word[:at]}{foreign}{word[at:]} {word}")
    return Case((build(vocab), asked), {}, "a word with an unknown character")


@st.composite
def long_words(draw: st.DrawFn) -> Case:
    """Words just as long as they may be, one character longer and shorter, of one and of several bytes."""
    limit, letter = draw(st.integers(2, 7)), draw(st.sampled_from("a\xe9\u3042"))
    text = " ".join(letter * (limit + step) for step in draw(st.permutations((0, 1, -1))))
    vocab = draw(vocabularies(text, complete=True))
    return Case((build(vocab, max_chars=limit), encode(text)), {}, f"words around {limit} characters")


@st.composite
def capitals_and_points(draw: st.DrawFn) -> Case:
    """Capitals, accents and punctuation, all of them known as they are written."""
    parts = draw(
        st.lists(st.sampled_from(("Ab", "aB", "a,b", "b.", "\xc9a", "\xe9", "ab", "(a)")), min_size=1, max_size=4)
    )
    text = " ".join(parts)
    vocab = draw(vocabularies(text, text.lower(), complete=True))
    return Case((build(vocab), encode(text)), {}, "capitals and punctuation")


def settings_of(trial: Trial) -> tuple[dict[str, int], str, int]:
    a = trial.case.calls[0].arguments
    return a["vocab"], a["unk"], a["max_chars"]


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


def words_of(trial: Trial, text: str) -> list[str]:
    text = text.lower() if trial.has_form("lower_case") else text
    if trial.has_form("punctuation_apart"):
        text = "".join(c if c.isalnum() else f" {c} " for c in text)
    return text.split()


def expected_pieces(word: str, trial: Trial) -> list[str]:
    """The pieces of a word by the definition: of all that fit, the longest, until nothing is left."""
    vocab, unk, most = settings_of(trial)
    if len(word) > most:
        return [unk]
    found: list[str] = []
    rest = word
    while rest:
        fitting = [rest[:n] for n in range(1, len(rest) + 1) if (CONTINUES if found else "") + rest[:n] in vocab]
        if not fitting:
            return [unk]
        longest = max(fitting, key=len)
        found.append((CONTINUES if found else "") + longest)
        rest = rest[len(longest) :]
    return found
