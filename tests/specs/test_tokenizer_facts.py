"""What is measured of a tokenizer: of the reference, of a cruder one, and of one that cannot be measured."""

import unicodedata

import pytest

from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from reference_model.tokenizer import gpt2_ranks
from specs.shared.tokenizers import SENTENCES, STRANGE_WORDS, corpus, words_of

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["tokenizer"]


def facts_of(executor):
    bench = Inspection(KNOWN, executor, seed=1).bench
    return {measure.name: bench.measure(CONTRACT, measure) for measure in CONTRACT.measures}


class Bytes:
    """Never merges: one token for every byte."""

    def __init__(self, ranks, pattern, special_tokens):
        self.ranks = ranks

    def encode(self, text, allowed_special=()):
        return [self.ranks[bytes([byte])] for byte in text.encode()]

    def decode(self, ids):
        raise NotImplementedError


class Broken(Bytes):
    """Gives text where ids belong."""

    def encode(self, text, allowed_special=()):
        return list(text)


def test_of_the_reference():
    """The published numbers of GPT-2: 50,257 tokens, 31 % of 124M parameters; the rest as tiktoken counts."""
    facts = facts_of(reference_executor(KNOWN.contracts))
    assert all(fact.component == "tokenizer" and fact.how for fact in facts.values())
    assert facts["vocabulary"].value == pytest.approx(38_597_376 / 124_439_808)
    assert list(facts["vocabulary"].series.values()) == sorted(facts["vocabulary"].series.values())
    assert facts["same_sentence"].series["English"] == 1 < facts["same_sentence"].series["German"]
    assert set(facts["tokens_per_byte"].series) == set(corpus())
    assert 0.15 < facts["tokens_per_byte"].value < 0.35 and 1 < facts["tokens_per_word"].value < 2
    assert "|" in facts["strange_words"].sentence and min(facts["strange_words"].series.values()) > 1


def test_as_tiktoken_counts():
    tiktoken = pytest.importorskip("tiktoken")
    from reference_model.tokenizer import GPT2_PATTERN

    gpt2 = tiktoken.Encoding(
        "gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=gpt2_ranks(), special_tokens={"<|endoftext|>": 50256}
    )
    facts = facts_of(reference_executor(KNOWN.contracts))
    for label, text in corpus().items():
        assert facts["tokens_per_byte"].series[label] == len(gpt2.encode_ordinary(text)) / len(text.encode())


def test_of_another_tokenizer():
    """Its own encode is measured, right or wrong: every byte a token."""
    facts = facts_of(Executor("bytes", {"tokenizer": ClassAdapter(Bytes)}, KNOWN.contracts))
    assert set(facts["tokens_per_byte"].series.values()) == {1.0}
    assert facts["strange_words"].series["blorptification"] == 16
    assert facts["same_sentence"].series["Thai"] > 1.5


def test_what_gives_no_ids_is_not_measured():
    facts = facts_of(Executor("broken", {"tokenizer": ClassAdapter(Broken)}, KNOWN.contracts))
    assert facts["vocabulary"] is not None
    assert [name for name, fact in facts.items() if fact is None] == [
        "tokens_per_byte",
        "tokens_per_word",
        "same_sentence",
        "strange_words",
    ]


def test_the_texts_are_what_they_say():
    """Real text from the standard library; sentences in composed characters, in nine scripts; words that are no
    token."""
    ranks = gpt2_ranks()
    assert len(corpus()["English docstrings"]) > 1000 < len(corpus()["Python code"])
    assert len(words_of(corpus()["English docstrings"])) > 100
    assert "def " in corpus()["Python code"]
    assert all(unicodedata.normalize("NFC", text) == text for text in SENTENCES.values())
    first_letters = (
        next(c for c in text if c.isalpha() and not c.isascii())
        for text in list(SENTENCES.values())[1:]
        if not text.isascii()
    )
    assert len({unicodedata.name(letter).split()[0] for letter in first_letters}) >= 9
    assert not any(word.encode() in ranks for word in STRANGE_WORDS)
