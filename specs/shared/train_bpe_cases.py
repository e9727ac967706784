"""Cases of training a byte-pair encoding, and what is learned from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import regex
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation
from harness.strategies.corpora import PROSE
from harness.strategies.text import is_settled, joints, texts, words
from reference_model.tokenizer import GPT2_PATTERN
from reference_model.train_bpe import train_bpe

END = "<|endoftext|>"
SPECIAL = (END, "<|pad|>", "[SEP]", "<s>", "(.+)")
"""No name is part of another, and none ends as another begins."""
OTHER_PATTERNS = (r"\S+|\s+", r"\p{L}+|\P{L}")
Pair = tuple[bytes, bytes]


def case_of(text: str, more: int, special: Sequence[str] = (), pattern: str = GPT2_PATTERN, family: str = "") -> Case:
    """``more``: tokens asked for beyond the bytes and the special tokens."""
    size = 256 + len(special) + more
    arguments = {"text": text, "vocab_size": size, "special_tokens": list(special), "pattern": pattern}
    return Case.of(arguments, family=family)


def has_distinct_tokens(case: Case) -> bool:
    """Whether no two merges make the same token: what a vocabulary should hold then is open."""
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
    """Words, prose and texts of any kind, with special tokens or without; sometimes more tokens than the text gives."""
    names = draw(st.lists(st.sampled_from(SPECIAL), max_size=2, unique=True))
    plain = st.one_of(some_words(), some_words(), prose(), texts(settled=True), joints())
    parts = draw(st.lists(plain, min_size=1, max_size=2))
    text = draw(st.sampled_from([*names, " "])).join(parts)
    more = draw(st.sampled_from((3, 1, 8, 20, 0)))
    pattern = draw(st.sampled_from((GPT2_PATTERN,) * 5 + OTHER_PATTERNS))
    return case_of(text, more, names, pattern, f"{more} tokens asked for")


def all_cases() -> st.SearchStrategy[Case]:
    return cases().filter(has_distinct_tokens)


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
    """No two bytes are adjacent."""
    choices = (("a", ()), ("", ()), (" ", ()), (END, (END,)), ("a" + END + "b", (END,)), ("a\nb", ()))
    text, names = draw(st.sampled_from(choices))
    pattern = r"\S|\s" if "\n" in text else GPT2_PATTERN
    return case_of(text, draw(st.sampled_from((1, 0, 40))), names, pattern, "nothing to learn from")


def unequal_counts() -> st.SearchStrategy[Case]:
    """Runs, and texts with special tokens."""
    return st.one_of(runs(), with_names()).filter(has_distinct_tokens)


def learned(trial: Trial, case: Case | None = None) -> tuple[dict[int, bytes], list[Pair]]:
    """(vocab, merges); raises a Violation that says what was returned instead."""
    value: Any = trial.run(case).value
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Violation("it must return the vocabulary and the merges: (dict[int, bytes], list[(bytes, bytes)])")
    vocab, merges = value
    if not isinstance(vocab, dict) or any(type(k) is not int or not isinstance(v, bytes) for k, v in vocab.items()):
        raise Violation("the first value it returns, the vocabulary, must be a dictionary from ids to bytes")
    if not isinstance(merges, (list, tuple)):
        kind = type(merges).__name__
        raise Violation(f"the second value it returns, the merges, must be a list of pairs of bytes, not a {kind}")
    for pair in merges:
        if not isinstance(pair, (tuple, list)) or [type(token) for token in pair] != [bytes, bytes]:
            raise Violation(f"a merge must be a pair of bytes, (b'a', b'b'); got {pair!r}")
    return vocab, [(first, second) for first, second in merges]


def pieces_of(trial: Trial) -> list[bytes]:
    """The text, split at special tokens and then by the pattern."""
    a = trial.case.arguments
    parts = [a["text"]]
    if a["special_tokens"]:
        parts = regex.split("|".join(map(regex.escape, sorted(a["special_tokens"], key=len, reverse=True))), a["text"])
    return [match.group().encode() for part in parts for match in regex.finditer(a["pattern"], part)]


def in_bytes(pieces: Iterable[bytes]) -> list[list[bytes]]:
    """Every piece as a list of its single bytes."""
    return [[piece[i : i + 1] for i in range(len(piece))] for piece in pieces]


def join(tokens: list[bytes], pair: Pair) -> None:
    """Merge every occurrence of the pair from the left, in place."""
    at = 0
    while at < len(tokens) - 1:
        if (tokens[at], tokens[at + 1]) == pair:
            tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]
        at += 1


def counted(pieces: list[list[bytes]], trial: Trial) -> Counter[Pair]:
    """How often each pair of adjacent tokens occurs, piece by piece."""
    counts: Counter[Pair] = Counter()
    for tokens in pieces:
        last = None
        for at, pair in enumerate(pairwise(tokens)):
            overlaps = trial.has_form("overlaps_counted_once") and last == (at - 1, pair)
            counts[pair] += not overlaps
            last = None if overlaps else (at, pair)
    return counts


def require_vocabulary_of_merges(trial: Trial) -> None:
    """The ids have the order of the merges: a tokenizer may use either."""
    vocab, merges = learned(trial)
    names = {name.encode() for name in trial.case.arguments["special_tokens"]}
    longer = [vocab[i] for i in sorted(vocab) if len(vocab[i]) > 1 and vocab[i] not in names]
    joined = [first + second for first, second in merges if first + second not in names]
    if longer != joined:
        shorter = min(len(longer), len(joined))
        at = next((i for i in range(shorter) if longer[i] != joined[i]), shorter)
        found = repr(longer[at]) if at < len(longer) else "missing"
        merged = f"merge {at} makes {joined[at]!r}" if at < len(joined) else f"there are {len(joined)} merges"
        raise Violation(f"learned token {at}, in id order, is {found}; {merged}")
