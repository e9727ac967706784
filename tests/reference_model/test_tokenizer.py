"""reference_model/tokenizer.py against tiktoken."""

import base64
import hashlib
import inspect
import itertools
import random
import textwrap
import unicodedata
from importlib import resources

import pytest

from reference_model import gpt2_ranks, tokenizer

END = "<|endoftext|>"
BYTES = {bytes([byte]): byte for byte in range(256)}


@pytest.fixture(scope="module")
def gpt2_tokenizer():
    """Ours, with GPT-2's vocabulary."""
    return tokenizer(gpt2_ranks(), special_tokens={END: 50256})


@pytest.fixture(scope="module")
def peer():
    """tiktoken with the same vocabulary and its own split pattern for it, built without the network."""
    tiktoken = pytest.importorskip("tiktoken")
    pattern = pytest.importorskip("tiktoken_ext.openai_public").r50k_pat_str
    return tiktoken.Encoding(name="gpt2", pat_str=pattern, mergeable_ranks=gpt2_ranks(), special_tokens={END: 50256})


TEXTS = {
    "greeting": "Hello, I'm a language model,",
    "contractions": "I'm you're he's we've they'll I'd can't 's 't I'M YOU'RE HE'S It’s ''s '",
    "white space": " a  b   c\t\td\n\n e \r\n\r\n   \n   f \x0b\x0c\x85\u00a0\u2003\u3000g   ",
    "only spaces": "       ",
    "control": "\x00\x01\x1b\x1c\x1d\x1e\x1f\x7f\x80",
    "numbers": "3.14159 1,000,000 ½ ² Ⅷ 12ab34 ١٢٣",
    "emoji": "🙂👍🏽👨‍👩‍👧‍👦🇫🇷 ❤️ a🙂b",
    "scripts": "你好，世界。こんにちは 안녕하세요 Привет, мир! مرحبا بالعالم שלום नमस्ते ไทย",
    "combining": unicodedata.normalize("NFD", "naïve Ångström café ﬁ") + unicodedata.normalize("NFKC", "ﬁ Å"),
    "private and unassigned": "\ue000\uf8ff\U000f0000\u0378\uffff\U0010ffff",
    "code": "def f(x):\n    return x**2  # 'squared'\n",
    "empty": "",
}


def test_known_ids(gpt2_tokenizer):
    """The published ids of a well-known prompt."""
    assert gpt2_tokenizer.encode(TEXTS["greeting"]) == [15496, 11, 314, 1101, 257, 3303, 2746, 11]


@pytest.mark.parametrize("name", TEXTS)
def test_equals_tiktoken(gpt2_tokenizer, peer, name):
    """The same ids, and back to the same text."""
    ids = gpt2_tokenizer.encode(TEXTS[name])
    assert ids == peer.encode_ordinary(TEXTS[name])
    assert gpt2_tokenizer.decode(ids) == TEXTS[name]


def assigned(draw):
    """A code point that has a meaning (a surrogate has none)."""
    while True:
        ceiling = draw.choice([0x80, 0x800, 0x3000, 0x10000, 0x20000, 0xF0000])
        character = chr(draw.randrange(ceiling))
        if unicodedata.category(character) not in ("Cs", "Cn"):
            return character


def test_equals_tiktoken_on_random_unicode(gpt2_tokenizer, peer):
    """300 random texts of assigned code points, mixed with spaces and apostrophes."""
    draw = random.Random(0)
    for _ in range(300):
        length = draw.randint(1, 60)
        text = "".join(draw.choice([assigned(draw), assigned(draw), " ", "'", "s", "\n"]) for _ in range(length))
        ids = gpt2_tokenizer.encode(text)
        assert ids == peer.encode_ordinary(text), repr(text)
        assert gpt2_tokenizer.decode(ids) == text


@pytest.mark.parametrize("module", [textwrap, unicodedata, inspect])
def test_equals_tiktoken_on_real_text(gpt2_tokenizer, peer, module):
    """Sources and docstrings of the standard library."""
    text = inspect.getsource(module) if hasattr(module, "__file__") and module.__file__.endswith(".py") else ""
    text = (text or "\n".join(str(thing.__doc__) for thing in vars(module).values()))[:60_000]
    assert len(text) > 500
    ids = gpt2_tokenizer.encode(text)
    assert ids == peer.encode_ordinary(text)
    assert gpt2_tokenizer.decode(ids) == text


def train(text, merges):
    """A small vocabulary: the most frequent pair becomes a token, `merges` times."""
    ranks = dict(BYTES)
    words = [[bytes([byte]) for byte in word.encode()] for word in text.split(" ")]
    while len(ranks) < 256 + merges:
        pairs = [pair for word in words for pair in itertools.pairwise(word)]
        best = max(pairs, key=lambda pair: (pairs.count(pair), pair))
        ranks[best[0] + best[1]] = len(ranks)
        for word in words:
            for index in range(len(word) - 2, -1, -1):
                if tuple(word[index : index + 2]) == best:
                    word[index : index + 2] = [best[0] + best[1]]
    return ranks


def test_equals_tiktoken_on_a_small_vocabulary():
    """A vocabulary trained here, on words made of its letters: also where a longer token would fit."""
    tiktoken = pytest.importorskip("tiktoken")
    ranks = train("abab abcab bcab cabb aab abc bca ccab bbca abca", 12)
    ours = tokenizer(ranks, r"[a-c]+|\s+")
    theirs = tiktoken.Encoding("small", pat_str=r"[a-c]+|\s+", mergeable_ranks=ranks, special_tokens={})
    draw = random.Random(1)
    for _ in range(300):
        text = "".join(draw.choice("abc ") for _ in range(draw.randint(1, 24)))
        assert ours.encode(text) == theirs.encode_ordinary(text), text


def test_lowest_rank_merges_first_not_the_longest():
    """cd comes before ab and abc: abcd is ab and cd, though abc would fit; abc alone still is abc."""
    ours = tokenizer(BYTES | {b"cd": 256, b"ab": 257, b"abc": 258})
    assert ours.encode("abcd") == [257, 256]
    assert ours.encode("abc") == [258]
    ours = tokenizer(BYTES | {b"bc": 256, b"ab": 257})
    assert ours.encode("abc") == [ord("a"), 256]


def test_ties_merge_from_the_left():
    """aaa is aa and a."""
    assert tokenizer(BYTES | {b"aa": 256}).encode("aaa") == [256, ord("a")]


def test_special_tokens_only_where_allowed(gpt2_tokenizer, peer):
    """Allowed by name or by "all" it is one id; otherwise it is ordinary text."""
    text = f"one{END} two {END}{END}"
    allowed = peer.encode(text, allowed_special="all")
    assert gpt2_tokenizer.encode(text, "all") == gpt2_tokenizer.encode(text, [END]) == allowed
    assert gpt2_tokenizer.encode(text) == peer.encode_ordinary(text)
    assert 50256 not in gpt2_tokenizer.encode(text)
    assert gpt2_tokenizer.decode(allowed) == text


def test_the_longest_special_token_wins():
    """Where one special token begins with another, the longer is taken; a forbidden one never hides another."""
    ours = tokenizer(BYTES, special_tokens={"<a>": 300, "<a><b>": 301, "<b>": 302})
    assert ours.encode("x<a><b><a>y", "all") == [ord("x"), 301, 300, ord("y")]
    assert ours.encode("<a><b>", ["<a>", "<b>"]) == [300, 302]
    assert ours.encode("<a><b>", ["<b>"]) == [*b"<a>", 302]


def test_special_tokens_that_look_like_patterns():
    """They are taken literally."""
    ours = tokenizer(BYTES, special_tokens={"[x|.*]": 300})
    assert ours.encode("[x|.*]x", "all") == [300, ord("x")]


def test_refuses_names_that_are_not_special(gpt2_tokenizer):
    """A misspelt name, and a single name without its brackets, are errors rather than silence."""
    with pytest.raises(ValueError, match="'<end>' is no special token of"):
        gpt2_tokenizer.encode("x", ["<end>"])
    with pytest.raises(TypeError, match='"all" or a collection of names'):
        gpt2_tokenizer.encode("x", END)


@pytest.mark.parametrize(("text", "place"), [("ab\ud800", 2), ("\udfff", 0), ("🙂\ude00", 1)])
def test_names_a_lone_surrogate_and_its_place(gpt2_tokenizer, text, place):
    """It is a ValueError that says which code point and where."""
    with pytest.raises(ValueError, match=rf"text\[{place}\] is the lone surrogate U\+{ord(text[place]):04X}"):
        gpt2_tokenizer.encode(text)


def test_names_a_byte_that_is_missing():
    """A vocabulary without a byte can encode what does not need it, and says so where it does."""
    ours = tokenizer({b"a": 0, b"b": 1, b"ab": 2})
    assert ours.encode("aab") == [0, 2]
    with pytest.raises(ValueError, match="0x63"):
        ours.encode("abc")


def test_refuses_a_pattern_that_loses_text():
    """What the pattern leaves out would be gone after the round trip."""
    with pytest.raises(ValueError, match="the pattern leaves out"):
        tokenizer(BYTES, r"[a-z]+").encode("abc!")


@pytest.mark.parametrize(
    ("ranks", "special", "message"),
    [
        ({b"a": 0, b"b": 0}, {}, "share"),
        ({b"a": 0}, {"<x>": 0}, "has the id 0 of"),
        ({b"a": 0}, {"": 1}, "may not be empty"),
    ],
)
def test_refuses_vocabularies_that_cannot_be_inverted(ranks, special, message):
    """One id, one token."""
    with pytest.raises(ValueError, match=message):
        tokenizer(ranks, special_tokens=special)


def test_decode_never_raises_for_known_ids(gpt2_tokenizer, peer):
    """Ids that are no UTF-8 together become U+FFFD, as in tiktoken; the bytes are exact."""
    draw = random.Random(2)
    for _ in range(200):
        ids = [draw.randrange(50257) for _ in range(draw.randint(0, 12))]
        assert gpt2_tokenizer.decode(ids) == peer.decode(ids)
        assert gpt2_tokenizer.decode_bytes(ids) == peer.decode_bytes(ids)
    assert all(gpt2_tokenizer.decode([token_id]) for token_id in range(50257))


@pytest.mark.parametrize("bad", [50257, -1])
def test_decode_names_an_unknown_id(gpt2_tokenizer, bad):
    """With its place in the list."""
    with pytest.raises(ValueError, match=rf"ids\[1\] = {bad} is no id"):
        gpt2_tokenizer.decode([0, bad])


class Counted(dict):
    """A table that counts how often it is asked."""

    asked = 0

    def get(self, key, default=None):
        """As a dict does."""
        self.asked += 1
        return super().get(key, default)


def test_a_long_run_of_one_letter_ranks_few_pairs(peer):
    """10,000 letters without a cut: a pair is ranked at the start, and two after each merge."""
    text = "a" * 10_000
    ours = tokenizer(gpt2_ranks())
    ours.ranks = Counted(ours.ranks)
    assert ours.encode(text) == peer.encode_ordinary(text)
    assert len(text) - 1 <= ours.ranks.asked <= 3 * len(text)


def test_the_vocabulary_file_is_whole():
    """50,256 ranks from 0 on, every byte among them, the published digest, and the licence beside it."""
    data = resources.files("reference_model") / "data"
    content = (data / "gpt2.tiktoken").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith("306cd27f")
    ranks = gpt2_ranks()
    assert sorted(ranks.values()) == list(range(50256))
    assert all(bytes([byte]) in ranks for byte in range(256))
    first = content.splitlines()[0].split()
    assert ranks[base64.b64decode(first[0])] == int(first[1]) == 0
    assert "OpenAI" in (data / "gpt2.tiktoken.LICENSE").read_text()


def test_changing_the_ranks_of_one_caller_changes_no_other():
    """Every call returns a dict of its own."""
    gpt2_ranks().clear()
    assert len(gpt2_ranks()) == 50256
