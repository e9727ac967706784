"""WordPiece: the longest known piece first, word by word, without backtracking."""

from __future__ import annotations

from harness.core.claim import Claim, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.text import shown
from reference_model.wordpiece import wordpiece
from specs.shared.wordpiece_cases import (
    UNK,
    capitals_and_points,
    cases,
    dead_ends,
    decode,
    encoded,
    expected_pieces,
    known_texts,
    long_words,
    script,
    settings_of,
    text_of,
    unknown_words,
    words_of,
)


def check_longest_first(trial: Trial) -> None:
    found = encoded(trial)
    expected = [piece for word in words_of(trial, text_of(trial)) for piece in expected_pieces(word, trial)]
    if found != expected:
        raise Violation(
            f"{shown(text_of(trial))} gives {found}, expected {expected}",
            worst=f"the pieces are {list(settings_of(trial)[0])}",
        )


@claim(
    "every piece is in the vocabulary", broken_by="continuation_returned_without_mark", aliases=("pieces_are_known",)
)
def pieces_in_vocabulary(trial: Trial) -> None:
    vocab = settings_of(trial)[0]
    for piece in encoded(trial):
        if piece not in vocab:
            raise Violation(f"{shown(text_of(trial))} gives {piece!r}, which is not in the vocabulary")


@claim(
    "a word that cannot be split becomes one unknown token, and no other word does",
    broken_by="known_pieces_kept",
    cases=unknown_words,
    max_cases=16,
    aliases=("one_for_the_whole_word",),
)
def one_unknown_token_per_word(trial: Trial) -> None:
    _, unk, _ = settings_of(trial)
    encoded(trial, "ab")  # not judged here: whether a known word is split as usual distinguishes mistakes
    found = encoded(trial)
    expected = [expected_pieces(word, trial) for word in words_of(trial, text_of(trial))]
    wanted = sum(pieces == [unk] for pieces in expected)
    if found.count(unk) != wanted:
        times = f"{unk} {found.count(unk)} times, expected {wanted}: one per unknown word"
        raise Violation(f"{shown(text_of(trial))} gives {found}: {times}")
    check_longest_first(trial)


@claim(
    "encoding and decoding returns the words, one space apart",
    broken_by="continuation_marks_left",
    cases=known_texts,
    max_cases=20,
    aliases=("comes_back",),
)
def round_trip(trial: Trial) -> None:
    """Up to whitespace: decoded words are one space apart."""
    found = encoded(trial)
    back = trial.run(script(trial, decode(found))).value
    expected = " ".join(words_of(trial, text_of(trial)))
    if back != expected:
        raise Violation(f"decoding {found} gives {back!r}, expected {expected!r}")


@claim(
    "whitespace gives no pieces, and no pieces decode to the empty text",
    broken_by="empty_text_is_unknown",
    max_cases=4,
    aliases=("white_space_gives_nothing",),
)
def whitespace_gives_no_pieces(trial: Trial) -> None:
    for text in ("", " ", "\n \t"):
        if found := encoded(trial, text):
            raise Violation(f"encode({text!r}) gives {found}; there are no words in it")
    text = trial.run(script(trial, decode([]))).value
    if text != "":
        raise Violation(f"decode([]) gives {text!r}; it must be empty")


CONTRACT = Contract(
    name="wordpiece",
    meaning="WordPiece tokenization: each word is split greedily into the longest matching pieces.",
    calls={
        "build": Signature(
            (
                Argument("vocab", "dict[str, int]", role="setting"),
                Argument("unk", "str", role="setting", optional=True, default=UNK),
                Argument("max_chars", "int", role="setting", optional=True, default=100),
            ),
            "tokenizer",
        ),
        "encode": Signature((Argument("text", "str"),), "list[str]"),
        "decode": Signature((Argument("pieces", "list[str]"),), "str"),
    },
    reference=wordpiece,
    cases=cases,
    differentiable=False,
    half_precision=False,
    order=6,
    case_count=30,
    variants=(
        Variant(
            "lower_case",
            "The text is written in small letters first, as for BERT's uncased models.",
            (Edit(wordpiece.encode, "for word in text.split():", "for word in text.lower().split():"),),
        ),
        Variant(
            "punctuation_apart",
            "Every punctuation mark is a word of its own, as BERT's basic tokenizer cuts.",
            (
                Edit(
                    wordpiece.encode,
                    "for word in text.split():",
                    'for word in "".join(c if c.isalnum() else f" {c} " for c in text).split():',
                ),
            ),
        ),
    ),
    sources=(
        "Schuster & Nakajima 2012, section 3",
        "Devlin et al. 2019, section 3",
        "google-research/bert tokenization.py",
    ),
    claims=(
        Claim(
            "longest_match_first",
            "each word is split greedily into the longest matching pieces",
            check_longest_first,
            broken_by="shortest_first",
            aliases=("longest_first",),
        ),
        Claim(
            "no_backtracking",
            "where the longest match leads to a dead end the word is unknown: shorter matches are not tried",
            check_longest_first,
            broken_by="backtracks",
            cases=dead_ends,
            max_cases=16,
            aliases=("no_way_back",),
        ),
        one_unknown_token_per_word,
        pieces_in_vocabulary,
        Claim(
            "max_chars_limit",
            "a word of max_chars characters is split; a longer one is unknown",
            check_longest_first,
            broken_by="limit_is_exclusive",
            cases=long_words,
            max_cases=16,
            aliases=("words_of_any_length",),
        ),
        Claim(
            "text_is_not_normalised",
            "case, accents and punctuation are kept as written",
            check_longest_first,
            broken_by="accents_stripped",
            cases=capitals_and_points,
            max_cases=16,
            aliases=("as_it_is_written",),
        ),
        round_trip,
        whitespace_gives_no_pieces,
    ),
)
