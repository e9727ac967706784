"""Known mistakes in learning a byte-pair encoding."""

from harness.core.mistake import KnownMistake
from reference_model.train_bpe import count_pairs, count_words, merge, train_bpe

ROOM = "room = vocab_size - 256 - len(special_tokens)"
PARTS = "parts = split_special(text, special_tokens)"
ORDINARY = "ordinary = [part for part in parts if part not in special_tokens]"
PIECES = "pieces = [match.group() for part in ordinary for match in regex.finditer(pattern, part)]"
ENCODED = 'encoded = piece.encode("utf-8")'
WORD = "word = tuple(bytes([byte]) for byte in encoded)"
COUNTED = "words[word] += 1"
NEIGHBOURS = "for pair in pairwise(word):"
TIMES = "counts[pair] += times"
BEST = "best = max(counts, key=lambda pair: counts[pair])"
WORDS = "words = {merge(word, best): times for word, times in words.items()}"
SINGLE = "single = [bytes([byte]) for byte in range(256)]"
JOINED = "joined = [first + second for first, second in merges]"
NAMES = 'names = [name.encode("utf-8") for name in special_tokens]'
VOCAB = "vocab = dict(enumerate(single + joined + names))"

MISTAKES = (
    # the size --------------------------------------------------------------------------------------------------------
    KnownMistake("vocab_size_is_the_merges", "You learn vocab_size merges; the 256 bytes and the special tokens are part of that size.",
        train_bpe, ROOM, "room = vocab_size"),
    KnownMistake("special_tokens_not_counted", "The special tokens are not taken off the size: the vocabulary is larger than asked for.",
        train_bpe, ROOM, "room = vocab_size - 256"),
    KnownMistake("one_merge_too_few", "You stop one merge too early.",
        train_bpe, ROOM, "room = max(vocab_size - 257 - len(special_tokens), 0)"),
    KnownMistake("one_merge_too_many", "You go on for one merge too many.",
        train_bpe, ROOM, "room = vocab_size - 255 - len(special_tokens)"),
    KnownMistake("no_pair_left_crashes", "Where no pair is left you take the largest of nothing, which raises: stop there.",
        train_bpe, "if not counts:", "if False:", seen_in=("rasbt/LLMs-from-scratch@59709e27296522c9bde5bbb132d7b132b5fef907",)),
    # counting --------------------------------------------------------------------------------------------------------
    KnownMistake("not_cut", "The text is not cut by the pattern: you learn merges across words, which encoding never uses.",
        count_words, PIECES, "pieces = ordinary", seen_in=("rasbt/LLMs-from-scratch@052c2dea4f964529bb265cec928fe54d86d38912",)),
    KnownMistake("cut_at_spaces", "You split at white space and drop it; GPT-2's pieces keep their space, and spaces are tokens too.",
        count_words, PIECES, "pieces = [piece for part in ordinary for piece in part.split()]"),
    KnownMistake("last_piece_lost", "The last piece of every text is not counted: a remainder is lost where the work is shared out.",
        count_words, PIECES, PIECES + "[:-1]", seen_in=("huggingface/tokenizers#179",)),
    KnownMistake("lower_case", "You learn from the text in small letters.",
        count_words, ENCODED, 'encoded = piece.lower().encode("utf-8")'),
    KnownMistake("characters_for_bytes", "You begin with characters; a byte-level encoding begins with the bytes of UTF-8.",
        count_words, WORD, 'word = tuple(character.encode("utf-8") for character in piece)'),
    KnownMistake("words_counted_once", "Each word counts once, however often it stands in the text.",
        count_pairs, TIMES, "counts[pair] += 1"),
    KnownMistake("once_per_word", "A pair counts once per word although it may stand in it twice (banana has (a, n) twice).",
        count_pairs, NEIGHBOURS, "for pair in dict.fromkeys(pairwise(word)):"),
    KnownMistake("every_other_pair", "You count the pairs at even places only: (0, 1), (2, 3); neighbours overlap.",
        count_pairs, NEIGHBOURS, "for pair in zip(word[::2], word[1::2]):"),
    KnownMistake("across_all_words", "You count neighbours in one long row of all words: the end of one and the beginning of the next make a pair.",
        count_pairs, "return dict(counts)",
        "ends = [word for word, times in words.items() for _ in range(times) if word]\n"
        "for one, other in pairwise(ends):\n    counts[one[-1], other[0]] += 1\nreturn dict(counts)"),
    KnownMistake("divided_by_the_parts", "You divide a pair's count by those of its parts, which is WordPiece's score; BPE takes the count.",
        train_bpe, BEST,
        "alone = Counter(token for word, times in words.items() for token in word for _ in range(times))\n"
        "best = max(counts, key=lambda pair: counts[pair] / (alone[pair[0]] * alone[pair[1]]))"),
    # merging ---------------------------------------------------------------------------------------------------------
    KnownMistake("least_frequent_first", "You take the rarest pair; it is the most frequent one.",
        train_bpe, BEST, "best = min(counts, key=lambda pair: counts[pair])"),
    KnownMistake("longest_first", "Among the pairs you take the longest token, not the most frequent pair.",
        train_bpe, BEST, "best = max(counts, key=lambda pair: (len(pair[0] + pair[1]), counts[pair]))"),
    KnownMistake("words_not_merged", "The words are not merged before you count again: the same pair wins every time.",
        train_bpe, WORDS, "pass"),
    KnownMistake("first_place_only", "A pair is merged at its first place in each word only; every place of it must be merged.",
        merge, "if word[index : index + 2] == pair:", "if word[index : index + 2] == pair and pair[0] + pair[1] not in merged:"),
    KnownMistake("from_the_right", "Overlapping pairs are merged from the right: aaa becomes a, aa. It is aa, a.",
        train_bpe, WORDS,
        "words = {merge(word[::-1], best)[::-1] if best[0] == best[1] else merge(word, best): times for word, times in words.items()}"),
    KnownMistake("overlaps_merged_twice", "Of overlapping pairs you merge both: aaa becomes aa, aa, and a letter stands twice.",
        merge, "index += 2", "index += 1 if word[index + 1 : index + 3] == pair else 2"),
    # special tokens --------------------------------------------------------------------------------------------------
    KnownMistake("names_read_as_patterns", "The special tokens are not escaped in the pattern that splits the text: '|' and '(' mean something there.",
        count_words, PARTS, 'parts = [part for part in regex.split("|".join(special_tokens), text) if part] if special_tokens else [text]'),
    KnownMistake("special_tokens_counted", "Special tokens in the text are counted like words, and merges are spent on them.",
        count_words, PARTS, "parts = [text]", seen_in=("huggingface/tokenizers#985", "huggingface/tokenizers#1616")),
    KnownMistake("text_around_them_joined", "You remove special tokens and join what stands on both sides; the text must be cut there.",
        count_words, PARTS, 'parts = ["".join(part for part in split_special(text, special_tokens) if part not in special_tokens)]'),
    KnownMistake("special_tokens_left_out", "The special tokens are missing from the vocabulary.",
        train_bpe, NAMES, "names = []"),
    # the vocabulary --------------------------------------------------------------------------------------------------
    KnownMistake("only_bytes_that_were_seen", "Only bytes that stand in the text are tokens: any other text is unknown. All 256 belong there.",
        train_bpe, SINGLE, 'single = sorted({bytes([byte]) for byte in text.encode("utf-8")})'),
    KnownMistake("ids_from_257", "The learned ids begin at 257: 256 is left out, and the last id is beyond the size.",
        train_bpe, VOCAB, "vocab = dict(enumerate(single)) | dict(enumerate(joined + names, 257))"),
    KnownMistake("joined_the_wrong_way_round", "A learned token is the second half before the first.",
        train_bpe, JOINED, "joined = [second + first for first, second in merges]"),
    KnownMistake("kept_as_text", "The tokens are kept as text: bytes that are no character by themselves become U+FFFD for ever.",
        train_bpe, VOCAB, VOCAB + '\nvocab = {i: token.decode("utf-8", "replace").encode() for i, token in vocab.items()}'),
    KnownMistake("merges_in_order_of_bytes", "The merges come back sorted; their order is what they were learned in.",
        train_bpe, "return vocab, merges", "return vocab, sorted(merges)"),
)
