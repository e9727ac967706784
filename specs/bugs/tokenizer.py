"""Known mistakes in the tokenizer."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.tokenizer import byte_pair_encode, merge_pair, pair_rank, split_special, tokenizer

PATTERN = "self.pattern = regex.compile(pattern)"
RANKS = "self.ranks = dict(ranks)"
BYTES_OF = "self.bytes_of = {rank: token for token, rank in self.ranks.items()}"
SPECIAL_BYTES = 'self.bytes_of[special_id] = token.encode("utf-8")'
REFUSE = "refuse_surrogates(text)"
ALLOWED = "allowed = self.allowed(allowed_special)"
PARTS = "for part in split_special(text, allowed):"
ORDINARY = "ids.extend(self.encode_ordinary(part))"
PIECES = "pieces = [match.group() for match in self.pattern.finditer(text)]"
ENCODED = 'encoded = piece.encode("utf-8")'
MERGED = "parts = byte_pair_encode(encoded, self.ranks)"
LOOKED_UP = "ids.extend(self.id_of(part) for part in parts)"
LOWEST = "lowest = min(pair_ranks)"
BEST = "best = pair_ranks.index(lowest)"
JOINED = "joined = self.decode_bytes(ids)"
TEXT = 'return joined.decode("utf-8", errors="replace")'
LONGEST = "longest_first = sorted(special, key=len, reverse=True)"
ALTERNATIVES = 'alternatives = "|".join(regex.escape(token) for token in longest_first)'
SPLIT = 'parts = regex.split(f"({alternatives})", text)'


def _longest_match(piece, ranks):
    parts, at = [], 0
    while at < len(piece):
        end = next(end for end in range(len(piece), at, -1) if piece[at:end] in ranks or end == at + 1)
        parts.append(piece[at:end])
        at = end
    return parts


def _left_to_right(piece, ranks):
    parts, going = [bytes([byte]) for byte in piece], True
    while going:
        found, at, going = [], 0, False
        while at < len(parts):
            if at + 1 < len(parts) and parts[at] + parts[at + 1] in ranks:
                found.append(parts[at] + parts[at + 1])
                at, going = at + 2, True
            else:
                found.append(parts[at])
                at += 1
        parts = found
    return parts


def _only_the_first_occurrence_merged(piece, ranks):
    parts, done = [bytes([byte]) for byte in piece], set()
    while True:
        pairs = [(ranks.get(parts[i] + parts[i + 1], math.inf), i) for i in range(len(parts) - 1)]
        pairs = [(rank, i) for rank, i in pairs if rank < math.inf and rank not in done]
        if not pairs:
            return parts
        rank, at = min(pairs)
        done.add(rank)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def _overlapping_pairs_both_merged(piece, ranks):
    parts = [bytes([byte]) for byte in piece]
    while True:
        known = [ranks[parts[i] + parts[i + 1]] for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in ranks]
        if not known:
            return parts
        lowest, found, at = min(known), [], 0
        while at < len(parts):
            if at + 1 < len(parts) and ranks.get(parts[at] + parts[at + 1]) == lowest:
                found.append(parts[at] + parts[at + 1])
                overlaps = at + 2 < len(parts) and ranks.get(parts[at + 1] + parts[at + 2]) == lowest
                at += 1 if overlaps else 2
            else:
                found.append(parts[at])
                at += 1
        parts = found


MISTAKES = (
    # bytes -----------------------------------------------------------------------------------------------------------
    KnownMistake("characters_for_bytes", "Non-ASCII characters are encoded as ord(character). Encode the text as UTF-8 bytes first.",
        tokenizer.encode_ordinary, ENCODED,
        "if not piece.isascii():\n    ids.extend(ord(character) for character in piece)\n    continue\n" + ENCODED),
    KnownMistake("encoded_as_latin_1", "The text is encoded as Latin-1, with \"?\" for every other character. Use UTF-8, which covers every character.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("latin-1", "replace")', aliases=("latin_1",)),
    KnownMistake("encoded_as_utf_16", "The text is encoded as UTF-16. GPT-2 uses UTF-8.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("utf-16-le")', aliases=("utf_16",)),
    KnownMistake("soft_hyphen_byte_lost", "The byte 0xAD is missing from the byte table (it lies alone between two ranges) and is dropped.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("utf-8").replace(bytes([0xAD]), b"")'),
    KnownMistake("printable_bytes_only", "Bytes without a printable character are dropped. All 256 bytes have an id.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = bytes(b for b in piece.encode("utf-8") if b >= 32 and b != 127)'),
    # merging ---------------------------------------------------------------------------------------------------------
    KnownMistake("longest_match", "The longest matching token is taken, as in WordPiece. BPE merges the pair with the lowest rank first.",
        byte_pair_encode, instead=_longest_match),
    KnownMistake("left_to_right", "Any known pair is merged, from left to right. The pair with the lowest rank is merged first, wherever it is.",
        byte_pair_encode, instead=_left_to_right, seen_in=("rasbt/LLMs-from-scratch#558",)),
    KnownMistake("highest_rank_first", "The pair with the highest rank is merged first. Merge the lowest rank first: it was learned first.",
        byte_pair_encode, LOWEST, "lowest = max((rank for rank in pair_ranks if rank < math.inf), default=math.inf)"),
    KnownMistake("rightmost_first", "Of equal pairs the rightmost is merged first: aaa becomes a, aa. Merge the leftmost first.",
        byte_pair_encode, BEST, "best = len(pair_ranks) - 1 - pair_ranks[::-1].index(lowest)"),
    KnownMistake("only_the_first_occurrence_merged", "A pair is merged only at its first occurrence. Merge every occurrence.",
        byte_pair_encode, instead=_only_the_first_occurrence_merged, aliases=("each_pair_once",)),
    KnownMistake("overlapping_pairs_both_merged", "Both of two overlapping pairs are merged: aaa becomes aa, aa, which duplicates a byte.",
        byte_pair_encode, instead=_overlapping_pairs_both_merged, aliases=("overlapping",)),
    KnownMistake("nothing_merged", "The rank of a single token is looked up, not the rank of the pair: nothing is merged, and every byte is one id.",
        byte_pair_encode, "while pair_ranks:", "while False:", seen_in=("pie-project/pie#84",), aliases=("rank_of_a_single_token",)),
    KnownMistake("one_merge_only", "Only one merge per piece is applied. Continue until no pair has a rank.",
        byte_pair_encode, "merge_pair(parts, pair_ranks, best, ranks)", "merge_pair(parts, pair_ranks, best, ranks)\nbreak"),
    KnownMistake("whole_pieces_only", "A piece that is a token becomes one id, and any other piece stays as bytes. The pairs inside must be merged.",
        tokenizer.encode_ordinary, MERGED, "parts = [encoded] if encoded in self.ranks else [bytes([byte]) for byte in encoded]"),
    KnownMistake("left_pair_rank_not_updated", "After a merge the pair with the left neighbour keeps its old rank. It is a new pair: look up its rank.",
        merge_pair, "pair_ranks[index - 1] = pair_rank(parts, index - 1, ranks)", "pass", aliases=("left_neighbour_not_ranked_again",)),
    KnownMistake("merges_limited_to_four_bytes", "Tokens longer than four bytes are never merged. There is no such limit.",
        pair_rank, "return ranks.get(joined, math.inf)", "return ranks.get(joined, math.inf) if len(joined) <= 4 else math.inf", aliases=("long_tokens_never_made",)),
    KnownMistake("merge_cache_shared_by_vocabularies", "The cache of merged pieces is shared by all vocabularies.",
        tokenizer.encode_ordinary, MERGED,
        "parts = byte_pair_encode.__dict__.setdefault(encoded, byte_pair_encode(encoded, self.ranks))", aliases=("merges_kept_for_all_vocabularies",)),
    KnownMistake("merge_cache_ignores_case", "The cache of merged pieces is keyed by lower case: \"The\" after \"the\" gets the ids of \"the\".",
        tokenizer.encode_ordinary, MERGED,
        "cache = self.__dict__.setdefault('cache', {})\n"
        "parts = cache.setdefault(piece.lower(), byte_pair_encode(encoded, self.ranks))", aliases=("merges_kept_by_lower_case",)),
    KnownMistake("merge_cache_keyed_by_length", "The cache of merged pieces is keyed by length: two words of the same length get the same ids.",
        tokenizer.encode_ordinary, MERGED,
        "cache = self.__dict__.setdefault('cache', {})\n"
        "parts = cache.setdefault(len(encoded), byte_pair_encode(encoded, self.ranks))", aliases=("merges_kept_by_length",)),
    # the pattern -----------------------------------------------------------------------------------------------------
    KnownMistake("not_pre_tokenized", "The text is not split by the pattern before merging: merges cross word boundaries.",
        tokenizer.encode_ordinary, PIECES, "pieces = [text] if text else []", aliases=("not_cut",)),
    KnownMistake("pattern_ignored", "The pattern argument is ignored: the text is always split by GPT-2's pattern.",
        tokenizer.__init__, PATTERN, "self.pattern = regex.compile(GPT2_PATTERN)"),
    KnownMistake("trailing_space_rule_dropped", "The alternative \\s+(?!\\S) is missing: the last space of a run belongs to the word that follows.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"|\s+(?!\S)", ""))'),
    KnownMistake("contractions_forgotten", "The alternatives 's, 't, 're, ... are missing. A contraction is a separate piece.",
        tokenizer.__init__, PATTERN, 'self.pattern = regex.compile(pattern.replace("\'s|\'t|\'re|\'ve|\'m|\'ll|\'d| ?", " ?", 1))'),
    KnownMistake("contractions_of_any_case", "Contractions are also split in upper case ('S, 'LL), as in GPT-4. GPT-2's pattern matches only lower case.",
        tokenizer.__init__, PATTERN, 'self.pattern = regex.compile(pattern.replace("\'s|\'t|\'re|\'ve|\'m|\'ll|\'d|", "(?i:\'s|\'t|\'re|\'ve|\'m|\'ll|\'d)|"))'),
    KnownMistake("ascii_letters_only", "The pattern uses [A-Za-z] for letters. \\p{L} matches the letters of every script.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+", " ?[A-Za-z]+").replace(r"[^\s\p{L}\p{N}]", r"[^\sA-Za-z\p{N}]"))', aliases=("letters_a_to_z",)),
    KnownMistake("word_characters", "The pattern uses \\w for \\p{L} and \\p{N}: letters, digits, marks and underscores stay in one piece.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+", r" ?\w+| ?[^\s\w]+"))'),
    KnownMistake("letters_and_numbers_together", "Letters and numbers form one piece. GPT-2 splits \"a1\" into two pieces.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+| ?\p{N}+|", r" ?[\p{L}\p{N}]+|"))'),
    KnownMistake("ascii_digits_only", "The pattern uses [0-9] (or \\d) for numbers. \\p{N} also matches fractions, superscripts and Roman numerals.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"\p{N}+", "[0-9]+").replace(r"\p{L}\p{N}]", r"\p{L}0-9]"))', aliases=("digits_0_to_9",)),
    KnownMistake("digits_in_groups_of_three", "Numbers are split into groups of three digits, as in GPT-4. GPT-2 keeps the whole run.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"\p{N}+", r"\p{N}{1,3}"))', aliases=("digits_by_threes",)),
    KnownMistake("digits_one_by_one", "Every digit is a separate piece, as in some later models. GPT-2 keeps the whole run.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"\p{N}+", r"\p{N}"))'),
    KnownMistake("space_before_punctuation_split_off", "The space before punctuation is split off. In GPT-2 it belongs to the piece, as before a word.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?[^\s\p{L}\p{N}]+", r"[^\s\p{L}\p{N}]+"))', aliases=("no_space_before_punctuation",)),
    KnownMistake("space_before_numbers_split_off", "The space before a number is split off. In GPT-2 it belongs to the piece, as before a word.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{N}+", r"\p{N}+"))', aliases=("no_space_before_numbers",)),
    KnownMistake("space_before_words_split_off", "The space before a word is a separate piece. In GPT-2 it belongs to the word.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+", r"\p{L}+"))', aliases=("no_space_before_words",)),
    KnownMistake("any_white_space_before_words", "The pattern uses \\s? for the space before a word. Only a space belongs to the word, not a line feed or a tab.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+", r"\s?\p{L}+"))'),
    KnownMistake("some_punctuation_lost", "The pattern lists punctuation marks and misses some. Text that no alternative matches is lost.",
        tokenizer.encode_ordinary, PIECES + "\nif sum(map(len, pieces)) != len(text):",
        "pieces = [m.group() for m in self.pattern.finditer(text) if not regex.fullmatch(r' ?[:;#$%/\\\\\\[\\]]+', m.group())]\nif False:",
        seen_in=("rasbt/LLMs-from-scratch@2cdcf68598f79934c59503a6ae141cfc378077c5",)),
    KnownMistake("spaces_moved_after_the_word", "Several spaces before a word are written after it: \"a   b\" comes back as \"a b  \".",
        tokenizer.encode_ordinary, PIECES,
        PIECES + "\nfor i in range(len(pieces) - 1):\n    if pieces[i].isspace() and pieces[i + 1][:1] == ' ':\n        pieces[i], pieces[i + 1] = pieces[i + 1], pieces[i]",
        seen_in=("rasbt/LLMs-from-scratch@e0dbec33314cc5f4d1f1d70258f31bb8f6dd0588",), aliases=("spaces_after_the_word",)),
    # changes to the text ----------------------------------------------------------------------------------------------
    KnownMistake("lower_cased", "The text is lower-cased first. GPT-2 keeps upper case.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.lower()", aliases=("lower_case",)),
    KnownMistake("white_space_stripped", "White space at both ends is stripped. It is part of the text.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.strip()", aliases=("stripped",)),
    KnownMistake("trailing_white_space_stripped", "White space at the end is stripped. It is part of the text.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.rstrip()"),
    KnownMistake("split_on_white_space", "The text is split at white space and joined with single spaces: line feeds, tabs and runs of spaces are lost.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = ' '.join(text.split())"),
    KnownMistake("nfc_normalised", "The text is normalised to NFC: an e with a combining accent becomes one character and does not round-trip.",
        tokenizer.encode, REFUSE, REFUSE + "\nimport unicodedata\ntext = unicodedata.normalize('NFC', text)"),
    KnownMistake("nfkc_normalised", "The text is normalised to NFKC: ligatures, full-width letters and superscripts are replaced and do not round-trip.",
        tokenizer.encode, REFUSE, REFUSE + "\nimport unicodedata\ntext = unicodedata.normalize('NFKC', text)"),
    KnownMistake("nfd_normalised", "The text is normalised to NFD: accents are split off and do not round-trip.",
        tokenizer.encode, REFUSE, REFUSE + "\nimport unicodedata\ntext = unicodedata.normalize('NFD', text)"),
    KnownMistake("accents_stripped", "Accents are removed, as in uncased BERT. GPT-2 keeps them.",
        tokenizer.encode, REFUSE,
        REFUSE + "\nimport unicodedata\ntext = ''.join(c for c in unicodedata.normalize('NFD', text) if not unicodedata.combining(c))"),
    KnownMistake("line_endings_normalised", "CR LF and CR become LF, as when a file is opened in text mode. The text must round-trip unchanged.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.replace('\\r\\n', '\\n').replace('\\r', '\\n')", aliases=("line_ends_folded",)),
    KnownMistake("nul_characters_removed", "NUL characters are removed. They are part of the text.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.replace('\\x00', '')", aliases=("nul_removed",)),
    KnownMistake("zero_width_characters_removed", "Zero-width characters are removed: composed emoji fall apart.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = regex.sub('[\\u200b-\\u200d\\ufe0f\\u2060]', '', text)", aliases=("joiners_removed",)),
    KnownMistake("byte_order_mark_removed", "A leading U+FEFF is dropped (\"utf-8-sig\"). It is part of the text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8-sig", errors="replace")'),
    KnownMistake("prefix_space_added", "A space is added before the text (add_prefix_space). GPT-2 does not do this.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = ' ' + text if text and not text[0].isspace() else text", aliases=("space_put_in_front",)),
    KnownMistake("quotes_and_dashes_replaced", "Typographic quotes and dashes are replaced by ASCII ones. The text must round-trip unchanged.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.replace('\\u2019', \"'\").replace('\\u201c', '\"').replace('\\u2014', '-')", aliases=("straight_quotes",)),
    KnownMistake("whole_stream_read_first", "encode_iterable reads the whole stream before it gives an id. Encode each text as it comes: a file may not fit into memory.",
        tokenizer.encode_iterable, "for text in texts:", 'for text in ["".join(texts)]:',
        unnamed_because="its ids are right"),
    KnownMistake("surrogates_become_question_marks", "A lone surrogate silently becomes \"?\" (errors=\"replace\"). Raise an error.",
        tokenizer.encode, REFUSE, "text = text.encode('utf-8', 'replace').decode('utf-8')"),
    KnownMistake("surrogates_encoded", "A lone surrogate is encoded with \"surrogatepass\": three bytes that are not valid UTF-8 and do not round-trip. Raise an error.",
        tokenizer.encode, REFUSE, "pass",
        also=(Edit(tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("utf-8", "surrogatepass")'),), aliases=("surrogates_passed",)),
    # ids -------------------------------------------------------------------------------------------------------------
    KnownMistake("ids_shifted_by_special_tokens", "The special tokens get the first ids, and all other ids are shifted up. The ids of special tokens are given and come after the others.",
        tokenizer.encode_ordinary, LOOKED_UP, "ids.extend(self.id_of(part) + len(self.special_tokens) for part in parts)", aliases=("shifted_by_the_special_tokens",)),
    KnownMistake("byte_values_for_ids", "The id of a single byte is its value. It must be its rank: GPT-2 gives \"!\" the id 0.",
        tokenizer.id_of, "return self.ranks[part]", "return part[0] if len(part) == 1 else self.ranks[part]"),
    KnownMistake("start_token_prepended", "A special token is prepended to every text. GPT-2 prepends none.",
        tokenizer.encode, "ids: list[int] = []", "ids: list[int] = [*self.special_tokens.values()][:1]",
        seen_in=("Lightning-AI/litgpt@a91b5206dfbfd5651410381a075a1fc982d8d28c",), aliases=("start_prepended",)),
    KnownMistake("end_token_appended", "A special token is appended to every text. The caller appends it where it is needed.",
        tokenizer.encode, "return ids", "return ids + [*self.special_tokens.values()][:1]", aliases=("end_appended",)),
    KnownMistake("empty_text_gets_an_id", "The empty text gives one id. It must give none.",
        tokenizer.encode, "return ids", "return ids or [0]", aliases=("empty_text_has_an_id",)),
    KnownMistake("truncated_to_32_ids", "Only the first 32 ids of a text are kept. A length limit belongs to the model, not to the tokenizer.",
        tokenizer.encode, "return ids", "return ids[:32]", aliases=("cut_off_after_32",)),
    KnownMistake("last_piece_dropped", "The last piece of a text is lost: the loop ends before the remainder is added.",
        tokenizer.encode_ordinary, PIECES, PIECES + "\ntext, pieces = ''.join(pieces[:-1]), pieces[:-1]", aliases=("last_piece_forgotten",)),
    # special tokens --------------------------------------------------------------------------------------------------
    KnownMistake("special_always_recognised", "Special tokens are recognised in any text: a user who types one ends the document. Recognise only the allowed ones.",
        tokenizer.encode, ALLOWED, "allowed = set(self.special_tokens)",
        seen_in=("karpathy/minbpe@ade909f8af2e9534ea3d2f37f68e96e9703ebcac",)),
    KnownMistake("special_whole_texts_only", "A special token is recognised only where it is the whole text.",
        split_special, SPLIT, "parts = [text]"),
    KnownMistake("special_never_recognised", "Special tokens are split into bytes even where they are allowed. Each must be one id.",
        tokenizer.encode, ALLOWED, "allowed = set()"),
    KnownMistake("one_allowed_special_allows_all", "One allowed special token allows all others. Each is allowed by name.",
        tokenizer.encode, ALLOWED, "allowed = set(self.special_tokens) if len(allowed_special) else set()", aliases=("all_or_none",)),
    KnownMistake("shortest_special_first", "If one special token is a prefix of another, the shorter one matches. Try the longer one first.",
        split_special, LONGEST, "longest_first = sorted(special, key=len)"),
    KnownMistake("special_not_escaped", "The special tokens are not escaped in the pattern: | ( ) . + act as operators. Use regex.escape.",
        split_special, ALTERNATIVES, 'alternatives = "|".join(longest_first)'),
    KnownMistake("first_special_only", "Only the first special token of a text is recognised.",
        split_special, SPLIT, 'parts = regex.split(f"({alternatives})", text, maxsplit=1)'),
    KnownMistake("special_dropped", "The special tokens themselves are lost: without a capturing group, split returns only the text between them.",
        split_special, SPLIT, 'parts = regex.split(f"(?:{alternatives})", text)'),
    KnownMistake("stripped_around_special", "White space next to a special token is stripped. It is part of the text.",
        split_special, "return [part for part in parts if part]", "return [part.strip() or part for part in parts if part] if len(parts) > 1 else parts"),
    KnownMistake("special_ignores_case", "Special tokens are matched without regard to case. They must match exactly.",
        split_special, SPLIT, 'parts = regex.split(f"({alternatives})", text, flags=regex.IGNORECASE)\nnames = {token.lower(): token for token in special}\nparts = [names.get(part.lower(), part) for part in parts]', aliases=("special_of_any_case",)),
    KnownMistake("special_added_to_the_callers_ranks", "The special tokens are written into the caller's dictionary of ranks. Copy it first.",
        tokenizer.__init__, SPECIAL_BYTES, SPECIAL_BYTES + '\nranks[token.encode("utf-8")] = special_id'),
    # decoding --------------------------------------------------------------------------------------------------------
    KnownMistake("invalid_bytes_raise", "Decoding raises an error for invalid UTF-8 (a character split between tokens). Use errors=\"replace\".",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8")', aliases=("strict_decoding",)),
    KnownMistake("invalid_bytes_ignored", "Decoding silently drops invalid UTF-8. Use errors=\"replace\".",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="ignore")', aliases=("ignoring_decoding",)),
    KnownMistake("decoded_one_by_one", "Every id is decoded alone: a character split over two tokens becomes two U+FFFD. Join the bytes first.",
        tokenizer.decode, JOINED + "\n" + TEXT, 'return "".join(self.decode_bytes([i]).decode("utf-8", errors="replace") for i in ids)'),
    KnownMistake("vocabulary_stored_as_text", "The vocabulary is stored as text: tokens that hold part of a character become U+FFFD for good. Store bytes.",
        tokenizer.__init__, BYTES_OF, 'self.bytes_of = {rank: token.decode("utf-8", "replace").encode("utf-8") for token, rank in self.ranks.items()}\n'
        "self.bytes_of.update({rank: token for token, rank in self.ranks.items() if len(token) == 1})", aliases=("vocabulary_decoded_early",)),
    KnownMistake("decoded_as_latin_1", "The bytes are decoded as Latin-1, one character per byte. They are UTF-8.",
        tokenizer.decode, TEXT, 'return joined.decode("latin-1")'),
    KnownMistake("joined_by_spaces", "The tokens are joined with spaces. Each token already contains its own spaces.",
        tokenizer.decode, JOINED, 'joined = b" ".join(self.decode_bytes([i]) for i in ids)'),
    KnownMistake("decoded_text_stripped", "White space at both ends of the decoded text is stripped. It is part of the text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").strip()'),
    KnownMistake("leading_space_stripped", "The leading space of the decoded text is removed, as in SentencePiece. Here it is part of the text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").removeprefix(" ")'),
    KnownMistake("spaces_cleaned_up", "Spaces before punctuation are removed on decoding (clean_up_tokenization_spaces). The text must round-trip unchanged.",
        tokenizer.decode, TEXT, 'return regex.sub(r" (?=[.,!?]|n\'t|\'s|\'m|\'ve|\'re)", "", joined.decode("utf-8", errors="replace"))'),
    KnownMistake("special_skipped", "Special tokens are left out of the decoded text. They decode to their names.",
        tokenizer.decode, JOINED, "joined = self.decode_bytes(i for i in ids if i not in self.special_tokens.values())"),
    KnownMistake("byte_markers_replaced", "U+0120, which vocabulary files write for a space, is replaced in the decoded text. There it is an ordinary letter.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").replace("\\u0120", " ").replace("\\u010a", "\\n")', aliases=("marker_letter_becomes_a_space",)),
    KnownMistake("wordpiece_marks_removed", "\"##\" is removed from the decoded text, as in WordPiece. Here it is part of the text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").replace("##", "").replace("</w>", " ")', aliases=("word_piece_marks_removed",)),
    KnownMistake("replacement_characters_removed", "U+FFFD is removed from the decoded text. The text itself may contain it.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").replace("\\ufffd", "")',),
    KnownMistake("repeated_ids_dropped", "An id equal to the previous one is dropped. Every id counts.",
        tokenizer.decode, JOINED, "joined = self.decode_bytes(b for a, b in zip([None, *ids], ids) if a != b)", aliases=("repeats_dropped",)),
    KnownMistake("callers_ids_emptied", "Decoding empties the caller's list of ids (ids.pop(0)). Leave it unchanged.",
        tokenizer.decode, JOINED, JOINED + "\nif isinstance(ids, list):\n    ids.clear()", aliases=("ids_used_up",)),
    KnownMistake("decode_bytes_goes_through_text", "decode_bytes returns the bytes of the decoded text: part of a character becomes U+FFFD and is lost.",
        tokenizer.decode_bytes, 'return b"".join(chunks)', 'return b"".join(chunks).decode("utf-8", "replace").encode("utf-8")', aliases=("bytes_of_the_replaced_text",)),
)
