"""unigram beside sentencepiece and tokenizers, with the same table of scores, and by hand."""

import random
from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from reference_model.unigram import unigram

EXAMPLES = Path(__file__).parents[2] / "examples"
KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["unigram"]


def test_by_hand():
    """A mark with h and ug have -1.5 together, and hug after a mark -5: the better sum wins, not the longest piece."""
    pieces = {"\u2581": -1.0, "h": -3.0, "u": -3.0, "g": -3.0, "hu": -1.5, "ug": -0.5, "hug": -4.0, "\u2581h": -1.0}
    made = unigram(pieces)
    assert made.encode("hug") == ["\u2581h", "ug"]
    assert made.encode("ug hug") == ["\u2581", "ug", "\u2581h", "ug"]
    assert made.decode(made.encode("ug hug")) == "ug hug"
    assert made.encode("h\u0416\u03a9g") == ["\u2581h", "<unk>", "g"]
    fallback = unigram(pieces, byte_fallback=True)
    assert fallback.encode("h\u0416") == ["\u2581h", "<0xD0>", "<0x96>"]
    assert fallback.decode(["\u2581h", "<0xD0>", "<0x96>", "<0xFF>"]) == "h\u0416\ufffd"


def test_refuses_what_is_no_vocabulary():
    for pieces in ({}, {"": -1.0}):
        with pytest.raises(ValueError, match="pieces"):
            unigram(pieces)


def vocabulary(draw: random.Random) -> dict[str, float]:
    pieces = {c: -draw.uniform(1, 9) for c in "abc\u2581"}
    for _ in range(12):
        pieces[draw.choice(("", "\u2581")) + "".join(draw.choices("abc", k=draw.randint(2, 4)))] = -draw.uniform(1, 9)
    return pieces


@pytest.mark.parametrize("seed", range(8))
def test_the_model_of_tokenizers(seed):
    """With scores of which no two sums are alike, piece for piece."""
    tokenizers = pytest.importorskip("tokenizers")
    draw = random.Random(seed)
    pieces = vocabulary(draw)
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram([("<unk>", 0.0), *pieces.items()], unk_id=0))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    theirs.decoder = tokenizers.decoders.Metaspace()
    ours = unigram(pieces)
    for _ in range(20):
        text = " ".join("".join(draw.choices("abc", k=draw.randint(1, 9))) for _ in range(draw.randint(1, 4)))
        found = theirs.encode(text)
        assert ours.encode(text) == found.tokens
        assert ours.decode(found.tokens) == theirs.decode(found.ids) == text


def test_sentencepiece_keeps_every_claim():
    """The released library, through examples/sentencepiece_unigram.py."""
    pytest.importorskip("sentencepiece")
    found = discover(str(EXAMPLES / "sentencepiece_unigram.py"), KNOWN.contracts)
    assert set(found.adapters) == {"unigram"}
    inspection = Inspection(KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1, cases=12)
    for claim in KNOWN.claims_of("unigram"):
        verdict, _ = inspection.bench.judge(CONTRACT, claim, shrink=False)
        assert verdict.status in (Status.PASSED, Status.NOT_APPLICABLE), (
            f"{claim.name}: {verdict.message} {verdict.worst}"
        )


@pytest.mark.parametrize("variant", [v.name for v in CONTRACT.variants])
def test_every_declared_convention_keeps_every_claim(variant):
    from harness.judging.reference import reference_executor

    edits = next(v for v in CONTRACT.variants if v.name == variant).edits
    declared = Inspection(
        KNOWN, reference_executor(KNOWN.contracts, edits), seed=1, cases=12, variants={"unigram": variant}
    )
    for claim in KNOWN.claims_of("unigram"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.worst}"
