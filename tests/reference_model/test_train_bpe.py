"""train_bpe beside the trainer of `tokenizers`, Sennrich's example, brute force, and the tokenizer that uses what it
learns."""

import random
import types
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.dialects import dialect_of
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from reference_model.tokenizer import tokenizer
from reference_model.train_bpe import train_bpe

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["train_bpe"]
TOKENIZERS = Path(__file__).parents[2] / "examples" / "tokenizers_bpe.py"
MEET_SPECIAL_TOKENS = pytest.mark.xfail(
    reason="its trainer does not know its special tokens in the text: "
    "from '<|endoftext|>' alone it learns (b'<', b'|')",
    strict=True,
)
WHERE_SPECIAL_TOKENS_STAND = (
    "special_tokens_are_not_merged",
    "merges_match_the_reference",
    "most_frequent_pair_first",
    "merges_stay_within_pretokens",
    "no_merges_without_pairs",
)


def edits_of(variant: str):
    return next(v for v in CONTRACT.variants if v.name == variant).edits


def with_variant(variant: str, *arguments):
    """What the reference learns under another convention."""
    from harness.core.mistake import applied

    with applied(edits_of(variant)):
        return train_bpe(*arguments)


def test_the_example_of_the_paper():
    """low x5, lower x2, newest x6, widest x3: es, est come first, as figure 1 has it (without the end of words)."""
    text = "low" + " low" * 4 + " lower" * 2 + " newest" * 6 + " widest" * 3
    _, merges = train_bpe(text, 256 + 4)
    assert merges == [(b"e", b"s"), (b"es", b"t"), (b"l", b"o"), (b"lo", b"w")]


def test_every_choice_is_the_most_frequent_by_brute_force():
    """On random words over three letters, counted anew in plain strings after each merge."""
    draw = random.Random(3)
    for _ in range(40):
        words = ["".join(draw.choices("abc", k=draw.randint(1, 8))) for _ in range(draw.randint(1, 6))]
        _, merges = train_bpe("\n".join(words), 256 + 12, [], r"\w+|\s")
        rows = [list(word) for word in words]
        for first, second in merges:
            counts = Counter(pair for row in rows for pair in pairwise(row))
            best = (first.decode(), second.decode())
            assert counts[best] == max(counts.values())
            for row in rows:
                at = 0
                while at + 1 < len(row):
                    if (row[at], row[at + 1]) == best:
                        row[at : at + 2] = ["".join(best)]
                    at += 1


@pytest.mark.parametrize("seed", range(6))
def test_the_trainer_of_tokenizers(seed):
    """With the variant that breaks ties by GPT-2's ids, merge for merge; special tokens have the first ids there."""
    tokenizers = pytest.importorskip("tokenizers")
    draw = random.Random(seed)
    letters = draw.choice(("ab", "abcd", "a\xe9\u65e5 b"))
    text = " ".join("".join(draw.choices(letters, k=draw.randint(1, 7))) for _ in range(30)) + " it's 12 o'clock!"
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=257 + 30, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator([text], trainer)
    theirs = __import__("json").loads(model.to_str())["model"]["merges"]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shown = dict(zip(printable, map(chr, printable), strict=True))
    shown |= {b: chr(256 + n) for n, b in enumerate(b for b in range(256) if b not in printable)}
    _, ours = with_variant("lowest_ids_of_gpt2", text, 257 + 30, ["<s>"])
    assert [["".join(shown[b] for b in token) for token in pair] for pair in ours] == theirs


def test_what_is_learned_encodes_the_text_as_training_left_it():
    """The tokenizer with these ranks needs as few tokens as the training had at its end, and gives the text back."""
    text = "the cat sat on the mat; the bat that sat there spat at the cat. \u65e5\u672c\u8a9e\u65e5\u672c!"
    vocab, merges = train_bpe(text, 256 + 20 + 1, ["<|endoftext|>"])
    assert len(vocab) == 277 and len(merges) == 20
    ranks = {token: i for i, token in vocab.items() if token != b"<|endoftext|>"}
    made = tokenizer(ranks, special_tokens={"<|endoftext|>": 276})
    assert made.decode(made.encode(text)) == text
    assert len(made.encode(text)) < len(text.encode()) * 0.6


def test_refuses_a_size_without_room():
    with pytest.raises(ValueError, match="256"):
        train_bpe("abc", 256, ["<s>"])


def cs336(input_path, vocab_size, special_tokens, **kwargs):
    """The course's form; equally frequent pairs go to the greatest."""
    with open(input_path, encoding="utf-8") as file:
        return with_variant("greatest", file.read(), vocab_size, special_tokens)


def test_the_form_of_cs336_with_its_own_ties():
    """A path for a text; declared, every claim holds, and undeclared the convention is named."""
    module = types.SimpleNamespace(run_train_bpe=cs336)
    executor = Executor(
        "cs336", {"train_bpe": dialect_of(CONTRACT, lambda name: getattr(module, name, None))}, KNOWN.contracts
    )
    declared = Inspection(KNOWN, executor, seed=1, cases=12, variants={"train_bpe": "greatest"})
    for claim in KNOWN.claims_of("train_bpe"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"
    undeclared = Inspection(KNOWN, executor, seed=1, cases=12)
    claim = next(claim for claim in KNOWN.claims_of("train_bpe") if claim.name == "merges_match_the_reference")
    assert undeclared.bench.judge(CONTRACT, claim, shrink=False)[0].status == Status.FAILED


@pytest.mark.parametrize("variant", [v.name for v in CONTRACT.variants])
def test_every_declared_convention_keeps_every_claim(variant):
    executor = reference_executor(KNOWN.contracts, edits_of(variant))
    declared = Inspection(KNOWN, executor, seed=1, cases=12, variants={"train_bpe": variant})
    for claim in KNOWN.claims_of("train_bpe"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(claim.name, marks=MEET_SPECIAL_TOKENS if claim.name in WHERE_SPECIAL_TOKENS_STAND else ())
        for claim in KNOWN.claims_of("train_bpe")
    ],
)
def test_the_trainer_of_tokenizers_claim_by_claim(name):
    """Through examples/tokenizers_bpe.py; what fails is its special tokens, wherever a text has them."""
    pytest.importorskip("tokenizers")
    found = discover(str(TOKENIZERS), KNOWN.contracts)
    inspection = Inspection(
        KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1, variants=found.variants
    )
    claim = next(claim for claim in KNOWN.claims_of("train_bpe") if claim.name == name)
    verdict, _ = inspection.bench.judge(CONTRACT, claim, shrink=False)
    assert verdict.status in (Status.PASSED, Status.NOT_APPLICABLE), f"{verdict.message} {verdict.smallest}"
