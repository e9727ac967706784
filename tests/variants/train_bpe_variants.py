"""Trainers as different as they are in use; equally frequent pairs go to the one that stands first in the text in all
of them."""

from collections import Counter, OrderedDict, defaultdict
from itertools import pairwise

import regex

PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def cut(text, special_tokens, pattern):
    """The pieces of a text, one after the other."""
    chunks = [text]
    for name in sorted(special_tokens, key=len, reverse=True):
        chunks = [part for chunk in chunks for part in chunk.split(name)]
    for chunk in chunks:
        yield from regex.findall(pattern, chunk)


def train_on_ids(text, vocab_size, special_tokens=(), pattern=PATTERN):
    """As minbpe does: one list of ids per piece, nothing counted together."""
    ids = [list(piece.encode("utf-8")) for piece in cut(text, special_tokens, pattern)]
    vocab = {i: bytes([i]) for i in range(256)}
    merges = {}
    while len(vocab) + len(special_tokens) < vocab_size:
        stats = {}
        for chunk in ids:
            for pair in pairwise(chunk):
                stats[pair] = stats.get(pair, 0) + 1
        if not stats:
            break
        pair = max(stats, key=stats.get)
        new = 256 + len(merges)
        merges[pair] = new
        vocab[new] = vocab[pair[0]] + vocab[pair[1]]
        ids = [_joined(chunk, pair, new) for chunk in ids]
    order = [(vocab[a], vocab[b]) for a, b in merges]
    for name in special_tokens:
        vocab[len(vocab)] = name.encode("utf-8")
    return vocab, order


def _joined(ids, pair, new):
    found, i = [], 0
    while i < len(ids):
        if i < len(ids) - 1 and ids[i] == pair[0] and ids[i + 1] == pair[1]:
            found.append(new)
            i += 2
        else:
            found.append(ids[i])
            i += 1
    return found


def train_by_changes(text, vocab_size, special_tokens=(), pattern=PATTERN):
    """Counts are changed where a merge changes words only; special tokens have the first ids; lists come back."""
    frequency = OrderedDict()
    for piece in cut(text, special_tokens, pattern):
        frequency[piece] = frequency.get(piece, 0) + 1
    words = [[bytes([b]) for b in piece.encode()] for piece in frequency]
    times = list(frequency.values())
    counts, where = Counter(), defaultdict(set)
    for w, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += times[w]
            where[pair].add(w)
    merges = []
    for _ in range(vocab_size - 256 - len(special_tokens)):
        counts = +counts
        if not counts:
            break
        most = max(counts.values())
        best = {pair for pair, n in counts.items() if n == most}
        firsts = min(min(where[pair]) for pair in best)
        pair = next(p for p in pairwise(words[firsts]) if p in best)
        merges.append(pair)
        for w in sorted(where[pair]):
            for old in pairwise(words[w]):
                counts[old] -= times[w]
                where[old].discard(w)
            words[w] = _joined(words[w], pair, pair[0] + pair[1])
            for new in pairwise(words[w]):
                counts[new] += times[w]
                where[new].add(w)
    tokens = [name.encode() for name in special_tokens] + [bytes([b]) for b in range(256)] + [a + b for a, b in merges]
    return [dict(enumerate(tokens)), merges]


def train_with_separators(text, vocab_size, special_tokens=(), pattern=PATTERN):
    """All pieces in one row with a mark between them; bytes in GPT-2's order; special tokens after the bytes; pairs
    as lists."""
    row = []
    for piece in cut(text, special_tokens, pattern):
        row += [piece.encode()[i : i + 1] for i in range(len(piece.encode()))] + [None]
    merges = []
    while len(merges) < vocab_size - 256 - len(special_tokens):
        pairs = [p for p in pairwise(row) if None not in p]
        if not pairs:
            break
        pair = Counter(pairs).most_common(1)[0][0]  # of equals, the one that was met first
        merges.append(list(pair))
        row = _joined(row, pair, pair[0] + pair[1])
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = printable + [b for b in range(256) if b not in printable]
    tokens = [bytes([b]) for b in order] + [n.encode() for n in special_tokens] + [a + b for a, b in merges]
    return dict(enumerate(tokens)), merges


def train_in_strings(text, vocab_size, special_tokens=(), pattern=PATTERN):
    """As in the paper: words are strings of symbols with spaces between them, merged by a pattern; each byte is a
    letter of Latin-1."""
    vocab = {}
    for piece in cut(text, special_tokens, pattern):
        symbols = " ".join(f"{b:02x}" for b in piece.encode())
        vocab[symbols] = vocab.get(symbols, 0) + 1
    merges = []
    for _ in range(vocab_size - 256 - len(special_tokens)):
        pairs = defaultdict(int)
        for word, n in vocab.items():
            symbols = word.split()
            for i in range(len(symbols) - 1):
                pairs[symbols[i], symbols[i + 1]] += n
        if not pairs:
            break
        best = max(pairs, key=pairs.get)
        merges.append(tuple(map(bytes.fromhex, best)))
        place = regex.compile(r"(?<!\S)" + regex.escape(" ".join(best)) + r"(?!\S)")
        vocab = {place.sub("".join(best), word): n for word, n in vocab.items()}
    tokens = [bytes([b]) for b in range(256)] + [a + b for a, b in merges] + [n.encode() for n in special_tokens]
    return dict(enumerate(tokens)), merges


_ALL = (train_on_ids, train_by_changes, train_with_separators, train_in_strings)

VARIANTS = {function.__name__.replace("_", " "): {"train_bpe": function} for function in _ALL}
