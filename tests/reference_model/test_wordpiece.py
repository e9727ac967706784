"""wordpiece beside tokenizers and the published Python of BERT, and by hand."""

import random
from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from reference_model.wordpiece import wordpiece

EXAMPLES = Path(__file__).parents[2] / "examples"
KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["wordpiece"]
VOCAB = ("[UNK]", "un", "##aff", "##able", "##a", "runn", "##ing", "want", "##want", "##ed", "wa")


def test_the_example_of_bert():
    """google-research/bert tokenization_test.py, test_wordpiece_tokenizer."""
    made = wordpiece(VOCAB)
    assert made.encode("") == []
    assert made.encode("unwanted running") == ["un", "##want", "##ed", "runn", "##ing"]
    assert made.encode("unwantedX running") == ["[UNK]", "runn", "##ing"]
    assert made.decode(made.encode("unaffable  unwanted\n")) == "unaffable unwanted"


def test_refuses_a_vocabulary_without_the_unknown():
    with pytest.raises(ValueError, match="UNK"):
        wordpiece(("a", "##b"))


def bert():
    """What was released with BERT, as transformers keeps it."""
    legacy = pytest.importorskip("transformers.models.bert.tokenization_bert_legacy")

    class wordpiece:
        def __init__(self, vocab, unk, max_chars):
            self.inner = legacy.WordpieceTokenizer(vocab, unk, max_chars)

        def encode(self, text):
            return self.inner.tokenize(text)

        def decode(self, pieces):
            return legacy.BertTokenizerLegacy.convert_tokens_to_string(self, pieces)

    return wordpiece


@pytest.mark.parametrize("seed", range(5))
def test_the_python_of_bert_piece_for_piece(seed):
    draw = random.Random(seed)
    vocab = {"[UNK]": 0}
    for _ in range(25):
        piece = draw.choice(("", "##")) + "".join(draw.choices("abc", k=draw.randint(1, 4)))
        vocab.setdefault(piece, len(vocab))
    theirs, ours = bert()(vocab, "[UNK]", 9), wordpiece(vocab, max_chars=9)
    for _ in range(60):
        text = " ".join("".join(draw.choices("abc", k=draw.randint(1, 11))) for _ in range(3))
        assert ours.encode(text) == theirs.encode(text)
        assert ours.decode(ours.encode(text)) == theirs.decode(ours.encode(text))


@pytest.mark.parametrize("library", ["tokenizers", "transformers"])
def test_released_libraries_keep_every_claim(library):
    """tokenizers through examples/tokenizers_wordpiece.py."""
    pytest.importorskip(library)
    adapters = {"wordpiece": ClassAdapter(bert())} if library == "transformers" else None
    adapters = adapters or discover(str(EXAMPLES / "tokenizers_wordpiece.py"), KNOWN.contracts).adapters
    inspection = Inspection(KNOWN, Executor(library, adapters, KNOWN.contracts), seed=1, cases=12)
    for claim in KNOWN.claims_of("wordpiece"):
        verdict, _ = inspection.bench.judge(CONTRACT, claim, shrink=False)
        assert verdict.status in (Status.PASSED, Status.NOT_APPLICABLE), (
            f"{claim.name}: {verdict.message} {verdict.worst}"
        )


@pytest.mark.parametrize("variant", [v.name for v in CONTRACT.variants])
def test_every_declared_convention_keeps_every_claim(variant):
    edits = next(v for v in CONTRACT.variants if v.name == variant).edits
    declared = Inspection(
        KNOWN, reference_executor(KNOWN.contracts, edits), seed=1, cases=12, variants={"wordpiece": variant}
    )
    for claim in KNOWN.claims_of("wordpiece"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"
