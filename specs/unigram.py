"""The unigram tokenizer: the most probable way to cut a text into known pieces.

Where several ways are equally probable any of them is right: what is judged is how probable the pieces are, and that they
are the text. A text is taken as it is; normalising it is somebody else's work, and no text here would be changed by it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Claim, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.text import PROSE, is_settled, shown, texts, where_texts_part, words
from reference_model.unigram import MARK, unigram

UNK = "<unk>"
STEP = 0.125
"""Scores are multiples of it, so that sums of them are exact in float32 too."""
STRANGE = ("\u0416", "\u03a9", "\u8a9e", "\U0001f642", "\xdf")
"""Characters of two, three and four bytes that no vocabulary here has, unless the text of a case brings them."""

# cases ---------------------------------------------------------------------------------------------------------------


def marked(text: str, trial: Trial | None = None) -> str:
    """The text as it is cut: spaces as marks, and one before it."""
    if trial is not None and trial.variant == "extra_spaces_removed":
        text = " ".join(filter(None, text.split(" ")))
    before = "" if trial is not None and trial.variant == "no_mark_before" else MARK
    return before + text.replace(" ", MARK) if text else ""


def substrings(text: str) -> list[str]:
    """Up to six characters long; a mark stands at their beginning only, as trainers see to."""
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
    """Whether nobody's normalisation changes it: no form of Unicode does, and spaces stand alone between words."""
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
    """A word over few letters, so short that every way to cut it can be tried."""
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
    strange = st.lists(st.sampled_from(STRANGE), min_size=1, max_size=2).map("".join)
    text = (
        "".join(part + draw(st.sampled_from(("", " "))) + draw(strange) for part in parts)
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


# what came back ------------------------------------------------------------------------------------------------------


def pieces_of(trial: Trial) -> dict[str, float]:
    return trial.case.calls[0].arguments["pieces"]


def text_of(trial: Trial) -> str:
    return trial.case.calls[1].arguments["text"]


def script(trial: Trial, *calls: Call) -> Case:
    return Case((trial.case.calls[0], *calls), trial.case.dimensions, trial.case.family)


def encoded(trial: Trial, text: str | None = None) -> list[str]:
    """What the text is cut into, or a Violation where that is no list of pieces."""
    found = trial.run(script(trial, encode(text_of(trial) if text is None else text))).value
    if not isinstance(found, (list, tuple)) or any(type(piece) is not str for piece in found):
        raise Violation(f"encode returns {found!r}; it must return a list of str")
    return list(found)


def score(found: Sequence[str], pieces: Mapping[str, float]) -> float:
    return math.fsum(pieces[piece] for piece in found)


def ways(row: str, pieces: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Every way to cut a row of characters into known pieces."""
    if not row:
        yield ()
    for end in range(1, len(row) + 1):
        if row[:end] in pieces:
            for rest in ways(row[end:], pieces):
                yield (row[:end], *rest)


def best_of(row: str, pieces: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """The most probable way, worked out from the end."""
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
    theirs, ours = score(found, pieces), score(best, pieces)
    if theirs != ours:
        raise Violation(
            f"{shown(text)} gives {list(found)}, with a total score of {theirs:g}; {list(best)} scores {ours:g}",
            worst=", ".join(f"{piece!r}: {pieces[piece]:g}" for piece in dict.fromkeys((*found, *best))),
        )


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "the pieces concatenate to the text, with marks for its spaces",
    broken_by="spaces_dropped",
    aliases=("pieces_are_the_text",),
)
def pieces_concatenate_to_the_text(trial: Trial) -> None:
    found, expected = encoded(trial), marked(text_of(trial), trial)
    if "".join(found) != expected:
        raise Violation(
            f"the pieces of {shown(text_of(trial))} are {found}, which concatenate to {''.join(found)!r}, expected {expected!r}"
        )


@claim(
    "no other segmentation of a short word is more probable",
    broken_by="longest_match",
    cases=short_words,
    max_cases=24,
    aliases=("best_of_all_ways",),
)
def matches_exhaustive_search(trial: Trial) -> None:
    """By trying them all."""
    row, pieces = marked(text_of(trial), trial), pieces_of(trial)
    best = max(ways(row, pieces), key=lambda way: score(way, pieces))
    require_best(encoded(trial), best, trial, text_of(trial))


@claim(
    "the pieces are the most probable segmentation of the text", broken_by="fewest_pieces", aliases=("most_probable",)
)
def most_probable_segmentation(trial: Trial) -> None:
    text = text_of(trial)
    require_best(encoded(trial), best_of(marked(text, trial), pieces_of(trial))[1], trial, text)


def comes_back(trial: Trial) -> None:
    text, found = text_of(trial), encoded(trial)
    back = trial.run(script(trial, decode(found))).value
    expected = " ".join(filter(None, text.split(" "))) if trial.variant == "extra_spaces_removed" else text
    if back != expected:
        where = where_texts_part(back, expected) if isinstance(back, str) else f"it is a {type(back).__name__}"
        raise Violation(f"encoding and decoding {shown(text)} gives {back!r}", worst=where)


@claim(
    "only characters that no piece covers become unknown; the rest is segmented as usual",
    broken_by="whole_text_unknown",
    cases=unknown_characters,
    max_cases=16,
    aliases=("unknown_alone",),
)
def unk_only_for_unknown_characters(trial: Trial) -> None:
    """One `unk` for several that stand side by side, or one for each: tools do not agree on that."""
    text, pieces, found = text_of(trial), pieces_of(trial), encoded(trial)
    encoded(trial, "ab ab")  # judged elsewhere: that known text is cut as ever tells mistakes apart
    parts: list[str] = []
    expected: list[str] = []
    for character in marked(text, trial):
        if character not in pieces:
            parts.append("")
        elif parts and parts[-1]:
            parts[-1] += character
        else:
            parts.append(character)
    for part in parts:
        expected += best_of(part, pieces)[1] if part else [UNK]
    ours, theirs = collapsed(expected), collapsed(found)
    known = [piece for piece in theirs if piece != UNK]
    same_places = [piece == UNK for piece in theirs] == [piece == UNK for piece in ours]
    if any(piece not in pieces for piece in known):
        strange = next(piece for piece in known if piece not in pieces)
        raise Violation(f"{shown(text)} gives {found}; {strange!r} is neither a piece nor {UNK}")
    if not same_places and score(known, pieces) == score([p for p in ours if p != UNK], pieces):
        same_places = joined(theirs) == joined(ours)
    if not same_places or joined(theirs) != joined(ours):
        raise Violation(f"{shown(text)} gives {found}, expected {ours}: {UNK} only for characters that no piece covers")
    require_best(known, [piece for piece in ours if piece != UNK], trial, text)


def collapsed(found: Sequence[str]) -> list[str]:
    return [piece for at, piece in enumerate(found) if piece != UNK or at == 0 or found[at - 1] != UNK]


def joined(found: Sequence[str]) -> str:
    return "".join("\0" if piece == UNK else piece for piece in found)


@claim(
    "with byte fallback, unknown characters become their bytes and decode back",
    broken_by="code_points_for_bytes",
    cases=with_bytes,
    max_cases=16,
    name="byte_fallback",
    aliases=("bytes_for_the_unknown",),
)
def unknown_as_bytes(trial: Trial) -> None:
    text, pieces, found = text_of(trial), pieces_of(trial), encoded(trial)
    names = {f"<0x{byte:02X}>": byte for byte in range(256)}
    strange = next((piece for piece in found if piece not in pieces and piece not in names), None)
    if strange is not None:
        raise Violation(f"with byte fallback, {shown(text)} gives {found}; {strange!r} is neither a piece nor a byte")
    exact = b"".join(bytes([names[piece]]) if piece in names else piece.encode() for piece in found)
    if exact != marked(text, trial).encode():
        raise Violation(f"with byte fallback, {shown(text)} gives {found}, which are not the bytes of the text")
    comes_back(trial)


@claim("any sequence of pieces can be decoded", broken_by="joined_by_spaces", cases=any_pieces, max_cases=12)
def decodes_any_pieces(trial: Trial) -> None:
    pieces = trial.case.arguments["pieces"]
    expected = "".join(pieces).replace(MARK, " ")
    expected = expected if trial.variant == "no_mark_before" else expected.removeprefix(" ")
    text = trial.run().value
    if text != expected:
        raise Violation(f"decoding {pieces} gives {text!r}, expected {expected!r}")


@claim(
    "the empty text has no pieces, and no pieces decode to the empty text",
    broken_by="empty_text_gets_a_marker",
    max_cases=4,
    aliases=("nothing_gives_nothing",),
)
def empty_input_gives_empty_output(trial: Trial) -> None:
    found = encoded(trial, "")
    text = trial.run(script(trial, decode([]))).value
    if found or text != "":
        raise Violation(f'encode("") gives {found} and decode([]) gives {text!r}; both must be empty')


CONTRACT = Contract(
    name="unigram",
    meaning="Unigram tokenization: the text is split into its most probable sequence of pieces.",
    calls={
        "build": Signature(
            (
                Argument("pieces", "dict[text, number]", role="setting"),
                Argument("unk", "text", role="setting", optional=True, default=UNK),
                Argument("byte_fallback", "flag", role="setting", optional=True, default=False),
            ),
            "tokenizer",
        ),
        "encode": Signature((Argument("text", "text"),), "list[text]"),
        "decode": Signature((Argument("pieces", "list[text]"),), "text"),
    },
    reference=unigram,
    cases=cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    order=7,
    case_count=30,
    variants=(
        Variant(
            "no_mark_before",
            "No mark is put before the text (sentencepiece: add_dummy_prefix=False).",
            (
                Edit(unigram.encode, 'marked = MARK + text.replace(" ", MARK)', 'marked = text.replace(" ", MARK)'),
                Edit(unigram.decode, 'return spaced.removeprefix(" ")', "return spaced"),
            ),
        ),
        Variant(
            "extra_spaces_removed",
            "Spaces before and after a text and in runs are removed (sentencepiece does so by default).",
            (Edit(unigram.encode, "if not text:", 'text = " ".join(filter(None, text.split(" ")))\nif not text:'),),
        ),
    ),
    sources=(
        "Kudo 2018, section 3.2",
        "Kudo & Richardson 2018, section 2",
        "google/sentencepiece src/unigram_model.cc",
    ),
    claims=(
        most_probable_segmentation,
        matches_exhaustive_search,
        pieces_concatenate_to_the_text,
        Claim(
            "round_trip",
            "encoding and decoding returns the same text",
            comes_back,
            broken_by="marker_not_decoded",
            aliases=("comes_back",),
        ),
        Claim(
            "round_trip_of_spaces",
            "leading, trailing and repeated spaces survive encoding and decoding",
            comes_back,
            broken_by="white_space_stripped",
            cases=any_spaces,
            max_cases=16,
            aliases=("spaces_come_back",),
        ),
        unk_only_for_unknown_characters,
        unknown_as_bytes,
        decodes_any_pieces,
        empty_input_gives_empty_output,
    ),
)
