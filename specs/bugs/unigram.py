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


def _greedy_most_probable_piece(self, marked):
    starts, at = [0] * (len(marked) + 1), 0
    while at < len(marked):
        ends = [end for end in range(at + 1, min(len(marked), at + self.longest) + 1) if marked[at:end] in self.scores]
        end = max(ends, key=lambda end: self.scores[marked[at:end]], default=at + 1)
        starts[end] = at
        at = end
    return starts


MISTAKES = (
    # the most probable segmentation ----------------------------------------------------------------------------------------------------
    KnownMistake("longest_match", "The longest matching piece is taken at each position. The most probable segmentation of the whole text is required.",
        unigram.best_starts, instead=_longest_match),
    KnownMistake("greedy_most_probable_piece", "The most probable next piece is taken at each position. A better segmentation may start with a less probable piece.",
        unigram.best_starts, instead=_greedy_most_probable_piece, aliases=("best_piece_next",)),
    KnownMistake("fewest_pieces", "The segmentation with the fewest pieces is taken. The most probable one is required.",
        unigram.best_starts, SCORE, "score = -1.0 if piece in self.scores else -math.inf"),
    KnownMistake("least_probable", "The scores are minimised, as if they were costs: the least probable segmentation wins.",
        unigram.best_starts, BETTER, "if total < best[end]:", also=(
            Edit(unigram.best_starts, BEST, "best = [0.0] + [math.inf] * len(marked)"),
            Edit(unigram.best_starts, SCORE, "score = self.scores.get(piece, math.inf)"),
        )),
    KnownMistake("only_the_last_piece_scored", "Only the score of the last piece counts. Add the score of the best path up to its start.",
        unigram.best_starts, TOTAL, "total = score if best[start] > -math.inf else -math.inf", aliases=("last_piece_alone",)),
    KnownMistake("probabilities_added", "Probabilities are added. Add log-probabilities, or multiply probabilities.",
        unigram.best_starts, SCORE, "score = math.exp(self.scores[piece]) if piece in self.scores else -math.inf", aliases=("scores_as_probabilities",)),
    KnownMistake("score_per_character", "Each score is divided by the length of its piece: long pieces win.",
        unigram.best_starts, TOTAL, "total = best[start] + score / (end - start)"),
    KnownMistake("first_path_kept", "The first path to a position is kept, even if a later one scores higher.",
        unigram.best_starts, BETTER, "if total > best[end] and best[end] == -math.inf:", aliases=("first_way_kept",)),
    KnownMistake("last_path_kept", "The last path to a position is kept, even if an earlier one scores higher.",
        unigram.best_starts, BETTER, "if total > -math.inf:", aliases=("last_way_kept",)),
    KnownMistake("unreached_positions_score_zero", "Every position starts with score 0, not minus infinity. Scores are negative, so no path ever replaces it.",
        unigram.best_starts, BEST, "best = [0.0] * (len(marked) + 1)", looks_like=("last_character_left_out",), aliases=("unreachable_counts_as_zero",)),
    KnownMistake("last_character_left_out", "The last position is never reached: the loop must include the length of the text.",
        unigram.best_starts, ENDS, "for end in range(1, len(marked)):", looks_like=("unreached_positions_score_zero",)),
    KnownMistake("longest_pieces_never_tried", "Pieces of the maximum length are never tried: the range ends one too early.",
        unigram.best_starts, SPANS, "for start in range(max(0, end - max(1, self.longest - 1)), end):"),
    KnownMistake("pieces_reversed", "The pieces are returned in reverse order.",
        unigram.encode, "return self.named(found)", "return self.named(found[::-1])", aliases=("backwards",)),
    # spaces ----------------------------------------------------------------------------------------------------------
    KnownMistake("spaces_dropped", "Spaces are dropped. Replace each with the space marker (U+2581), so that decoding can restore it.",
        unigram.encode, MARKED, 'marked = MARK + text.replace(" ", "")', aliases=("spaces_lost",)),
    KnownMistake("leading_marker_forgotten", "The space marker (U+2581) before the text is missing, but decoding removes one.",
        unigram.encode, MARKED, 'marked = text.replace(" ", MARK)', aliases=("mark_forgotten",)),
    KnownMistake("leading_marker_doubled", "Two space markers (U+2581) are put before the text. There must be one.",
        unigram.encode, MARKED, 'marked = MARK + MARK + text.replace(" ", MARK)', aliases=("mark_doubled",)),
    KnownMistake("marker_after_the_word", "The space marker (U+2581) comes after each word. It comes before.",
        unigram.encode, MARKED, 'marked = text.replace(" ", MARK) + MARK', aliases=("mark_behind",)),
    KnownMistake("lower_cased", "The text is lower-cased before it is encoded.",
        unigram.encode, MARKED, 'marked = MARK + text.lower().replace(" ", MARK)', aliases=("lower_case",)),
    KnownMistake("empty_text_gets_a_marker", "The empty text gives a space marker (U+2581). It must give no pieces.",
        unigram.encode, EMPTY, "pass", aliases=("mark_of_nothing",)),
    KnownMistake("marker_not_decoded", "The space marker (U+2581) is not replaced by a space.",
        unigram.decode, SPACED, "spaced = text", aliases=("mark_left",)),
    KnownMistake("leading_space_not_removed", "The leading space, which comes from the first marker, is not removed.",
        unigram.decode, RETURN, "return spaced", aliases=("space_before_left",)),
    KnownMistake("white_space_stripped", "All spaces at both ends are stripped. Remove only the leading space that comes from the first marker.",
        unigram.decode, RETURN, "return spaced.strip()", aliases=("stripped",)),
    KnownMistake("leading_spaces_stripped", "All leading spaces are stripped. Remove only the first, which comes from the first marker.",
        unigram.decode, RETURN, "return spaced.lstrip()", aliases=("stripped_on_the_left",)),
    KnownMistake("first_character_removed", "The first character is always removed. Remove it only if it is the space from the first marker.",
        unigram.decode, RETURN, "return spaced[1:]", aliases=("first_character_cut",)),
    KnownMistake("joined_by_spaces", "The pieces are joined with spaces. The markers show where the spaces are.",
        unigram.decode, JOINED, 'joined += bytes([int(piece[3:5], 16)]) if is_byte else b" " * bool(joined) + piece.encode("utf-8")'),
    # unknown characters -----------------------------------------------------------------------------------------------------
    KnownMistake("unknown_raises", "A character in no piece raises an error. It is unknown, and the rest is segmented as usual.",
        unigram.best_starts, PRICE, 'raise KeyError(piece)'),
    KnownMistake("whole_text_unknown", "One unknown character makes the whole text unknown. The rest must be segmented as usual.",
        unigram.encode, "return self.named(found)", "return self.named(found) if all(p in self.scores for p in found) else [self.unk]", aliases=("all_unknown",)),
    KnownMistake("unknown_dropped", "Unknown characters are silently dropped.",
        unigram.named, SIDE, "elif False:"),
    KnownMistake("unknown_returned_verbatim", "Unknown characters are returned verbatim. No vocabulary has an id for them.",
        unigram.named, "named.append(self.unk)", "named.append(piece)", aliases=("unknown_returned_as_it_is",)),
    KnownMistake("byte_fallback_ignored", "byte_fallback is ignored: unknown characters become the unknown piece.",
        unigram.named, FALLBACK, "elif False:", aliases=("fallback_ignored",)),
    KnownMistake("code_points_for_bytes", "The code point of an unknown character is written. Write its UTF-8 bytes.",
        unigram.named, ENCODED, 'encoded = [ord(c) for c in piece]'),
    KnownMistake("bytes_decoded_one_at_a_time", "Bytes are decoded one at a time: a multi-byte character becomes U+FFFD. Join the bytes first.",
        unigram.decode, JOINED, 'joined += bytes([int(piece[3:5], 16)]).decode("utf-8", "replace").encode() if is_byte else piece.encode("utf-8")', aliases=("one_byte_at_a_time",)),
    KnownMistake("byte_pieces_not_decoded", "Byte pieces stay in the text: <0xC3> is not replaced by its byte.",
        unigram.decode, IS_BYTE, "is_byte = None", aliases=("bytes_left_as_names",)),
)
