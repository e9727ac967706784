"""Learning a byte-pair encoding: which pairs are joined, and in which order.

Which of equally frequent pairs goes first is a convention: here the one that occurs first in the text, as in Sennrich
et al. and minbpe; the other conventions are variants to be declared. Where bytes and special tokens stand in the
vocabulary is open.
"""

from __future__ import annotations

from harness.core.claim import Claim, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.text import shown
from reference_model.tokenizer import GPT2_PATTERN
from reference_model.train_bpe import count_pairs, train_bpe
from specs.shared.bpe_training_functions import TRAINERS
from specs.shared.tokenizer_classes import TRAINERS_BY_CLASS
from specs.shared.train_bpe_cases import (
    all_cases,
    counted,
    has_distinct_tokens,
    in_bytes,
    join,
    learned,
    nothing_to_learn_from,
    pieces_of,
    require_vocabulary_of_merges,
    runs,
    unequal_counts,
    with_names,
)

BEST = "best = max(counts, key=lambda pair: counts[pair])"
SINGLE = "vocab = dict(enumerate(single + joined + names))"
NEIGHBOURS = "for pair in pairwise(word):\n    counts[pair] += times"


# claims --------------------------------------------------------------------------------------------------------------


@claim("the merges match the reference's, ties included", broken_by="least_frequent_first", aliases=("same_merges",))
def merges_match_the_reference(trial: Trial) -> None:
    expected, found, text = trial.expect().value[1], learned(trial)[1], shown(trial.case.arguments["text"])
    for at, (due, got) in enumerate(zip(expected, found, strict=False)):
        if due != got:
            raise Violation(f"merge {at} of {text} is {got}, expected {due}")
    if len(expected) != len(found):
        raise Violation(f"{len(found)} merges are learned from {text}, expected {len(expected)}")


def check_most_frequent_first(trial: Trial) -> None:
    """Pairs are counted again after every merge; which of equals is taken is not checked here."""
    pieces = in_bytes(pieces_of(trial))
    for at, pair in enumerate(learned(trial)[1]):
        counts = counted(pieces, trial)
        most = max(counts, key=lambda one: counts[one], default=None)
        if most is None or counts[pair] < counts[most]:
            than = f"{most} occurs {counts[most]} times" if most else "no pair is left"
            raise Violation(f"merge {at} joins {pair}, which occurs {counts[pair]} times at that point; {than}")
        for tokens in pieces:
            join(tokens, pair)


@claim("each of the 256 bytes is a token, so every text can be encoded", broken_by="only_seen_bytes_in_vocabulary")
def every_byte_is_a_token(trial: Trial) -> None:
    present = set(learned(trial)[0].values())
    missing = [byte for byte in range(256) if bytes([byte]) not in present]
    if missing:
        raise Violation(f"{len(missing)} of the 256 single bytes are not tokens, the first is {bytes(missing[:1])!r}")


@claim(
    "every special token is in the vocabulary exactly once",
    broken_by="special_tokens_left_out",
    cases=unequal_counts,
    max_cases=16,
    aliases=("special_tokens_are_tokens",),
)
def special_tokens_in_vocabulary(trial: Trial) -> None:
    vocab = list(learned(trial)[0].values())
    for name in trial.case.arguments["special_tokens"]:
        if vocab.count(name.encode()) != 1:
            times = vocab.count(name.encode())
            raise Violation(f"the special token {name!r} occurs {times} times in the vocabulary; expected once")


@claim(
    "no merge reaches into or across a special token",
    broken_by="special_tokens_counted",
    cases=lambda: with_names().filter(has_distinct_tokens),
    max_cases=16,
    aliases=("special_tokens_take_no_part",),
)
def special_tokens_are_not_merged(trial: Trial) -> None:
    """Every merged pair occurs in the text outside the special tokens."""
    pieces = pieces_of(trial)
    for first, second in learned(trial)[1]:
        if not any(first + second in piece for piece in pieces):
            names = ", ".join(map(repr, trial.case.arguments["special_tokens"]))
            raise Violation(f"{first!r} and {second!r} are merged, but are adjacent only inside or across {names}")


@claim(
    "no merge crosses a boundary of the pre-tokenization pattern",
    broken_by="not_pre_tokenized",
    aliases=("nothing_crosses_a_cut",),
)
def merges_stay_within_pretokens(trial: Trial) -> None:
    pieces = set(pieces_of(trial))
    for first, second in learned(trial)[1]:
        if not any(first + second in piece for piece in pieces):
            raise Violation(f"{first!r} and {second!r} are merged, but never occur within one pre-token of the pattern")


@claim(
    "the vocabulary has the requested size, or no pair is left to merge",
    broken_by="one_merge_too_few",
    aliases=("as_many_as_asked",),
)
def vocabulary_size_as_requested(trial: Trial) -> None:
    """Where the text gives fewer, no pair is left in it."""
    vocab, merges = learned(trial)
    asked = trial.case.arguments["vocab_size"]
    if len(vocab) > asked:
        raise Violation(f"the vocabulary has {len(vocab)} tokens; {asked} were requested, special tokens included")
    if len(vocab) == asked:
        return
    pieces = in_bytes(pieces_of(trial))
    for pair in merges:
        for tokens in pieces:
            join(tokens, pair)
    counts = counted(pieces, trial)
    least = 2 if trial.has_form("pairs_seen_twice") else 1
    left = next((pair for pair in counts if counts[pair] >= least), None)
    if left is not None:
        what = f"the vocabulary has {len(vocab)} tokens; {asked} were requested"
        raise Violation(f"{what}, and {left} can still be merged")


@claim("the ids run from 0 without gaps", broken_by="ids_from_257", aliases=("ids_without_gaps",))
def ids_are_contiguous(trial: Trial) -> None:
    ids = sorted(learned(trial)[0])
    if ids != list(range(len(ids))):
        raise Violation(f"the {len(ids)} ids are not 0 to {len(ids) - 1}: the last is {ids[-1]}")


@claim(
    "the learned tokens are the results of the merges, in the same order",
    broken_by="halves_joined_in_reverse",
    aliases=("vocabulary_follows_the_merges",),
)
def vocabulary_matches_the_merges(trial: Trial) -> None:
    """The ids have the order of the merges: a tokenizer may use either."""
    require_vocabulary_of_merges(trial)


@claim(
    "a text without adjacent bytes gives no merges and no error",
    broken_by="no_pair_left_raises",
    cases=nothing_to_learn_from,
    max_cases=10,
    aliases=("nothing_is_learned_from_nothing",),
)
def no_merges_without_pairs(trial: Trial) -> None:
    vocab, merges = learned(trial)
    bare = 256 + len(trial.case.arguments["special_tokens"])
    if merges or len(vocab) != bare:
        what = f"from {trial.case.arguments['text']!r} it learns {merges} and a vocabulary of {len(vocab)} tokens"
        raise Violation(f"{what}; expected no merges and {bare}")


def _tie(name: str, sentence: str, key: str) -> Variant:
    return Variant(name, sentence, (Edit(train_bpe, BEST, key),))


CONTRACT = Contract(
    name="train_bpe",
    meaning="Trains a byte-pair encoding: the most frequent adjacent pair becomes a new token, repeatedly.",
    calls={
        "call": Signature(
            (
                Argument("text", "str"),
                Argument("vocab_size", "int", role="setting"),
                Argument("special_tokens", "list[str]", role="setting", optional=True, default=[]),
                Argument("pattern", "str", role="setting", optional=True, default=GPT2_PATTERN),
            ),
            "(vocab dict[int, bytes], merges list[(bytes, bytes)])",
        )
    },
    reference=train_bpe,
    cases=all_cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    dialects=(*TRAINERS, *TRAINERS_BY_CLASS),
    order=4,
    case_count=30,
    variants=(
        _tie(
            "greatest",
            "Of equally frequent pairs you take the greatest in the order of their bytes, as CS336 and subword-nmt do.",
            "best = max(counts, key=lambda pair: (counts[pair], pair))",
        ),
        _tie(
            "smallest",
            "Of equally frequent pairs you take the smallest in the order of their bytes.",
            "best = min(counts, key=lambda pair: (-counts[pair], pair))",
        ),
        _tie(
            "lowest_ids",
            "Of equally frequent pairs you take the one of the lowest ids.",
            "number = {first + second: 256 + place for place, (first, second) in enumerate(merges)}\n"
            "number |= {bytes([byte]): byte for byte in range(256)}\n"
            "best = min(counts, key=lambda pair: (-counts[pair], number[pair[0]], number[pair[1]]))",
        ),
        _tie(
            "lowest_ids_of_gpt2",
            "Of equally frequent pairs you take the one of the lowest ids, where bytes are numbered as in "
            "GPT-2, printable ones first; tokenizers does.",
            "printable = [*range(33, 127), *range(161, 173), *range(174, 256)]\n"
            "order = sorted(range(256), key=lambda byte: (byte not in printable, byte))\n"
            "number = {first + second: 256 + place for place, (first, second) in enumerate(merges)}\n"
            "number |= {bytes([byte]): place for place, byte in enumerate(order)}\n"
            "best = min(counts, key=lambda pair: (-counts[pair], number[pair[0]], number[pair[1]]))",
        ),
        _tie(
            "last_in_the_text",
            "Of equally frequent pairs you take the one that comes up last in the text.",
            "best = max(reversed(counts), key=lambda pair: counts[pair])",
        ),
        Variant(
            "pairs_seen_twice",
            "You stop where no pair occurs twice, as subword-nmt does.",
            (Edit(train_bpe, "if not counts:", "if max(counts.values(), default=0) < 2:"),),
        ),
        Variant(
            "overlaps_counted_once",
            "Where a pair overlaps itself you count it once: aaa has (a, a) once.",
            (
                Edit(
                    count_pairs,
                    NEIGHBOURS,
                    "last = None\nfor at, pair in enumerate(pairwise(word)):\n    overlaps = last == (at - 1, pair)\n"
                    "    counts[pair] += 0 if overlaps else times\n    last = None if overlaps else (at, pair)",
                ),
            ),
        ),
        Variant(
            "special_tokens_first",
            "Your special tokens have the first ids, which needs no declaration.",
            (Edit(train_bpe, SINGLE, "vocab = dict(enumerate(names + single + joined))"),),
        ),
        Variant(
            "special_tokens_after_the_bytes",
            "Your special tokens stand between bytes and merges, which needs no declaration.",
            (Edit(train_bpe, SINGLE, "vocab = dict(enumerate(single + names + joined))"),),
        ),
    ),
    sources=(
        "Sennrich et al. 2016, section 3.2, algorithm 1",
        "Radford et al. 2019, section 2.2",
        "karpathy/minbpe",
        "Stanford CS336, assignment 1, section 2.4",
    ),
    claims=(
        special_tokens_are_not_merged,
        merges_match_the_reference,
        Claim(
            "most_frequent_pair_first",
            "each merge joins a pair that is the most frequent at that point",
            check_most_frequent_first,
            broken_by="words_counted_once",
            aliases=("most_frequent_first",),
        ),
        Claim(
            "overlapping_pairs",
            "in runs of one letter each merge still joins a most frequent pair",
            check_most_frequent_first,
            broken_by="pair_counted_once_per_word",
            cases=lambda: runs().filter(has_distinct_tokens),
            max_cases=20,
        ),
        every_byte_is_a_token,
        special_tokens_in_vocabulary,
        merges_stay_within_pretokens,
        vocabulary_size_as_requested,
        ids_are_contiguous,
        vocabulary_matches_the_merges,
        no_merges_without_pairs,
    ),
)
