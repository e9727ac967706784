"""Learning the merges of a byte-level byte-pair encoding from a text.

Sennrich et al. 2016, section 3.2, algorithm 1 (count pairs, join the most frequent, again); on bytes as in
Radford et al. 2019, section 2.2; cut by GPT-2's pattern before, so that no merge crosses from word to word.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import regex

from reference_model.tokenizer import GPT2_PATTERN, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_words(text: str, special_tokens: Sequence[str], pattern: str) -> dict[Word, int]:
    """How often each piece of the text occurs, in single bytes, in the order in which they first occur.

    Special tokens are cut out before, and belong to no piece.
    """
    parts = split_special(text, special_tokens)
    ordinary = [part for part in parts if part not in special_tokens]
    pieces = [match.group() for part in ordinary for match in regex.finditer(pattern, part)]
    words: Counter[Word] = Counter()
    for piece in pieces:
        encoded = piece.encode("utf-8")
        word = tuple(bytes([byte]) for byte in encoded)
        words[word] += 1
    return dict(words)


def count_pairs(words: Mapping[Word, int]) -> dict[Pair, int]:
    """How often each two neighbours occur, in the order in which they first occur.  `aaa` has the pair (a, a) twice."""
    counts: Counter[Pair] = Counter()
    for word, times in words.items():
        for pair in pairwise(word):
            counts[pair] += times
    return dict(counts)


def merge(word: Word, pair: Pair) -> Word:
    """The word with every place of the pair made one token, from the left: `aaa` becomes aa, a."""
    merged: list[bytes] = []
    index = 0
    while index < len(word):
        if word[index : index + 2] == pair:
            merged.append(pair[0] + pair[1])
            index += 2
        else:
            merged.append(word[index])
            index += 1
    return tuple(merged)


def train_bpe(
    text: str,
    vocab_size: int,
    special_tokens: Sequence[str] = (),
    pattern: str = GPT2_PATTERN,
) -> tuple[dict[int, bytes], list[Pair]]:
    """The vocabulary and the merges that a text gives: the most frequent pair becomes one token, over and over.

    vocab_size: 256 bytes, one token per merge, and the special tokens; fewer where no pair is left in the text.
    Of equally frequent pairs the one that stands first in the text is merged.
    Returns vocab, from ids to bytes (bytes, merges, special tokens), and the merges in their order.
    Raises ValueError where vocab_size has no room for the bytes and the special tokens.
    Source: Sennrich et al. 2016, algorithm 1; karpathy/minbpe, regex.py; Stanford CS336, assignment 1, section 2.4.
    """
    room = vocab_size - 256 - len(special_tokens)
    if room < 0:
        raise ValueError(f"vocab_size {vocab_size} has no room for 256 bytes and {len(special_tokens)} special tokens")
    words = count_words(text, special_tokens, pattern)
    merges: list[Pair] = []
    while len(merges) < room:
        counts = count_pairs(words)
        if not counts:
            break
        best = max(counts, key=lambda pair: counts[pair])
        words = {merge(word, best): times for word, times in words.items()}
        merges.append(best)
    single = [bytes([byte]) for byte in range(256)]
    joined = [first + second for first, second in merges]
    names = [name.encode("utf-8") for name in special_tokens]
    vocab = dict(enumerate(single + joined + names))
    return vocab, merges
