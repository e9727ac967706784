"""Right unigram tokenizers: recursion, a lattice forwards, words one by one, from the end, numbers, one unknown
each."""

import functools
import heapq
import math
import re

import numpy as np

MARK = "\u2581"


class Base:
    def __init__(self, pieces, unk="<unk>", byte_fallback=False):
        assert pieces
        self.pieces, self.unk, self.byte_fallback = dict(pieces), unk, byte_fallback
        self.low = min(self.pieces.values()) - 10

    def encode(self, text):
        return self.names(self.cut(MARK + text.replace(" ", MARK))) if text else []

    def names(self, found):
        """One unknown for each unknown character."""
        return [name for piece in found for name in self.name(piece)]

    def name(self, piece):
        if piece in self.pieces:
            return [piece]
        return [f"<0x{b:02X}>" for b in piece.encode()] if self.byte_fallback else [self.unk]

    def decode(self, pieces):
        text = "".join(pieces)
        if self.byte_fallback:
            text = re.sub(
                "(<0x..>)+",
                lambda m: bytes.fromhex(m.group()[3:-1].replace("><0x", "")).decode("utf-8", "replace"),
                text,
            )
        text = text.replace(MARK, " ")
        return text[1:] if text.startswith(" ") else text


class Recursive(Base):
    def cut(self, row):
        @functools.cache
        def best(at):
            if at == len(row):
                return 0.0, ()
            options = [(self.low, row[at])] if row[at] not in self.pieces else []
            options += [
                (self.pieces[row[at:end]], row[at:end])
                for end in range(at + 1, len(row) + 1)
                if row[at:end] in self.pieces
            ]
            return max(
                (score + best(at + len(piece))[0], (piece, *best(at + len(piece))[1])) for score, piece in options
            )

        return best(0)[1]


class WordByWord(Base):
    """Cut before every mark first; each word by NumPy, of equals the last way."""

    def cut(self, row):
        return [piece for word in re.findall(f"{MARK}[^{MARK}]*", row) for piece in self.word(word)]

    def word(self, word):
        n = len(word)
        best, back = np.full(n + 1, -np.inf), [0] * (n + 1)
        best[0] = 0
        for start in range(n):
            for end in range(start + 1, n + 1):
                score = self.pieces.get(word[start:end], self.low if end == start + 1 else -np.inf)
                if best[start] + score >= best[end]:
                    best[end], back[end] = best[start] + score, start
        parts = []
        while n:
            parts.insert(0, word[back[n] : n])
            n = back[n]
        return parts


class ShortestPath(Base):
    """The cheapest path from the beginning to the end, by Dijkstra's algorithm; unknown side by side are one."""

    def cut(self, row):
        heap, done = [(0.0, 0, ())], set()
        while heap:
            cost, at, path = heapq.heappop(heap)
            if at == len(row):
                return path
            if at in done:
                continue
            done.add(at)
            for end in range(at + 1, len(row) + 1):
                piece = row[at:end]
                if piece in self.pieces or end == at + 1:
                    heapq.heappush(heap, (cost - self.pieces.get(piece, self.low), end, (*path, piece)))
        raise AssertionError

    def names(self, found):
        names = super().names(found)
        return [n for i, n in enumerate(names) if n != self.unk or i == 0 or names[i - 1] != self.unk]


class FromATrie(Base):
    """A tree of characters, and the best score of every place pushed forward; probabilities multiplied in logarithms
    of two."""

    def __init__(self, pieces, unk="<unk>", byte_fallback=False):
        super().__init__(pieces, unk, byte_fallback)
        self.tree = {}
        for piece, score in pieces.items():
            node = self.tree
            for character in piece:
                node = node.setdefault(character, {})
            node[""] = score / math.log(2)

    def cut(self, row):
        ways = [(0.0, [])] + [None] * len(row)
        for at in range(len(row)):
            way, node, end = ways[at], self.tree, at
            steps = [] if row[at] in self.tree and "" in self.tree[row[at]] else [(at + 1, self.low / math.log(2))]
            while end < len(row) and row[end] in node:
                node, end = node[row[end]], end + 1
                if "" in node:
                    steps.append((end, node[""]))
            for end, score in steps:
                if ways[end] is None or round(way[0] + score, 9) > round(ways[end][0], 9):
                    ways[end] = way[0] + score, [*way[1], row[at:end]]
        return ways[-1][1]


VARIANTS = {kind.__name__: {"unigram": kind} for kind in (Recursive, WordByWord, ShortestPath, FromATrie)}
