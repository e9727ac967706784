"""Cases of the tokenizer: texts, vocabularies learned from them, and ids."""

from collections.abc import Sequence

import regex
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial
from harness.core.values import Resource
from harness.strategies.corpora import PROSE
from harness.strategies.scripts import byte_vocabularies, numbered_names
from harness.strategies.text import charts, is_settled, joints, medleys, texts, words
from reference_model.tokenizer import GPT2_PATTERN, tokenizer

END = "<|endoftext|>"
SPECIAL = (END, "<|pad|>", "[SEP]", "<s>", "</s>", "(.+)")
"""No name is part of another, and none ends as another begins: it is never open which of two is meant."""
NESTED = (("<a>", "<a><b>", "<b>"), ("<|im|>", "<|im|><|im|>", "<|"), ("[X]", "[X]]", "]"))
"""Names of which one begins another."""
OTHER_PATTERNS = (r"\S+|\s+", r"\p{L}+|\P{L}")
REAL = Resource("reference_model.tokenizer:gpt2_ranks")
REPLACEMENT = "\ufffd"


def build(ranks: object, special: dict[str, int], pattern: str = GPT2_PATTERN) -> Call:
    return Call("build", {"ranks": ranks, "pattern": pattern, "special_tokens": special})


def encode(text: str, allowed: Sequence[str] | None = None) -> Call:
    """Without ``allowed`` the argument is left out: the vocabulary has no special tokens."""
    return Call("encode", {"text": text} if allowed is None else {"text": text, "allowed_special": list(allowed)})


def decode(ids: Sequence[int], method: str = "decode") -> Call:
    return Call(method, {"ids": list(ids)})


def script(trial: Trial, *calls: Call) -> Case:
    """The same vocabulary, with other calls."""
    return Case((trial.case.calls[0], *calls), trial.case.dimensions, trial.case.family)


def text_of(trial: Trial) -> str:
    text: str = trial.case.calls[1].arguments["text"]
    return text


def special_of(trial: Trial) -> dict[str, int]:
    special: dict[str, int] = trial.case.calls[0].arguments["special_tokens"]
    return special


def nothing_special(trial: Trial) -> list[str] | None:
    """The argument that allows no special token; left out where there is none."""
    return [] if special_of(trial) else None


def pieces_of(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    return [match.group() for match in regex.finditer(pattern, text)]


@st.composite
def vocabularies(
    draw: st.DrawFn, *samples: str, names: Sequence[str] = (), pattern: str = GPT2_PATTERN, all_or_none: bool = False
) -> tuple[Call, str]:
    """A vocabulary whose merges were learned from these samples, and special tokens of these names above it.

    The samples are read in pieces, and as a whole: the merges across pieces are for those who ignore the pattern.
    """
    pieces = [piece.encode() for sample in samples for piece in (*pieces_of(sample, pattern), sample)]
    ranks, how = draw(byte_vocabularies(pieces, all_or_none=all_or_none))
    special = draw(numbered_names(names, len(ranks)))
    return build(ranks, special, pattern), how


def some_names(least: int = 0) -> st.SearchStrategy[list[str]]:
    """Names of special tokens."""
    return st.lists(st.sampled_from(SPECIAL), min_size=least, max_size=3, unique=True)


def call_of(text: str, vocabulary: Call, allowed: Sequence[str] = ()) -> Call:
    return encode(text, allowed if vocabulary.arguments["special_tokens"] else None)


def short_prose() -> st.SearchStrategy[str]:
    """The beginning of an ordinary text."""
    settled = [text for text in PROSE if is_settled(text)]
    return st.builds(lambda text, most: text[:most], st.sampled_from(settled), st.integers(1, 40))


@st.composite
def word_games(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """A word over few letters, and other such words to learn from: pairs overlap, and the first, the longest and the
    right one are often three."""
    letters = draw(st.sampled_from(("ab", "ab", "abc", "a\xe9")))
    word, *others = (draw(words(letters, least=2, most=14)) for _ in range(4))
    return word, tuple(others)


@st.composite
def ordinary_texts(draw: st.DrawFn, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A text, and it and another to learn from: most merges are used, and some are not."""
    text = draw(
        st.one_of(
            texts(settled=True, among=names), joints(), charts(settled=True), medleys(settled=True), short_prose()
        )
    )
    return text, (text, draw(st.one_of(words("abc "), texts(settled=True, most=3))))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A text and back, with a vocabulary learned from it and from others.

    Only settled characters: Unicode tables of different years split others differently, and rightly so.
    """
    names = draw(some_names())
    text, samples = draw(st.one_of(word_games(), ordinary_texts(names), ordinary_texts(names)))
    pattern = draw(st.sampled_from((GPT2_PATTERN,) * 4 + OTHER_PATTERNS))
    vocabulary, how = draw(vocabularies(*samples, names=names, pattern=pattern))
    allowed = [name for name in names if draw(st.booleans())]
    ids = tokenizer(**vocabulary.arguments).encode(text, allowed)
    return Case((vocabulary, call_of(text, vocabulary, allowed), decode(ids)), {}, how)


@st.composite
def any_text(draw: st.DrawFn) -> Case:
    """Any Unicode text at all, in which no special token is allowed."""
    names = draw(some_names())
    first = draw(st.sampled_from(("",) * 6 + ("\ufeff", " ")))
    text = first + draw(st.one_of(texts(among=names), charts(), medleys()))
    vocabulary, how = draw(vocabularies(text, draw(texts(most=3)), names=names))
    return Case((vocabulary, call_of(text, vocabulary)), {}, how)


@st.composite
def one_word(draw: st.DrawFn) -> Case:
    """A word and a vocabulary learned from words like it."""
    word, others = draw(word_games())
    vocabulary, how = draw(vocabularies(*others))
    return Case((vocabulary, encode(word)), {}, how)


@st.composite
def where_kinds_meet(draw: st.DrawFn) -> Case:
    """Short texts in which kinds of characters meet at every step, and a vocabulary in which every piece is one token,
    and the whole text too: whoever splits elsewhere, or not at all, gets other ids."""
    text, pattern = draw(joints()), draw(st.sampled_from((GPT2_PATTERN,) * 7 + OTHER_PATTERNS))
    vocabulary, how = draw(vocabularies(text, pattern=pattern, all_or_none=True))
    return Case((vocabulary, encode(text)), {}, how)


@st.composite
def any_ids(draw: st.DrawFn) -> Case:
    """Known ids in any order: bytes that are no UTF-8 among them."""
    vocabulary, how = draw(vocabularies(draw(texts(least=1, most=4)), names=draw(some_names())))
    known = [*vocabulary.arguments["ranks"].values(), *vocabulary.arguments["special_tokens"].values()]
    one = st.one_of(st.integers(0, 5), st.integers(0, len(known) - 1))  # the special tokens are the last
    places = draw(st.lists(one, max_size=12))
    return Case((vocabulary, decode([known[-1 - place] for place in places])), {}, how)


@st.composite
def with_special_tokens(draw: st.DrawFn) -> Case:
    """A text with special tokens in it."""
    before, after, names = draw(texts(most=3)), draw(texts(most=3)), draw(some_names(least=1))
    vocabulary, how = draw(vocabularies(before, after, END, names=names))
    middle = draw(st.lists(st.sampled_from([*names, *names, *map(str.upper, names), " "]), min_size=1, max_size=4))
    return Case((vocabulary, encode(before + "".join(middle) + after, names)), {}, how)


@st.composite
def nested_special_tokens(draw: st.DrawFn) -> Case:
    """Special tokens of which one begins another, side by side."""
    names = draw(st.sampled_from(NESTED))
    text = "".join(draw(st.lists(st.sampled_from((*names, "a", " ")), min_size=1, max_size=5)))
    vocabulary, how = draw(vocabularies(text, names=draw(st.permutations(names))))
    return Case((vocabulary, encode(text, names)), {}, how)


@st.composite
def lone_surrogates(draw: st.DrawFn) -> Case:
    """Half of a UTF-16 pair among ordinary text, as a broken JSON file brings it."""
    before, after = draw(texts(most=2)), draw(texts(most=2))
    half = chr(draw(st.sampled_from((0xD800, 0xDFFF, 0xD83D, 0xDE00))))
    vocabulary, how = draw(vocabularies(before))
    return Case((vocabulary, encode(before + half + after)), {}, how)


@st.composite
def real_texts(draw: st.DrawFn) -> Case:
    """Many texts in one script: building from 50,256 tokens is done once for all of them."""
    ordinary = [text for text in PROSE if is_settled(text) and draw(st.integers(0, 3))]
    any_of = st.one_of(texts(settled=True), charts(settled=True), medleys(settled=True), joints())
    found = [*ordinary, *draw(st.lists(any_of, min_size=1)), *(draw(any_of) for _ in range(draw(st.integers(0, 24))))]
    encodes = [encode(text, []) for text in dict.fromkeys(found)]
    return Case((build(REAL, {END: 50256}), *encodes), {}, "GPT-2's own vocabulary")
