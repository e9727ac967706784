"""Known mistakes in the unigram tokenizer."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.unigram import unigram

BEST = "best = [0.0] + [-math.inf] * len(marked)"
MARKED = 'marked = MARK + text.replace(" ", MARK)'
ENDS = "for end in range(1, len(marked) + 1):"
SPANS = "for start in range(max(0, end - self.longest), end):"
SCORE = "score = self.scores.get(piece, -math.inf)"
ALONE = "if piece not in self.scores and end - start == 1:"
PRICE = "score = self.unknown_score"
TOTAL = "total = best[start] + score"
BETTER = "if total > best[end]:"
EMPTY = "if not text:\n    return []"
FALLBACK = "elif self.byte_fallback:"
ENCODED = 'encoded = piece.encode("utf-8")'
SIDE = "elif named[-1:] != [self.unk]:"
IS_BYTE = 'is_byte = self.byte_fallback and re.fullmatch("<0x[0-9A-F]{2}>", piece)'
JOINED = 'joined += bytes([int(piece[3:5], 16)]) if is_byte else piece.encode("utf-8")'
TEXT = 'text = joined.decode("utf-8", errors="replace")'
SPACED = 'spaced = text.replace(MARK, " ")'
RETURN = 'return spaced.removeprefix(" ")'


def _longest_match(self, marked):
    starts, at = [0] * (len(marked) + 1), 0
    while at < len(marked):
        ends = range(min(len(marked), at + self.longest), at, -1)
        end = next((end for end in ends if marked[at:end] in self.scores), at + 1)
        starts[end] = at
        at = end
    return starts


def _best_piece_next(self, marked):
    starts, at = [0] * (len(marked) + 1), 0
    while at < len(marked):
        ends = [end for end in range(at + 1, min(len(marked), at + self.longest) + 1) if marked[at:end] in self.scores]
        end = max(ends, key=lambda end: self.scores[marked[at:end]], default=at + 1)
        starts[end] = at
        at = end
    return starts


MISTAKES = (
    # the best way ----------------------------------------------------------------------------------------------------
    KnownMistake("longest_match", "You take the longest piece that fits and go on behind it; the most probable way to cut the whole is asked for.",
        unigram.best_starts, instead=_longest_match),
    KnownMistake("best_piece_next", "You take the most probable next piece and go on behind it; a better way may begin with a worse piece.",
        unigram.best_starts, instead=_best_piece_next),
    KnownMistake("fewest_pieces", "You take the fewest pieces; their probabilities decide, not their number.",
        unigram.best_starts, SCORE, "score = -1.0 if piece in self.scores else -math.inf"),
    KnownMistake("least_probable", "You take the scores for costs and look for the smallest sum: the least probable way wins.",
        unigram.best_starts, BETTER, "if total < best[end]:", also=(
            Edit(unigram.best_starts, BEST, "best = [0.0] + [math.inf] * len(marked)"),
            Edit(unigram.best_starts, SCORE, "score = self.scores.get(piece, math.inf)"),
        )),
    KnownMistake("last_piece_alone", "Only the last piece's score counts: that of the way up to its beginning is not added.",
        unigram.best_starts, TOTAL, "total = score if best[start] > -math.inf else -math.inf"),
    KnownMistake("scores_as_probabilities", "You add up probabilities; of logarithms the sum is taken, of probabilities the product.",
        unigram.best_starts, SCORE, "score = math.exp(self.scores[piece]) if piece in self.scores else -math.inf"),
    KnownMistake("score_per_character", "You divide each score by the length of its piece: long pieces win.",
        unigram.best_starts, TOTAL, "total = best[start] + score / (end - start)"),
    KnownMistake("first_way_kept", "The first way that reaches an end is kept, whether a later one is better or not.",
        unigram.best_starts, BETTER, "if total > best[end] and best[end] == -math.inf:"),
    KnownMistake("last_way_kept", "The last way that reaches an end is kept, whether an earlier one was better or not.",
        unigram.best_starts, BETTER, "if total > -math.inf:"),
    KnownMistake("unreachable_counts_as_zero", "Every end begins with the score 0, not minus infinity: what is below it is never taken.",
        unigram.best_starts, BEST, "best = [0.0] * (len(marked) + 1)", looks_like=("last_character_left_out",)),
    KnownMistake("last_character_left_out", "The last character is never reached: the ends go up to the length, included.",
        unigram.best_starts, ENDS, "for end in range(1, len(marked)):", looks_like=("unreachable_counts_as_zero",)),
    KnownMistake("longest_pieces_never_tried", "Pieces as long as the longest are never tried: the range ends one too early.",
        unigram.best_starts, SPANS, "for start in range(max(0, end - max(1, self.longest - 1)), end):"),
    KnownMistake("backwards", "The pieces come back from the last to the first.",
        unigram.encode, "return self.named(found)", "return self.named(found[::-1])"),
    # spaces ----------------------------------------------------------------------------------------------------------
    KnownMistake("spaces_lost", "Spaces are dropped; they become the mark, so that the text can be put together again.",
        unigram.encode, MARKED, 'marked = MARK + text.replace(" ", "")'),
    KnownMistake("mark_forgotten", "The mark before the text is missing, while decoding takes one off.",
        unigram.encode, MARKED, 'marked = text.replace(" ", MARK)'),
    KnownMistake("mark_doubled", "Two marks stand before the text.",
        unigram.encode, MARKED, 'marked = MARK + MARK + text.replace(" ", MARK)'),
    KnownMistake("mark_behind", "The mark stands behind each word; it stands before.",
        unigram.encode, MARKED, 'marked = text.replace(" ", MARK) + MARK'),
    KnownMistake("lower_case", "The text is written in small letters before it is cut.",
        unigram.encode, MARKED, 'marked = MARK + text.lower().replace(" ", MARK)'),
    KnownMistake("mark_of_nothing", "The empty text gets a mark; it has no pieces.",
        unigram.encode, EMPTY, "pass"),
    KnownMistake("mark_left", "The mark is not turned back into a space.",
        unigram.decode, SPACED, "spaced = text"),
    KnownMistake("space_before_left", "The space before the text, which the first mark leaves, is not taken off.",
        unigram.decode, RETURN, "return spaced"),
    KnownMistake("stripped", "All spaces at both ends are taken off; only the one that the first mark leaves is too many.",
        unigram.decode, RETURN, "return spaced.strip()"),
    KnownMistake("stripped_on_the_left", "All spaces before the text are taken off; only the first was added.",
        unigram.decode, RETURN, "return spaced.lstrip()"),
    KnownMistake("first_character_cut", "The first character is cut off whatever it is; only a space that the mark leaves is too many.",
        unigram.decode, RETURN, "return spaced[1:]"),
    KnownMistake("joined_by_spaces", "The pieces are joined with spaces between them; the marks say where spaces are.",
        unigram.decode, JOINED, 'joined += bytes([int(piece[3:5], 16)]) if is_byte else b" " * bool(joined) + piece.encode("utf-8")'),
    # the unknown -----------------------------------------------------------------------------------------------------
    KnownMistake("unknown_raises", "A character that no piece has raises an error; it is unknown, and the rest is cut as ever.",
        unigram.best_starts, PRICE, 'raise KeyError(piece)'),
    KnownMistake("all_unknown", "With one unknown character the whole text is unknown; the rest is cut as ever.",
        unigram.encode, "return self.named(found)", "return self.named(found) if all(p in self.scores for p in found) else [self.unk]"),
    KnownMistake("unknown_dropped", "Unknown characters are dropped without a trace.",
        unigram.named, SIDE, "elif False:"),
    KnownMistake("unknown_returned_as_it_is", "Unknown characters come back as themselves: no vocabulary has an id for them.",
        unigram.named, "named.append(self.unk)", "named.append(piece)"),
    KnownMistake("fallback_ignored", "With byte fallback, unknown characters are still unknown.",
        unigram.named, FALLBACK, "elif False:"),
    KnownMistake("code_points_for_bytes", "You write the code point of an unknown character; its bytes in UTF-8 are asked for.",
        unigram.named, ENCODED, 'encoded = [ord(c) for c in piece]'),
    KnownMistake("one_byte_at_a_time", "Bytes are decoded one at a time: a character of several bytes becomes U+FFFD.",
        unigram.decode, JOINED, 'joined += bytes([int(piece[3:5], 16)]).decode("utf-8", "replace").encode() if is_byte else piece.encode("utf-8")'),
    KnownMistake("bytes_left_as_names", "The names of bytes stay in the text: <0xC3> is not turned back into its byte.",
        unigram.decode, IS_BYTE, "is_byte = None"),
)
