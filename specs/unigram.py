"""The unigram tokenizer: the most probable way to split a text into known pieces.

Where several ways are equally probable, any of them is right: the claims are about the probability of the pieces, and
that they are the text. Normalising a text is another component's work; no text here would be changed by it.
"""

from __future__ import annotations

from harness.core.claim import Claim, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.text import shown, where_texts_part
from reference_model.unigram import MARK, unigram
from specs.shared.unigram_cases import (
    UNK,
    any_pieces,
    any_spaces,
    best_of,
    cases,
    collapsed,
    decode,
    encoded,
    joined,
    marked,
    pieces_of,
    require_best,
    score,
    script,
    short_words,
    text_of,
    unknown_characters,
    ways,
    with_bytes,
)


@claim(
    "the pieces concatenate to the text, with marks for its spaces",
    broken_by="spaces_dropped",
    aliases=("pieces_are_the_text",),
)
def pieces_concatenate_to_the_text(trial: Trial) -> None:
    found, expected = encoded(trial), marked(text_of(trial), trial)
    if "".join(found) != expected:
        what = f"the pieces of {shown(text_of(trial))} are {found}"
        raise Violation(f"{what}, which concatenate to {''.join(found)!r}, expected {expected!r}")


@claim(
    "no other segmentation of a short word is more probable",
    broken_by="longest_match",
    cases=short_words,
    max_cases=24,
    aliases=("best_of_all_ways",),
)
def matches_exhaustive_search(trial: Trial) -> None:
    row, pieces = marked(text_of(trial), trial), pieces_of(trial)
    best = max(ways(row, pieces), key=lambda way: score(way, pieces))
    require_best(encoded(trial), best, trial, text_of(trial))


@claim(
    "the pieces are the most probable segmentation of the text", broken_by="fewest_pieces", aliases=("most_probable",)
)
def most_probable_segmentation(trial: Trial) -> None:
    text = text_of(trial)
    require_best(encoded(trial), best_of(marked(text, trial), pieces_of(trial))[1], trial, text)


def check_round_trip(trial: Trial) -> None:
    """Decoding the pieces gives the text, up to spaces that a declared variant removes."""
    text, found = text_of(trial), encoded(trial)
    back = trial.run(script(trial, decode(found))).value
    expected = " ".join(filter(None, text.split(" "))) if trial.has_form("extra_spaces_removed") else text
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
    """Adjacent unknown characters may become one `unk`, or one each: tools do not agree on that."""
    text, pieces, found = text_of(trial), pieces_of(trial), encoded(trial)
    encoded(trial, "ab ab")  # not judged here: whether known text is split as usual distinguishes mistakes
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
    due, got = collapsed(expected), collapsed(found)
    known, known_due = ([piece for piece in row if piece != UNK] for row in (got, due))
    same_places = [piece == UNK for piece in got] == [piece == UNK for piece in due]
    other = next((piece for piece in known if piece not in pieces), None)
    if other is not None:
        raise Violation(f"{shown(text)} gives {found}; {other!r} is neither a piece nor {UNK}")
    if not same_places and score(known, pieces) == score(known_due, pieces):
        same_places = joined(got) == joined(due)
    if not same_places or joined(got) != joined(due):
        raise Violation(f"{shown(text)} gives {found}, expected {due}: {UNK} only for characters that no piece covers")
    require_best(known, known_due, trial, text)


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
    other = next((piece for piece in found if piece not in pieces and piece not in names), None)
    if other is not None:
        raise Violation(f"with byte fallback, {shown(text)} gives {found}; {other!r} is neither a piece nor a byte")
    exact = b"".join(bytes([names[piece]]) if piece in names else piece.encode() for piece in found)
    if exact != marked(text, trial).encode():
        raise Violation(f"with byte fallback, {shown(text)} gives {found}, which are not the bytes of the text")
    check_round_trip(trial)


@claim("any sequence of pieces can be decoded", broken_by="joined_by_spaces", cases=any_pieces, max_cases=12)
def decodes_any_pieces(trial: Trial) -> None:
    pieces = trial.case.arguments["pieces"]
    expected = "".join(pieces).replace(MARK, " ")
    expected = expected if trial.has_form("no_mark_before") else expected.removeprefix(" ")
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
                Argument("pieces", "dict[str, float]", role="setting"),
                Argument("unk", "str", role="setting", optional=True, default=UNK),
                Argument("byte_fallback", "bool", role="setting", optional=True, default=False),
            ),
            "tokenizer",
        ),
        "encode": Signature((Argument("text", "str"),), "list[str]"),
        "decode": Signature((Argument("pieces", "list[str]"),), "str"),
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
            check_round_trip,
            broken_by="marker_not_decoded",
            aliases=("comes_back",),
        ),
        Claim(
            "round_trip_of_spaces",
            "leading, trailing and repeated spaces survive encoding and decoding",
            check_round_trip,
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
