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


def _each_pair_once(piece, ranks):
    parts, done = [bytes([byte]) for byte in piece], set()
    while True:
        pairs = [(ranks.get(parts[i] + parts[i + 1], math.inf), i) for i in range(len(parts) - 1)]
        pairs = [(rank, i) for rank, i in pairs if rank < math.inf and rank not in done]
        if not pairs:
            return parts
        rank, at = min(pairs)
        done.add(rank)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def _overlapping(piece, ranks):
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
    KnownMistake("characters_for_bytes", "You take ord(character) for the ids of what is no ASCII; the text must become UTF-8 bytes first.",
        tokenizer.encode_ordinary, ENCODED,
        "if not piece.isascii():\n    ids.extend(ord(character) for character in piece)\n    continue\n" + ENCODED),
    KnownMistake("latin_1", "You encode to Latin-1 with '?' for all else; it must be UTF-8, which has every character.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("latin-1", "replace")'),
    KnownMistake("utf_16", "You encode to UTF-16; the bytes of GPT-2 are UTF-8.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("utf-16-le")'),
    KnownMistake("soft_hyphen_byte_lost", "The byte 0xAD is missing from your table of bytes (it stands alone between two ranges) and is dropped.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("utf-8").replace(bytes([0xAD]), b"")'),
    KnownMistake("printable_bytes_only", "Bytes that have no printable character are dropped; all 256 have an id.",
        tokenizer.encode_ordinary, ENCODED, 'encoded = bytes(b for b in piece.encode("utf-8") if b >= 32 and b != 127)'),
    # merging ---------------------------------------------------------------------------------------------------------
    KnownMistake("longest_match", "You take the longest token that fits, as WordPiece does; BPE merges the pair of lowest rank first.",
        byte_pair_encode, instead=_longest_match),
    KnownMistake("left_to_right", "You go through the tokens from the left and merge any pair that is a token; the pair of lowest rank goes first, wherever it stands.",
        byte_pair_encode, instead=_left_to_right, seen_in=("rasbt/LLMs-from-scratch#558",)),
    KnownMistake("highest_rank_first", "You merge the pair of highest rank first; the lowest was learned first and goes first.",
        byte_pair_encode, LOWEST, "lowest = max((rank for rank in pair_ranks if rank < math.inf), default=math.inf)"),
    KnownMistake("rightmost_first", "Of equal pairs you merge the rightmost: 'aaa' becomes a, aa. The leftmost goes first.",
        byte_pair_encode, BEST, "best = len(pair_ranks) - 1 - pair_ranks[::-1].index(lowest)"),
    KnownMistake("each_pair_once", "A pair is merged at its first place only; every place of it must be merged.",
        byte_pair_encode, instead=_each_pair_once),
    KnownMistake("overlapping", "Overlapping pairs are merged both: 'aaa' becomes aa, aa, and a letter stands twice.",
        byte_pair_encode, instead=_overlapping),
    KnownMistake("rank_of_a_single_token", "You look up the rank of one token, not of the pair: nothing is ever merged, every byte is an id.",
        byte_pair_encode, "while pair_ranks:", "while False:", seen_in=("pie-project/pie#84",)),
    KnownMistake("one_merge_only", "You stop after the first merge of a piece; go on until no pair is a token.",
        byte_pair_encode, "merge_pair(parts, pair_ranks, best, ranks)", "merge_pair(parts, pair_ranks, best, ranks)\nbreak"),
    KnownMistake("whole_pieces_only", "A piece that is a token is one id, any other is left in bytes; the pairs inside must be merged.",
        tokenizer.encode_ordinary, MERGED, "parts = [encoded] if encoded in self.ranks else [bytes([byte]) for byte in encoded]"),
    KnownMistake("left_neighbour_not_ranked_again", "After a merge the pair with the left neighbour keeps its old rank; it is a new pair.",
        merge_pair, "pair_ranks[index - 1] = pair_rank(parts, index - 1, ranks)", "pass"),
    KnownMistake("long_tokens_never_made", "Tokens of more than four bytes are never made; merging has no such limit.",
        pair_rank, "return ranks.get(joined, math.inf)", "return ranks.get(joined, math.inf) if len(joined) <= 4 else math.inf"),
    KnownMistake("merges_kept_for_all_vocabularies", "Merged pieces are kept in a cache that all vocabularies share.",
        tokenizer.encode_ordinary, MERGED,
        "parts = byte_pair_encode.__dict__.setdefault(encoded, byte_pair_encode(encoded, self.ranks))"),
    KnownMistake("merges_kept_by_lower_case", "Merged pieces are kept under their lower case: 'The' after 'the' gets the ids of 'the'.",
        tokenizer.encode_ordinary, MERGED,
        "cache = self.__dict__.setdefault('cache', {})\n"
        "parts = cache.setdefault(piece.lower(), byte_pair_encode(encoded, self.ranks))"),
    KnownMistake("merges_kept_by_length", "Merged pieces are kept under their length: two words of one length get the same ids.",
        tokenizer.encode_ordinary, MERGED,
        "cache = self.__dict__.setdefault('cache', {})\n"
        "parts = cache.setdefault(len(encoded), byte_pair_encode(encoded, self.ranks))"),
    # the pattern -----------------------------------------------------------------------------------------------------
    KnownMistake("not_cut", "The text is not cut by the pattern before merging: merges cross from word to word.",
        tokenizer.encode_ordinary, PIECES, "pieces = [text] if text else []"),
    KnownMistake("pattern_ignored", "The pattern is an argument; you always cut by GPT-2's.",
        tokenizer.__init__, PATTERN, "self.pattern = regex.compile(GPT2_PATTERN)"),
    KnownMistake("trailing_space_rule_dropped", r"The alternative \s+(?!\S) is missing: of a run of spaces the last one belongs to the word that follows.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"|\s+(?!\S)", ""))'),
    KnownMistake("contractions_forgotten", "The alternatives 's, 't, 're, ... are missing: a contraction is a piece of its own.",
        tokenizer.__init__, PATTERN, 'self.pattern = regex.compile(pattern.replace("\'s|\'t|\'re|\'ve|\'m|\'ll|\'d| ?", " ?", 1))'),
    KnownMistake("contractions_of_any_case", "Contractions are cut in capitals too ('S, 'LL), as in GPT-4; GPT-2's pattern knows small letters only.",
        tokenizer.__init__, PATTERN, 'self.pattern = regex.compile(pattern.replace("\'s|\'t|\'re|\'ve|\'m|\'ll|\'d|", "(?i:\'s|\'t|\'re|\'ve|\'m|\'ll|\'d)|"))'),
    KnownMistake("letters_a_to_z", "You write [A-Za-z] for letters; \\p{L} is the letters of every script.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+", " ?[A-Za-z]+").replace(r"[^\s\p{L}\p{N}]", r"[^\sA-Za-z\p{N}]"))'),
    KnownMistake("word_characters", r"You write \w for \p{L} and \p{N}: letters, digits, marks and the underscore stay in one piece.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+", r" ?\w+| ?[^\s\w]+"))'),
    KnownMistake("letters_and_numbers_together", "Letters and numbers are cut together: 'a1' is two pieces.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+| ?\p{N}+|", r" ?[\p{L}\p{N}]+|"))'),
    KnownMistake("digits_0_to_9", r"You write [0-9] (or \d) for numbers; \p{N} has fractions, superscripts and Roman numerals too.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"\p{N}+", "[0-9]+").replace(r"\p{L}\p{N}]", r"\p{L}0-9]"))'),
    KnownMistake("digits_by_threes", "Numbers are cut after every three digits, as in GPT-4; GPT-2 takes the whole run.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"\p{N}+", r"\p{N}{1,3}"))'),
    KnownMistake("digits_one_by_one", "Every digit is a piece of its own, as in some later models; GPT-2 takes the whole run.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r"\p{N}+", r"\p{N}"))'),
    KnownMistake("no_space_before_punctuation", "The space before punctuation is cut off; in GPT-2 it belongs to the piece, as before a word.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?[^\s\p{L}\p{N}]+", r"[^\s\p{L}\p{N}]+"))'),
    KnownMistake("no_space_before_numbers", "The space before a number is cut off; in GPT-2 it belongs to the piece, as before a word.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{N}+", r"\p{N}+"))'),
    KnownMistake("no_space_before_words", "The space before a word is a piece of its own; in GPT-2 it belongs to the word.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+", r"\p{L}+"))'),
    KnownMistake("any_white_space_before_words", r"You write \s? for the space before a word; only a space belongs to it, a line feed or tab does not.",
        tokenizer.__init__, PATTERN, r'self.pattern = regex.compile(pattern.replace(r" ?\p{L}+", r"\s?\p{L}+"))'),
    KnownMistake("some_punctuation_lost", "Your pattern lists punctuation and misses some: what no alternative matches is lost from the text.",
        tokenizer.encode_ordinary, PIECES + "\nif sum(map(len, pieces)) != len(text):",
        "pieces = [m.group() for m in self.pattern.finditer(text) if not regex.fullmatch(r' ?[:;#$%/\\\\\\[\\]]+', m.group())]\nif False:",
        seen_in=("rasbt/LLMs-from-scratch@2cdcf68598f79934c59503a6ae141cfc378077c5",)),
    KnownMistake("spaces_after_the_word", "Several spaces before a word are put out after it: 'a   b' comes back as 'a b  '.",
        tokenizer.encode_ordinary, PIECES,
        PIECES + "\nfor i in range(len(pieces) - 1):\n    if pieces[i].isspace() and pieces[i + 1][:1] == ' ':\n        pieces[i], pieces[i + 1] = pieces[i + 1], pieces[i]",
        seen_in=("rasbt/LLMs-from-scratch@e0dbec33314cc5f4d1f1d70258f31bb8f6dd0588",)),
    # the text is changed ----------------------------------------------------------------------------------------------
    KnownMistake("lower_case", "The text is put in lower case first; GPT-2 keeps capitals.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.lower()"),
    KnownMistake("stripped", "White space at both ends is stripped; it belongs to the text.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.strip()"),
    KnownMistake("trailing_white_space_stripped", "White space at the end is stripped; it belongs to the text.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.rstrip()"),
    KnownMistake("split_on_white_space", "The text is split at white space and joined with single spaces: line feeds, tabs and runs of spaces are lost.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = ' '.join(text.split())"),
    KnownMistake("nfc_normalised", "The text is brought to NFC: an e with a combining accent becomes one character and does not come back.",
        tokenizer.encode, REFUSE, REFUSE + "\nimport unicodedata\ntext = unicodedata.normalize('NFC', text)"),
    KnownMistake("nfkc_normalised", "The text is brought to NFKC: ligatures, wide letters and superscripts are replaced and do not come back.",
        tokenizer.encode, REFUSE, REFUSE + "\nimport unicodedata\ntext = unicodedata.normalize('NFKC', text)"),
    KnownMistake("nfd_normalised", "The text is brought to NFD: accents are split off and do not come back as they were.",
        tokenizer.encode, REFUSE, REFUSE + "\nimport unicodedata\ntext = unicodedata.normalize('NFD', text)"),
    KnownMistake("accents_stripped", "Accents are removed, as uncased BERT does; GPT-2 keeps them.",
        tokenizer.encode, REFUSE,
        REFUSE + "\nimport unicodedata\ntext = ''.join(c for c in unicodedata.normalize('NFD', text) if not unicodedata.combining(c))"),
    KnownMistake("line_ends_folded", "CR LF and CR become LF (a file opened in text mode does so); the text must come back as it was.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.replace('\\r\\n', '\\n').replace('\\r', '\\n')"),
    KnownMistake("nul_removed", "NUL characters are removed; they are text like any other.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.replace('\\x00', '')"),
    KnownMistake("joiners_removed", "Zero-width characters are removed: emoji made of several fall apart.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = regex.sub('[\\u200b-\\u200d\\ufe0f\\u2060]', '', text)"),
    KnownMistake("byte_order_mark_removed", "A U+FEFF at the start is dropped ('utf-8-sig'); it is text like any other.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8-sig", errors="replace")'),
    KnownMistake("space_put_in_front", "A space is put in front of the text (add_prefix_space); GPT-2 does not do so.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = ' ' + text if text and not text[0].isspace() else text"),
    KnownMistake("straight_quotes", "Typographic quotes and dashes are replaced by plain ones; the text must come back as it was.",
        tokenizer.encode, REFUSE, REFUSE + "\ntext = text.replace('\\u2019', \"'\").replace('\\u201c', '\"').replace('\\u2014', '-')"),
    KnownMistake("surrogates_become_question_marks", "A lone surrogate becomes '?' in silence (errors=\"replace\"); it must be an error.",
        tokenizer.encode, REFUSE, "text = text.encode('utf-8', 'replace').decode('utf-8')"),
    KnownMistake("surrogates_dropped", "A lone surrogate is dropped in silence (errors=\"ignore\"); it must be an error.",
        tokenizer.encode, REFUSE, "text = text.encode('utf-8', 'ignore').decode('utf-8')"),
    KnownMistake("surrogates_passed", "A lone surrogate is encoded with \"surrogatepass\": three bytes that are no UTF-8 and do not come back.",
        tokenizer.encode, REFUSE, "pass",
        also=(Edit(tokenizer.encode_ordinary, ENCODED, 'encoded = piece.encode("utf-8", "surrogatepass")'),)),
    # ids -------------------------------------------------------------------------------------------------------------
    KnownMistake("shifted_by_the_special_tokens", "The special tokens were given the first ids and all others moved up; their ids are given, above the rest.",
        tokenizer.encode_ordinary, LOOKED_UP, "ids.extend(self.id_of(part) + len(self.special_tokens) for part in parts)"),
    KnownMistake("byte_values_for_ids", "A single byte's id is its value; it is its rank, and GPT-2 numbers '!' as 0.",
        tokenizer.id_of, "return self.ranks[part]", "return part[0] if len(part) == 1 else self.ranks[part]"),
    KnownMistake("start_prepended", "A special token is put in front of every text; GPT-2 puts none.",
        tokenizer.encode, "ids: list[int] = []", "ids: list[int] = [*self.special_tokens.values()][:1]",
        seen_in=("Lightning-AI/litgpt@a91b5206dfbfd5651410381a075a1fc982d8d28c",)),
    KnownMistake("end_appended", "A special token is put after every text; the caller does that where it is wanted.",
        tokenizer.encode, "return ids", "return ids + [*self.special_tokens.values()][:1]"),
    KnownMistake("empty_text_has_an_id", "The empty text gives an id; it must give none.",
        tokenizer.encode, "return ids", "return ids or [0]"),
    KnownMistake("cut_off_after_32", "Only the first 32 ids of a text are kept; a limit belongs to the model, not to the tokenizer.",
        tokenizer.encode, "return ids", "return ids[:32]"),
    KnownMistake("last_piece_forgotten", "The last piece of a text is lost: the loop ends before what is left over is added.",
        tokenizer.encode_ordinary, PIECES, PIECES + "\ntext, pieces = ''.join(pieces[:-1]), pieces[:-1]"),
    # special tokens --------------------------------------------------------------------------------------------------
    KnownMistake("special_always_recognised", "Special tokens are recognised in any text: a user who types one ends the document. They must be allowed first.",
        tokenizer.encode, ALLOWED, "allowed = set(self.special_tokens)",
        seen_in=("karpathy/minbpe@ade909f8af2e9534ea3d2f37f68e96e9703ebcac",)),
    KnownMistake("special_whole_texts_only", "A special token is recognised only where it is the whole text.",
        split_special, SPLIT, "parts = [text]"),
    KnownMistake("special_never_recognised", "Special tokens are cut into bytes even where they are allowed; each must be one id.",
        tokenizer.encode, ALLOWED, "allowed = set()"),
    KnownMistake("all_or_none", "One allowed special token lets all others in; each is allowed by name.",
        tokenizer.encode, ALLOWED, "allowed = set(self.special_tokens) if len(allowed_special) else set()"),
    KnownMistake("shortest_special_first", "Of two special tokens that begin alike the shorter is found; try the longer one first.",
        split_special, LONGEST, "longest_first = sorted(special, key=len)"),
    KnownMistake("special_not_escaped", "Special tokens go into the pattern as they are, and | ( ) . + act as operators; escape them.",
        split_special, ALTERNATIVES, 'alternatives = "|".join(longest_first)'),
    KnownMistake("first_special_only", "Only the first special token of a text is found.",
        split_special, SPLIT, 'parts = regex.split(f"({alternatives})", text, maxsplit=1)'),
    KnownMistake("special_dropped", "The special tokens themselves are lost: without brackets, split keeps only what is between.",
        split_special, SPLIT, 'parts = regex.split(f"(?:{alternatives})", text)'),
    KnownMistake("stripped_around_special", "White space beside a special token is stripped; it belongs to the text.",
        split_special, "return [part for part in parts if part]", "return [part.strip() or part for part in parts if part] if len(parts) > 1 else parts"),
    KnownMistake("special_of_any_case", "Special tokens are found in capitals too; they are taken letter by letter.",
        split_special, SPLIT, 'parts = regex.split(f"({alternatives})", text, flags=regex.IGNORECASE)\nnames = {token.lower(): token for token in special}\nparts = [names.get(part.lower(), part) for part in parts]'),
    KnownMistake("special_added_to_the_callers_ranks", "The special tokens are written into the caller's dictionary of ranks; make a copy.",
        tokenizer.__init__, SPECIAL_BYTES, SPECIAL_BYTES + '\nranks[token.encode("utf-8")] = special_id'),
    # decoding --------------------------------------------------------------------------------------------------------
    KnownMistake("strict_decoding", "Decoding raises where the bytes are no UTF-8 (a character cut in two); use errors=\"replace\".",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8")'),
    KnownMistake("ignoring_decoding", "Decoding drops what is no UTF-8 in silence; use errors=\"replace\".",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="ignore")'),
    KnownMistake("decoded_one_by_one", "Every id is decoded alone: a character whose bytes are in two tokens becomes two U+FFFD. Join the bytes first.",
        tokenizer.decode, JOINED + "\n" + TEXT, 'return "".join(self.decode_bytes([i]).decode("utf-8", errors="replace") for i in ids)'),
    KnownMistake("vocabulary_decoded_early", "The vocabulary was stored as text: tokens that hold half a character are U+FFFD for ever. Keep bytes.",
        tokenizer.__init__, BYTES_OF, 'self.bytes_of = {rank: token.decode("utf-8", "replace").encode("utf-8") for token, rank in self.ranks.items()}\n'
        "self.bytes_of.update({rank: token for token, rank in self.ranks.items() if len(token) == 1})"),
    KnownMistake("decoded_as_latin_1", "Every byte is decoded as a character of its own (Latin-1); the bytes are UTF-8.",
        tokenizer.decode, TEXT, 'return joined.decode("latin-1")'),
    KnownMistake("joined_by_spaces", "The tokens are joined by spaces; a token holds its own.",
        tokenizer.decode, JOINED, 'joined = b" ".join(self.decode_bytes([i]) for i in ids)'),
    KnownMistake("decoded_text_stripped", "White space at both ends of the decoded text is stripped; it belongs to the text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").strip()'),
    KnownMistake("leading_space_stripped", "The space in front of the decoded text is removed (as SentencePiece does); here it belongs to the text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").removeprefix(" ")'),
    KnownMistake("spaces_cleaned_up", "Spaces before punctuation are 'cleaned up' on decoding; the text must come back as it was.",
        tokenizer.decode, TEXT, 'return regex.sub(r" (?=[.,!?]|n\'t|\'s|\'m|\'ve|\'re)", "", joined.decode("utf-8", errors="replace"))'),
    KnownMistake("special_skipped", "Special tokens are left out of the decoded text; they stand for their names.",
        tokenizer.decode, JOINED, "joined = self.decode_bytes(i for i in ids if i not in self.special_tokens.values())"),
    KnownMistake("marker_letter_becomes_a_space", "U+0120, the letter that vocabulary files write for a space, is replaced in the decoded text; it is a letter of its own.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").replace("\\u0120", " ").replace("\\u010a", "\\n")'),
    KnownMistake("word_piece_marks_removed", "'##' is removed from the decoded text as if it were WordPiece's; here it is text.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").replace("##", "").replace("</w>", " ")'),
    KnownMistake("replacement_characters_removed", "U+FFFD is removed from the decoded text, where the text itself may hold one.",
        tokenizer.decode, TEXT, 'return joined.decode("utf-8", errors="replace").replace("\\ufffd", "")',),
    KnownMistake("repeats_dropped", "An id that follows itself is dropped; every id counts.",
        tokenizer.decode, JOINED, "joined = self.decode_bytes(b for a, b in zip([None, *ids], ids) if a != b)"),
    KnownMistake("ids_used_up", "Decoding empties the caller's list of ids (ids.pop(0)); leave it as it was.",
        tokenizer.decode, JOINED, JOINED + "\nif isinstance(ids, list):\n    ids.clear()"),
    KnownMistake("bytes_of_the_replaced_text", "decode_bytes gives the bytes of the decoded text: half a character is U+FFFD there and lost.",
        tokenizer.decode_bytes, 'return b"".join(chunks)', 'return b"".join(chunks).decode("utf-8", "replace").encode("utf-8")'),
)
