"""The unigram tokenizer: of all ways to cut a text into known pieces, the most probable one.

Kudo 2018, section 3.2 (the model, and its best segmentation by Viterbi's algorithm); Kudo & Richardson 2018, section 2
(a mark for the space, so that a text can be put together again); google/sentencepiece src/unigram_model.cc.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

MARK = "\u2581"
PENALTY = 10.0  # sentencepiece src/unigram_model.cc `kUnkPenalty`


class unigram:
    """Text to pieces and back.

    pieces: every piece and the logarithm of its probability.
    unk: what stands for characters that no piece has.
    byte_fallback: such characters become the bytes of their UTF-8 instead, each as `<0xE2>`.
    Raises ValueError where there are no pieces, or one is empty.
    """

    def __init__(self, pieces: Mapping[str, float], unk: str = "<unk>", byte_fallback: bool = False) -> None:
        if not pieces or "" in pieces:
            raise ValueError(f"pieces: there are {len(pieces)}, and none may be empty")
        self.scores = dict(pieces)
        self.unk = unk
        self.byte_fallback = byte_fallback
        self.longest = max(len(piece) for piece in self.scores)
        self.unknown_score = min(self.scores.values()) - PENALTY

    def encode(self, text: str) -> list[str]:
        """The most probable pieces of a text, whose spaces are written as a mark; one more stands before the text."""
        if not text:
            return []
        marked = MARK + text.replace(" ", MARK)
        starts = self.best_starts(marked)
        cuts = [len(marked)]
        while cuts[-1] > 0:
            cuts.append(starts[cuts[-1]])
        cuts.reverse()
        found = [marked[start:end] for start, end in pairwise(cuts)]
        return self.named(found)

    def best_starts(self, marked: str) -> list[int]:
        """For every end in the text, where the last piece of the most probable cut up to there begins.

        A character that is no piece may stand alone, at a price.
        """
        best = [0.0] + [-math.inf] * len(marked)
        starts = [0] * (len(marked) + 1)
        for end in range(1, len(marked) + 1):
            for start in range(max(0, end - self.longest), end):
                piece = marked[start:end]
                score = self.scores.get(piece, -math.inf)
                if piece not in self.scores and end - start == 1:
                    score = self.unknown_score
                total = best[start] + score
                if total > best[end]:
                    best[end] = total
                    starts[end] = start
        return starts

    def named(self, found: Sequence[str]) -> list[str]:
        """The pieces, with a name for what is unknown: its bytes, or one `unk` for all that stand side by side."""
        named: list[str] = []
        for piece in found:
            if piece in self.scores:
                named.append(piece)
            elif self.byte_fallback:
                encoded = piece.encode("utf-8")
                named.extend(f"<0x{byte:02X}>" for byte in encoded)
            elif named[-1:] != [self.unk]:
                named.append(self.unk)
        return named

    def decode(self, pieces: Sequence[str]) -> str:
        """The text of the pieces: marks become spaces, less the one before the text.

        Bytes are put together first; what is no UTF-8 becomes U+FFFD.
        """
        joined = b""
        for piece in pieces:
            is_byte = self.byte_fallback and re.fullmatch("<0x[0-9A-F]{2}>", piece)
            joined += bytes([int(piece[3:5], 16)]) if is_byte else piece.encode("utf-8")
        text = joined.decode("utf-8", errors="replace")
        spaced = text.replace(MARK, " ")
        return spaced.removeprefix(" ")
