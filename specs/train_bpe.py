"""Learning a byte-pair encoding: which pairs are joined, and in which order.

Which of equally frequent pairs goes first is a convention: here the one that stands first in the text, as in Sennrich et
al. and minbpe; the others in use are variants to be declared. Where bytes and special tokens stand in the vocabulary is
everybody's own business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import regex
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Claim, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.text import PROSE, is_settled, joints, shown, texts, words
from reference_model.tokenizer import GPT2_PATTERN
from reference_model.train_bpe import count_pairs, train_bpe
from specs.naming.dialects import TRAINERS

END = "<|endoftext|>"
SPECIAL = (END, "<|pad|>", "[SEP]", "<s>", "(.+)")
"""No name is part of another, and none ends as another begins."""
OTHER_PATTERNS = (r"\S+|\s+", r"\p{L}+|\P{L}")
BEST = "best = max(counts, key=lambda pair: counts[pair])"
SINGLE = "vocab = dict(enumerate(single + joined + names))"
NEIGHBOURS = "for pair in pairwise(word):\n    counts[pair] += times"

Pair = tuple[bytes, bytes]

# cases ---------------------------------------------------------------------------------------------------------------


def case_of(text: str, more: int, special: Sequence[str] = (), pattern: str = GPT2_PATTERN, family: str = "") -> Case:
    """``more``: tokens asked for beyond the bytes and the special tokens."""
    arguments = {
        "text": text,
        "vocab_size": 256 + len(special) + more,
        "special_tokens": list(special),
        "pattern": pattern,
    }
    return Case.of(arguments, family=family)


def sized(case: Case) -> bool:
    """Whether no two merges make the same token: what a vocabulary then holds is not for us to say."""
    vocab, _ = train_bpe(**case.arguments)
    return len(set(vocab.values())) == len(vocab)


def some_words() -> st.SearchStrategy[str]:
    """Few words over few letters, some of them often: pairs of many counts, and ties."""
    letters = st.sampled_from(("ab", "abc", "abcd", "a\xe9b"))
    few = letters.flatmap(lambda chosen: st.lists(words(chosen, least=1, most=7), min_size=1, max_size=5, unique=True))

    def repeated(chosen: list[str]) -> st.SearchStrategy[str]:
        return st.lists(st.sampled_from(chosen), min_size=2, max_size=12).map(" ".join)

    return few.flatmap(repeated)


def prose() -> st.SearchStrategy[str]:
    settled = [text for text in PROSE if is_settled(text)]
    return st.builds(lambda text, most: text[:most] * 2, st.sampled_from(settled), st.integers(5, 40))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Words, prose and texts of any kind; with special tokens or without; more tokens than the text gives, now and then."""
    names = draw(st.lists(st.sampled_from(SPECIAL), max_size=2, unique=True))
    plain = st.one_of(some_words(), some_words(), prose(), texts(settled=True), joints())
    parts = draw(st.lists(plain, min_size=1, max_size=2))
    text = draw(st.sampled_from([*names, " "])).join(parts)
    more = draw(st.sampled_from((3, 1, 8, 20, 0)))
    pattern = draw(st.sampled_from((GPT2_PATTERN,) * 5 + OTHER_PATTERNS))
    return case_of(text, more, names, pattern, f"{more} tokens asked for")


def all_cases() -> st.SearchStrategy[Case]:
    return cases().filter(sized)


@st.composite
def runs(draw: st.DrawFn) -> Case:
    """Runs of one letter beside other pairs: how often (a, a) stands in them decides."""
    one = st.builds(lambda letter, times: letter * times, st.sampled_from("ab"), st.integers(1, 7))
    text = " ".join("".join(draw(st.lists(one, min_size=1, max_size=3))) for _ in range(draw(st.integers(1, 4))))
    return case_of(text, draw(st.integers(1, 6)), family="runs")


@st.composite
def with_names(draw: st.DrawFn) -> Case:
    """Special tokens again and again, often right between two letters, and words that are rarer."""
    names = draw(st.lists(st.sampled_from(SPECIAL), min_size=1, max_size=2, unique=True))
    parts = draw(st.lists(words("abc", most=4), min_size=2, max_size=6))
    text = "".join(part + name for part in parts for name in draw(st.permutations(names)))
    return case_of(text, draw(st.sampled_from((2, 6, 12))), names, family="special tokens between words")


@st.composite
def nothing_to_learn_from(draw: st.DrawFn) -> Case:
    """No two bytes stand beside each other."""
    text, names = draw(
        st.sampled_from((("a", ()), ("", ()), (" ", ()), (END, (END,)), ("a" + END + "b", (END,)), ("a\nb", ())))
    )
    return case_of(
        text,
        draw(st.sampled_from((1, 0, 40))),
        names,
        r"\S|\s" if "\n" in text else GPT2_PATTERN,
        "nothing to learn from",
    )


def unequal() -> st.SearchStrategy[Case]:
    return st.one_of(runs(), with_names()).filter(sized)


# what came back ------------------------------------------------------------------------------------------------------


def learned(trial: Trial, case: Case | None = None) -> tuple[dict[int, bytes], list[Pair]]:
    """(vocab, merges), or a Violation that says what came instead."""
    value: Any = trial.run(case).value
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Violation("it must return the vocabulary and the merges: (dict[int, bytes], list[(bytes, bytes)])")
    vocab, merges = value
    if not isinstance(vocab, dict) or any(type(k) is not int or not isinstance(v, bytes) for k, v in vocab.items()):
        raise Violation("the first value it returns, the vocabulary, must be a dictionary from ids to bytes")
    if not isinstance(merges, (list, tuple)):
        raise Violation(
            f"the second value it returns, the merges, must be a list of pairs of bytes, not a {type(merges).__name__}"
        )
    for pair in merges:
        if not isinstance(pair, (tuple, list)) or [type(token) for token in pair] != [bytes, bytes]:
            raise Violation(f"a merge must be a pair of bytes, (b'a', b'b'); got {pair!r}")
    return vocab, [(first, second) for first, second in merges]


def pieces_of(trial: Trial) -> list[bytes]:
    """What the text is cut into: at special tokens, then by the pattern."""
    a = trial.case.arguments
    parts = [a["text"]]
    if a["special_tokens"]:
        parts = regex.split("|".join(map(regex.escape, sorted(a["special_tokens"], key=len, reverse=True))), a["text"])
    return [match.group().encode() for part in parts for match in regex.finditer(a["pattern"], part)]


def in_bytes(pieces: Iterable[bytes]) -> list[list[bytes]]:
    return [[piece[i : i + 1] for i in range(len(piece))] for piece in pieces]


def join(tokens: list[bytes], pair: Pair) -> None:
    """Every place of the pair, from the left, in place."""
    at = 0
    while at < len(tokens) - 1:
        if (tokens[at], tokens[at + 1]) == pair:
            tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]
        at += 1


def counted(pieces: list[list[bytes]], trial: Trial) -> Counter[Pair]:
    """How often each two neighbours stand there, piece by piece."""
    counts: Counter[Pair] = Counter()
    for tokens in pieces:
        last = None
        for at, pair in enumerate(pairwise(tokens)):
            overlaps = trial.variant == "overlaps_counted_once" and last == (at - 1, pair)
            counts[pair] += not overlaps
            last = None if overlaps else (at, pair)
    return counts


# claims --------------------------------------------------------------------------------------------------------------


@claim("the merges match the reference's, ties included", broken_by="least_frequent_first", aliases=("same_merges",))
def merges_match_the_reference(trial: Trial) -> None:
    ours, theirs = trial.expect().value[1], learned(trial)[1]
    for at, (expected, found) in enumerate(zip(ours, theirs, strict=False)):
        if expected != found:
            raise Violation(f"merge {at} of {shown(trial.case.arguments['text'])} is {found}, expected {expected}")
    if len(ours) != len(theirs):
        raise Violation(
            f"{len(theirs)} merges are learned from {shown(trial.case.arguments['text'])}, expected {len(ours)}"
        )


def most_frequent_first(trial: Trial) -> None:
    """By counting anew after every merge; which of equals is taken is not asked here."""
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
    cases=unequal,
    max_cases=16,
    aliases=("special_tokens_are_tokens",),
)
def special_tokens_in_vocabulary(trial: Trial) -> None:
    vocab = list(learned(trial)[0].values())
    for name in trial.case.arguments["special_tokens"]:
        if vocab.count(name.encode()) != 1:
            raise Violation(
                f"the special token {name!r} occurs {vocab.count(name.encode())} times in the vocabulary; expected once"
            )


@claim(
    "no merge reaches into or across a special token",
    broken_by="special_tokens_counted",
    cases=lambda: with_names().filter(sized),
    max_cases=16,
    aliases=("special_tokens_take_no_part",),
)
def special_tokens_are_not_merged(trial: Trial) -> None:
    """What was merged stands in the text beside the special tokens, not in them nor across them."""
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
    """Or as many as the text gives: then no pair is left in it."""
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
    least = 2 if trial.variant == "pairs_seen_twice" else 1
    left = next((pair for pair in counts if counts[pair] >= least), None)
    if left is not None:
        raise Violation(
            f"the vocabulary has {len(vocab)} tokens; {asked} were requested, and {left} can still be merged"
        )


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
    """The order of the ids is that of the merges: a tokenizer may go by either."""
    vocab, merges = learned(trial)
    names = {name.encode() for name in trial.case.arguments["special_tokens"]}
    longer = [vocab[i] for i in sorted(vocab) if len(vocab[i]) > 1 and vocab[i] not in names]
    joined = [first + second for first, second in merges if first + second not in names]
    if longer != joined:
        at = next(
            (i for i, (a, b) in enumerate(zip(longer, joined, strict=False)) if a != b), min(len(longer), len(joined))
        )
        theirs = repr(longer[at]) if at < len(longer) else "missing"
        merged = f"merge {at} makes {joined[at]!r}" if at < len(joined) else f"there are {len(joined)} merges"
        raise Violation(f"learned token {at}, in id order, is {theirs}; {merged}")


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
        raise Violation(
            f"from {trial.case.arguments['text']!r} it learns {merges} and a vocabulary of {len(vocab)} tokens; expected no merges and {bare}"
        )


def _tie(name: str, sentence: str, key: str) -> Variant:
    return Variant(name, sentence, (Edit(train_bpe, BEST, key),))


CONTRACT = Contract(
    name="train_bpe",
    meaning="Trains a byte-pair encoding: the most frequent adjacent pair becomes a new token, repeatedly.",
    calls={
        "call": Signature(
            (
                Argument("text", "text"),
                Argument("vocab_size", "integer", role="setting"),
                Argument("special_tokens", "list[text]", role="setting", optional=True, default=[]),
                Argument("pattern", "text", role="setting", optional=True, default=GPT2_PATTERN),
            ),
            "(vocab dict[int, bytes], merges list[(bytes, bytes)])",
        )
    },
    reference=train_bpe,
    cases=all_cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    dialects=TRAINERS,
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
            most_frequent_first,
            broken_by="words_counted_once",
            aliases=("most_frequent_first",),
        ),
        Claim(
            "overlapping_pairs",
            "in runs of one letter each merge still joins a most frequent pair",
            most_frequent_first,
            broken_by="pair_counted_once_per_word",
            cases=lambda: runs().filter(sized),
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
