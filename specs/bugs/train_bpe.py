"""Known mistakes in training a byte-pair encoding."""

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
    KnownMistake("vocab_size_counts_only_merges", "vocab_size merges are learned. vocab_size also includes the 256 bytes and the special tokens.",
        train_bpe, ROOM, "room = vocab_size", aliases=("vocab_size_is_the_merges",)),
    KnownMistake("special_tokens_not_in_vocab_size", "The special tokens are not counted in vocab_size: the vocabulary is larger than requested.",
        train_bpe, ROOM, "room = vocab_size - 256", aliases=("special_tokens_not_counted",)),
    KnownMistake("one_merge_too_few", "Training stops one merge too early.",
        train_bpe, ROOM, "room = max(vocab_size - 257 - len(special_tokens), 0)"),
    KnownMistake("one_merge_too_many", "Training learns one merge too many.",
        train_bpe, ROOM, "room = vocab_size - 255 - len(special_tokens)"),
    KnownMistake("no_pair_left_raises", "When no pair is left, max() of an empty dictionary raises an error. Stop there.",
        train_bpe, "if not counts:", "if False:", seen_in=("rasbt/LLMs-from-scratch@59709e27296522c9bde5bbb132d7b132b5fef907",), aliases=("no_pair_left_crashes",)),
    # counting --------------------------------------------------------------------------------------------------------
    KnownMistake("not_pre_tokenized", "The text is not split by the pattern: merges across words are learned, which encoding never uses.",
        count_words, PIECES, "pieces = ordinary", seen_in=("rasbt/LLMs-from-scratch@052c2dea4f964529bb265cec928fe54d86d38912",), aliases=("not_cut",)),
    KnownMistake("split_on_white_space", "The text is split at white space, and the white space is dropped. GPT-2's pieces keep their leading space, and spaces are tokens too.",
        count_words, PIECES, "pieces = [piece for part in ordinary for piece in part.split()]", aliases=("cut_at_spaces",)),
    KnownMistake("last_piece_dropped", "The last piece of every text is not counted: the remainder of a split into parts is lost.",
        count_words, PIECES, PIECES + "[:-1]", seen_in=("huggingface/tokenizers#179",), aliases=("last_piece_lost",)),
    KnownMistake("lower_cased", "The text is lower-cased before training.",
        count_words, ENCODED, 'encoded = piece.lower().encode("utf-8")', aliases=("lower_case",)),
    KnownMistake("characters_for_bytes", "Training starts with characters. Byte-level BPE starts with UTF-8 bytes.",
        count_words, WORD, 'word = tuple(character.encode("utf-8") for character in piece)'),
    KnownMistake("words_counted_once", "Each word counts once, whatever its frequency in the text.",
        count_pairs, TIMES, "counts[pair] += 1"),
    KnownMistake("pair_counted_once_per_word", "A pair counts once per word, even where it occurs twice (banana has (a, n) twice).",
        count_pairs, NEIGHBOURS, "for pair in dict.fromkeys(pairwise(word)):", aliases=("once_per_word",)),
    KnownMistake("non_overlapping_pairs_counted", "Only pairs at even positions are counted: (0, 1), (2, 3). Every pair of neighbours counts.",
        count_pairs, NEIGHBOURS, "for pair in zip(word[::2], word[1::2]):", aliases=("every_other_pair",)),
    KnownMistake("pairs_counted_across_words", "Pairs are counted across word boundaries: the end of one word and the start of the next form a pair.",
        count_pairs, "return dict(counts)",
        "ends = [word for word, times in words.items() for _ in range(times) if word]\n"
        "for one, other in pairwise(ends):\n    counts[one[-1], other[0]] += 1\nreturn dict(counts)", aliases=("across_all_words",)),
    KnownMistake("wordpiece_score", "The count of a pair is divided by the counts of its parts: this is WordPiece's score. BPE uses the count.",
        train_bpe, BEST,
        "alone = Counter(token for word, times in words.items() for token in word for _ in range(times))\n"
        "best = max(counts, key=lambda pair: counts[pair] / (alone[pair[0]] * alone[pair[1]]))", aliases=("divided_by_the_parts",)),
    # merging ---------------------------------------------------------------------------------------------------------
    KnownMistake("least_frequent_first", "The least frequent pair is merged first. Merge the most frequent pair.",
        train_bpe, BEST, "best = min(counts, key=lambda pair: counts[pair])"),
    KnownMistake("longest_first", "The pair with the longest token is merged first. Merge the most frequent pair.",
        train_bpe, BEST, "best = max(counts, key=lambda pair: (len(pair[0] + pair[1]), counts[pair]))"),
    KnownMistake("words_not_merged", "The merge is not applied to the words before the next count: the same pair wins every time.",
        train_bpe, WORDS, "pass"),
    KnownMistake("only_the_first_occurrence_merged", "A pair is merged only at its first occurrence in each word. Merge every occurrence.",
        merge, "if word[index : index + 2] == pair:", "if word[index : index + 2] == pair and pair[0] + pair[1] not in merged:", aliases=("first_place_only",)),
    KnownMistake("rightmost_first", "Overlapping pairs are merged from the right: aaa becomes a, aa. It must become aa, a.",
        train_bpe, WORDS,
        "words = {merge(word[::-1], best)[::-1] if best[0] == best[1] else merge(word, best): times for word, times in words.items()}", aliases=("from_the_right",)),
    KnownMistake("overlapping_pairs_both_merged", "Both of two overlapping pairs are merged: aaa becomes aa, aa, which duplicates a byte.",
        merge, "index += 2", "index += 1 if word[index + 1 : index + 3] == pair else 2", aliases=("overlaps_merged_twice",)),
    # special tokens --------------------------------------------------------------------------------------------------
    KnownMistake("special_not_escaped", "The special tokens are not escaped in the splitting pattern: | and ( act as operators. Use regex.escape.",
        count_words, PARTS, 'parts = [part for part in regex.split("|".join(special_tokens), text) if part] if special_tokens else [text]', aliases=("names_read_as_patterns",)),
    KnownMistake("special_tokens_counted", "Special tokens in the text are counted like words, and merges are spent on them.",
        count_words, PARTS, "parts = [text]", seen_in=("huggingface/tokenizers#985", "huggingface/tokenizers#1616")),
    KnownMistake("text_around_special_joined", "Special tokens are removed and the text on both sides is joined. The text must be split there.",
        count_words, PARTS, 'parts = ["".join(part for part in split_special(text, special_tokens) if part not in special_tokens)]', aliases=("text_around_them_joined",)),
    KnownMistake("special_tokens_left_out", "The special tokens are missing from the vocabulary.",
        train_bpe, NAMES, "names = []"),
    # the vocabulary --------------------------------------------------------------------------------------------------
    KnownMistake("only_seen_bytes_in_vocabulary", "Only bytes that occur in the text become tokens: other text cannot be encoded. All 256 bytes belong in the vocabulary.",
        train_bpe, SINGLE, 'single = sorted({bytes([byte]) for byte in text.encode("utf-8")})', aliases=("only_bytes_that_were_seen",)),
    KnownMistake("ids_from_257", "The ids of the merges start at 257: 256 is skipped, and the last id equals vocab_size. Start at 256.",
        train_bpe, VOCAB, "vocab = dict(enumerate(single)) | dict(enumerate(joined + names, 257))"),
    KnownMistake("halves_joined_in_reverse", "A merged token is joined in reverse: the second half before the first.",
        train_bpe, JOINED, "joined = [second + first for first, second in merges]", aliases=("joined_the_wrong_way_round",)),
    KnownMistake("vocabulary_stored_as_text", "The tokens are stored as text: bytes that are not a full character become U+FFFD for good. Store bytes.",
        train_bpe, VOCAB, VOCAB + '\nvocab = {i: token.decode("utf-8", "replace").encode() for i, token in vocab.items()}', aliases=("kept_as_text",)),
    KnownMistake("merges_sorted", "The merges are returned sorted. Return them in the order in which they were learned.",
        train_bpe, "return vocab, merges", "return vocab, sorted(merges)", aliases=("merges_in_order_of_bytes",)),
)
