"""Known mistakes in WordPiece."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.wordpiece import wordpiece

WORDS = "for word in text.split():"
EXTEND = "pieces.extend(self.encode_word(word))"
TOO_LONG = "if len(word) > self.max_chars:\n    return [self.unk]"
LIMIT = "if len(word) > self.max_chars:"
END = "end = len(word)"
FITS = "while end > start and self.named(word, start, end) not in self.vocab:"
NOWHERE = "if end == start:\n    return [self.unk]"
APPEND = "pieces.append(self.named(word, start, end))"
NAMED = "return part if start == 0 else CONTINUES + part"
CONTINUED = "if piece.startswith(CONTINUES) and words:"
ADDED = "words[-1] += piece.removeprefix(CONTINUES)"
JOINED = 'return " ".join(words)'
UNK = "self.unk = unk"


def _backtracks(self, word):
    if len(word) > self.max_chars:
        return [self.unk]

    def ways(start):
        if start == len(word):
            return []
        for end in range(len(word), start, -1):
            if self.named(word, start, end) in self.vocab:
                rest = ways(end)
                if rest is not None:
                    return [self.named(word, start, end), *rest]
        return None

    return ways(0) or [self.unk]


def _longest_suffix_first(self, word):
    if len(word) > self.max_chars:
        return [self.unk]
    pieces: list[str] = []
    end = len(word)
    while end > 0:
        start = next((start for start in range(end) if self.named(word, start, end) in self.vocab), None)
        if start is None:
            return [self.unk]
        pieces.insert(0, self.named(word, start, end))
        end = start
    return pieces


MISTAKES = (
    # splitting ---------------------------------------------------------------------------------------------------------
    KnownMistake("shortest_first", "The shortest matching piece is taken. Take the longest.",
        wordpiece.encode_word, FITS + "\n    end -= 1",
        "end = start + 1\nwhile end <= len(word) and self.named(word, start, end) not in self.vocab:\n    end += 1\n"
        "end = start if end > len(word) else end"),
    KnownMistake("backtracks", "When the longest piece leads to a dead end, shorter ones are tried. WordPiece does not backtrack: the word is unknown.",
        wordpiece.encode_word, instead=_backtracks, aliases=("goes_back",)),
    KnownMistake("longest_suffix_first", "The word is split from its end. Take the longest piece at its start first.",
        wordpiece.encode_word, instead=_longest_suffix_first, aliases=("from_the_end",)),
    KnownMistake("last_character_left_out", "The whole rest of the word is never tried: the slice ends one too early.",
        wordpiece.encode_word, END, "end = max(len(word) - 1, start + 1)"),
    KnownMistake("continuation_looked_up_without_mark", "Pieces inside a word are looked up without ##: they match pieces that start a word.",
        wordpiece.named, NAMED, "return part", aliases=("continuation_not_looked_up",)),
    KnownMistake("continuation_returned_without_mark", "Pieces inside a word are looked up with ## but returned without it.",
        wordpiece.encode_word, APPEND, "pieces.append(word[start:end])", aliases=("continuation_not_marked",)),
    KnownMistake("first_piece_marked", "The first piece of a word is looked up with ## too. Only later pieces have the mark.",
        wordpiece.named, NAMED, "return CONTINUES + part", aliases=("beginning_marked",)),
    KnownMistake("word_starts_inside_words", "If no piece with ## matches, a piece that starts a word is used inside one.",
        wordpiece.named, NAMED,
        "return part if start == 0 or (CONTINUES + part not in self.vocab and part in self.vocab) else CONTINUES + part", aliases=("beginnings_inside_words",)),
    KnownMistake("wrong_continuation_mark", "Pieces inside a word are marked with @@. This vocabulary uses ##.",
        wordpiece.named, NAMED, 'return part if start == 0 else "@@" + part', aliases=("other_mark",)),
    # unknown words -----------------------------------------------------------------------------------------------------
    KnownMistake("known_pieces_kept", "The pieces before the unknown part are kept, and only the rest is unknown. The whole word is unknown.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    return [*pieces, self.unk]", aliases=("known_beginning_kept",)),
    KnownMistake("unknown_characters_one_by_one", "Each unknown character becomes its own unknown piece. The whole word is one unknown piece.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    pieces.append(self.unk)\n    start += 1\n    continue"),
    KnownMistake("unknown_characters_dropped", "Unknown characters are skipped. The whole word is unknown.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    start += 1\n    continue"),
    KnownMistake("unknown_words_dropped", "Unknown words are dropped. Each is one unknown piece.",
        wordpiece.encode, EXTEND, "pieces.extend(p for p in self.encode_word(word) if p != self.unk)"),
    KnownMistake("adjacent_unknown_words_merged", "Adjacent unknown words become one unknown piece. Each word is one unknown piece.",
        wordpiece.encode, EXTEND,
        "cut = self.encode_word(word)\npieces.extend(cut if cut != [self.unk] or pieces[-1:] != cut else [])", aliases=("unknown_words_counted_together",)),
    KnownMistake("unknown_returned_verbatim", "Unknown words are returned verbatim. No vocabulary has an id for them.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    return [word]", aliases=("unknown_words_as_they_are",)),
    KnownMistake("whole_text_unknown", "One unknown word makes the whole text unknown. The other words must be split as usual.",
        wordpiece.encode, "return pieces", "return [self.unk] if self.unk in pieces else pieces"),
    KnownMistake("unk_ignored", "The unk argument is ignored: the unknown piece is always [UNK].",
        wordpiece.__init__, UNK, 'self.unk = "[UNK]"', aliases=("name_of_unknown_ignored",)),
    # long words ------------------------------------------------------------------------------------------------------
    KnownMistake("limit_is_exclusive", "A word of exactly max_chars characters is unknown. Only longer words are.",
        wordpiece.encode_word, LIMIT, "if len(word) >= self.max_chars:", aliases=("limit_counts_as_too_long",)),
    KnownMistake("limit_ignored", "max_chars is ignored: longer words are split. They must be unknown.",
        wordpiece.encode_word, LIMIT, "if False:"),
    KnownMistake("limit_in_bytes", "The limit is compared with the number of bytes. max_chars counts characters.",
        wordpiece.encode_word, LIMIT, 'if len(word.encode("utf-8")) > self.max_chars:'),
    KnownMistake("long_words_truncated", "Words longer than max_chars are truncated. They must be unknown.",
        wordpiece.encode_word, TOO_LONG, "word = word[: self.max_chars]", aliases=("long_words_cut_off",)),
    KnownMistake("long_words_dropped", "Words longer than max_chars are dropped. They must be unknown.",
        wordpiece.encode_word, TOO_LONG, "if len(word) > self.max_chars:\n    return []"),
    # words -----------------------------------------------------------------------------------------------------------
    KnownMistake("not_split_at_white_space", "The text is treated as one word. Split it at white space.",
        wordpiece.encode, WORDS, "for word in [text] if text.strip() else []:", aliases=("not_cut_at_white_space",)),
    KnownMistake("split_at_single_spaces", "The text is split at \" \": two spaces give an empty word, and line ends stay inside words. Use split().",
        wordpiece.encode, WORDS, 'for word in text.split(" "):', aliases=("cut_at_single_spaces",)),
    KnownMistake("empty_text_is_unknown", "The empty text gives an unknown piece. It must give no pieces.",
        wordpiece.encode, WORDS, "for word in text.split() or [text]:",
        also=(Edit(wordpiece.encode, EXTEND, "pieces.extend(self.encode_word(word) or [self.unk])"),)),
    KnownMistake("accents_stripped", "Accents are stripped before the word is split.",
        wordpiece.encode, WORDS,
        "import unicodedata\n"
        "text = ''.join(c for c in unicodedata.normalize('NFD', text) if unicodedata.category(c) != 'Mn')\n" + WORDS, aliases=("accents_dropped",)),
    # decoding --------------------------------------------------------------------------------------------------------
    KnownMistake("continuation_marks_left", "The mark ## stays in the decoded text.",
        wordpiece.decode, ADDED, "words[-1] += piece", aliases=("marks_left",)),
    KnownMistake("pieces_joined_by_spaces", "Pieces are joined with spaces. A piece with ## continues the previous word.",
        wordpiece.decode, CONTINUED, "piece = piece.removeprefix(CONTINUES)\nif False:", aliases=("pieces_apart",)),
    KnownMistake("words_joined_without_spaces", "Words are joined without spaces between them.",
        wordpiece.decode, JOINED, 'return "".join(words)', aliases=("words_together",)),
    KnownMistake("trailing_space", "A space follows every word, also the last one.",
        wordpiece.decode, JOINED, 'return "".join(word + " " for word in words)', aliases=("space_behind",)),
)
