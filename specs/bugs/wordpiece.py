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


def _goes_back(self, word):
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


def _from_the_end(self, word):
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
    # cutting ---------------------------------------------------------------------------------------------------------
    KnownMistake("shortest_first", "You take the shortest piece that fits; the longest goes first.",
        wordpiece.encode_word, FITS + "\n    end -= 1",
        "end = start + 1\nwhile end <= len(word) and self.named(word, start, end) not in self.vocab:\n    end += 1\n"
        "end = start if end > len(word) else end"),
    KnownMistake("goes_back", "Where the longest piece leads nowhere you try shorter ones; WordPiece does not go back, the word is unknown.",
        wordpiece.encode_word, instead=_goes_back),
    KnownMistake("from_the_end", "You cut from the end of the word; the longest piece at its beginning goes first.",
        wordpiece.encode_word, instead=_from_the_end),
    KnownMistake("last_character_left_out", "The whole rest of the word is never tried: the slice ends one too early.",
        wordpiece.encode_word, END, "end = max(len(word) - 1, start + 1)"),
    KnownMistake("continuation_not_looked_up", "Pieces inside a word are looked up without ##: they are found as beginnings of words.",
        wordpiece.named, NAMED, "return part"),
    KnownMistake("continuation_not_marked", "Pieces inside a word are found with ## and returned without.",
        wordpiece.encode_word, APPEND, "pieces.append(word[start:end])"),
    KnownMistake("beginning_marked", "The first piece of a word is looked up with ## too.",
        wordpiece.named, NAMED, "return CONTINUES + part"),
    KnownMistake("beginnings_inside_words", "Where no piece with ## fits, the beginning of a word is taken inside one.",
        wordpiece.named, NAMED,
        "return part if start == 0 or (CONTINUES + part not in self.vocab and part in self.vocab) else CONTINUES + part"),
    KnownMistake("other_mark", "You mark pieces inside a word by @@; this vocabulary marks them by ##.",
        wordpiece.named, NAMED, 'return part if start == 0 else "@@" + part'),
    # the unknown -----------------------------------------------------------------------------------------------------
    KnownMistake("known_beginning_kept", "The pieces found before the unknown part are kept, and it alone is unknown; the whole word is.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    return [*pieces, self.unk]"),
    KnownMistake("unknown_characters_one_by_one", "Each unknown character becomes an unknown piece of its own; the whole word is one.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    pieces.append(self.unk)\n    start += 1\n    continue"),
    KnownMistake("unknown_characters_dropped", "Unknown characters are passed over; the whole word is unknown.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    start += 1\n    continue"),
    KnownMistake("unknown_words_dropped", "Unknown words are left out; each is one unknown piece.",
        wordpiece.encode, EXTEND, "pieces.extend(p for p in self.encode_word(word) if p != self.unk)"),
    KnownMistake("unknown_words_counted_together", "Unknown words side by side become one unknown piece; each word is one.",
        wordpiece.encode, EXTEND,
        "cut = self.encode_word(word)\npieces.extend(cut if cut != [self.unk] or pieces[-1:] != cut else [])"),
    KnownMistake("unknown_words_as_they_are", "Unknown words come back as themselves: no vocabulary has an id for them.",
        wordpiece.encode_word, NOWHERE, "if end == start:\n    return [word]"),
    KnownMistake("whole_text_unknown", "With one unknown word the whole text is unknown; the other words are cut as ever.",
        wordpiece.encode, "return pieces", "return [self.unk] if self.unk in pieces else pieces"),
    KnownMistake("name_of_unknown_ignored", "The unknown piece is always [UNK]; its name is an argument.",
        wordpiece.__init__, UNK, 'self.unk = "[UNK]"'),
    # long words ------------------------------------------------------------------------------------------------------
    KnownMistake("limit_counts_as_too_long", "A word of exactly max_chars characters is unknown; only a longer one is.",
        wordpiece.encode_word, LIMIT, "if len(word) >= self.max_chars:"),
    KnownMistake("limit_ignored", "Long words are cut however long they are; beyond max_chars they are unknown.",
        wordpiece.encode_word, LIMIT, "if False:"),
    KnownMistake("limit_in_bytes", "You count bytes; max_chars is in characters.",
        wordpiece.encode_word, LIMIT, 'if len(word.encode("utf-8")) > self.max_chars:'),
    KnownMistake("long_words_cut_off", "Long words are cut off at max_chars; they are unknown.",
        wordpiece.encode_word, TOO_LONG, "word = word[: self.max_chars]"),
    KnownMistake("long_words_dropped", "Long words are left out; they are unknown.",
        wordpiece.encode_word, TOO_LONG, "if len(word) > self.max_chars:\n    return []"),
    # words -----------------------------------------------------------------------------------------------------------
    KnownMistake("not_cut_at_white_space", "The text is cut as one word; words are what stands between white space.",
        wordpiece.encode, WORDS, "for word in [text] if text.strip() else []:"),
    KnownMistake("cut_at_single_spaces", "You split at ' ': two spaces give an empty word, and line ends stay inside words.",
        wordpiece.encode, WORDS, 'for word in text.split(" "):'),
    KnownMistake("empty_text_is_unknown", "The empty text is unknown; it has no pieces.",
        wordpiece.encode, WORDS, "for word in text.split() or [text]:",
        also=(Edit(wordpiece.encode, EXTEND, "pieces.extend(self.encode_word(word) or [self.unk])"),)),
    KnownMistake("accents_dropped", "Accents are taken off before the word is cut.",
        wordpiece.encode, WORDS,
        "import unicodedata\n"
        "text = ''.join(c for c in unicodedata.normalize('NFD', text) if unicodedata.category(c) != 'Mn')\n" + WORDS),
    # decoding --------------------------------------------------------------------------------------------------------
    KnownMistake("marks_left", "The mark ## stays in the text.",
        wordpiece.decode, ADDED, "words[-1] += piece"),
    KnownMistake("pieces_apart", "Pieces are joined with spaces between them; what ## continues belongs to the word before.",
        wordpiece.decode, CONTINUED, "piece = piece.removeprefix(CONTINUES)\nif False:"),
    KnownMistake("words_together", "Words are joined without a space between them.",
        wordpiece.decode, JOINED, 'return "".join(words)'),
    KnownMistake("space_behind", "Each word leaves a space behind it, the last one too.",
        wordpiece.decode, JOINED, 'return "".join(word + " " for word in words)'),
)
