"""The BPE trainer of tokenizers.  pytest --impl=examples/tokenizers_bpe.py

It shows bytes as printable characters; equally frequent pairs go to the lowest ids, and special tokens have the first
ones.
"""

import json

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

LEARNS = "it learns from its own special tokens in the text: from '<|endoftext|>' alone the merge ('<', '|')"
PLUMBLINE = {
    "variants": {"train_bpe": "lowest_ids_of_gpt2"},
    # One defect: which of these claims it breaks hangs on whether a drawn text runs out of pairs beside its special
    # tokens.
    "expected": {
        "train_bpe::special_tokens_are_not_merged": LEARNS,
        "train_bpe::no_merges_without_pairs": LEARNS,
        "train_bpe::merges_match_the_reference": LEARNS,
        "train_bpe::most_frequent_pair_first": LEARNS,
        "train_bpe::merges_stay_within_pretokens": LEARNS,
    },
}

PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]
BYTE_OF = {chr(byte): byte for byte in PRINTABLE} | {chr(256 + place): byte for place, byte in enumerate(OTHERS)}


def in_bytes(token):
    return bytes(BYTE_OF[character] for character in token)


def train_bpe(text, vocab_size, special_tokens, pattern):
    made = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([text], trainer)
    model = json.loads(made.to_str())["model"]
    vocab = {i: name.encode() if name in special_tokens else in_bytes(name) for name, i in model["vocab"].items()}
    return vocab, [(in_bytes(first), in_bytes(second)) for first, second in model["merges"]]
