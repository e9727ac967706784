"""The tokenizer: GPT-2's byte-level byte-pair encoding."""

from collections.abc import Sequence

import regex
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.values import Resource
from harness.strategies.scripts import byte_vocabularies, cuts, merged, numbered_names
from harness.strategies.text import PROSE, charts, is_settled, joints, medleys, shown, texts, where_texts_part, words
from reference_model.tokenizer import GPT2_PATTERN, tokenizer
from specs.naming.dialects import CS336_TOKENIZER
from specs.shared.tokenizers import MEASURES
from specs.workloads import tools as workloads

END = "<|endoftext|>"
SPECIAL = (END, "<|pad|>", "[SEP]", "<s>", "</s>", "(.+)")
"""No name is part of another, and none ends as another begins: which of two is meant never depends on taste."""
NESTED = (("<a>", "<a><b>", "<b>"), ("<|im|>", "<|im|><|im|>", "<|"), ("[X]", "[X]]", "]"))
"""Names of which one begins another."""
OTHER_PATTERNS = (r"\S+|\s+", r"\p{L}+|\P{L}")
REAL = Resource("reference_model.tokenizer:gpt2_ranks")
REPLACEMENT = "\ufffd"

# scripts --------------------------------------------------------------------------------------------------------------


def build(ranks: object, special: dict[str, int], pattern: str = GPT2_PATTERN) -> Call:
    return Call("build", {"ranks": ranks, "pattern": pattern, "special_tokens": special})


def encode(text: str, allowed: Sequence[str] | None = None) -> Call:
    """Without ``allowed`` the argument is left out: there is nothing special about the text."""
    return Call("encode", {"text": text} if allowed is None else {"text": text, "allowed_special": list(allowed)})


def decode(ids: Sequence[int], method: str = "decode") -> Call:
    return Call(method, {"ids": list(ids)})


def script(trial: Trial, *calls: Call) -> Case:
    """The same vocabulary, with other calls."""
    return Case((trial.case.calls[0], *calls), trial.case.dimensions, trial.case.family)


def text_of(trial: Trial) -> str:
    return trial.case.calls[1].arguments["text"]


def special_of(trial: Trial) -> dict[str, int]:
    return trial.case.calls[0].arguments["special_tokens"]


def nothing_special(trial: Trial) -> list[str] | None:
    """The argument that allows no special token; left out where there is none."""
    return [] if special_of(trial) else None


# cases ----------------------------------------------------------------------------------------------------------------


def pieces_of(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    return [match.group() for match in regex.finditer(pattern, text)]


@st.composite
def vocabularies(
    draw: st.DrawFn,
    *samples: str,
    names: Sequence[str] = (),
    pattern: str = GPT2_PATTERN,
    all_or_none: bool = False,
) -> tuple[Call, str]:
    """A vocabulary whose merges were learned from these samples, and special tokens of these names above it.

    The samples are read in pieces, and as a whole: who cuts where the pattern says never uses a merge across pieces.
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
            texts(settled=True, among=names),
            joints(),
            charts(settled=True),
            medleys(settled=True),
            short_prose(),
        )
    )
    return text, (text, draw(st.one_of(words("abc "), texts(settled=True, most=3))))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A text and back, with a vocabulary learned from it and from others.

    Only settled characters: with Unicode tables of different years others are cut differently, and rightly so.
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
    and the whole text too: whoever cuts elsewhere, or not at all, gets other ids."""
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
    drawn = st.one_of(texts(settled=True), charts(settled=True), medleys(settled=True), joints())
    found = [*ordinary, *draw(st.lists(drawn, min_size=1)), *(draw(drawn) for _ in range(draw(st.integers(0, 24))))]
    encodes = [encode(text, []) for text in dict.fromkeys(found)]
    return Case((build(REAL, {END: 50256}), *encodes), {}, "GPT-2's own vocabulary")


# claims ---------------------------------------------------------------------------------------------------------------


def listed(ids: object) -> list[int]:
    """The ids, or a Violation where they are no list of plain integers."""
    if isinstance(ids, (list, tuple)) and all(type(token_id) is int for token_id in ids):
        return list(ids)
    if isinstance(ids, (list, tuple)):
        strange = next(token_id for token_id in ids if type(token_id) is not int)
        what = f"a {type(ids).__name__} that holds {strange!r}, a {type(strange).__name__}"
    else:
        what = "None" if ids is None else f"a {type(ids).__name__}"
    raise Violation(f"encode returns {what}; it must return a list of integers")


def require_ids(text: str, actual: object, expected: list[int], trial: Trial) -> None:
    """Raises Violation that says where the ids part, and which bytes they stand for."""
    ids = listed(actual)
    if ids == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(ids, expected, strict=False)) if a != b), min(len(ids), len(expected)))
    names = bytes_by_id(trial)

    def named(found: list[int]) -> str:
        return f"{found[at]} ({names.get(found[at], 'no token')!r})" if at < len(found) else "the end"

    raise Violation(
        f"the ids of {shown(text)} differ at position {at}: {named(ids)}, expected {named(expected)}",
        worst=f"{shown_ids(ids)}, expected {shown_ids(expected)}",
    )


def shown_ids(ids: list[int]) -> str:
    return str(ids) if len(ids) <= 16 else f"[{', '.join(map(str, ids[:16]))}, ... {len(ids)} in all]"


def bytes_by_id(trial: Trial) -> dict[int, bytes]:
    ranks = trial.case.calls[0].arguments["ranks"]
    table = ranks.load() if isinstance(ranks, Resource) else ranks
    return {rank: token for token, rank in table.items()} | {i: name.encode() for name, i in special_of(trial).items()}


def require_text(what: str, actual: object, expected: str) -> None:
    if not isinstance(actual, str):
        raise Violation(f"{what} gives a {type(actual).__name__}; it must be a str")
    if actual != expected:
        where = where_texts_part(actual, expected)
        raise Violation(f"{what} gives {shown(actual)}, expected {shown(expected)}", worst=where)


@claim("encoding and decoding returns the same text", broken_by="nfc_normalised", cases=any_text)
def round_trip(trial: Trial) -> None:
    text = text_of(trial)
    ids = listed(trial.run().value)
    back = trial.run(script(trial, decode(ids))).value
    if back != text:
        require_text(f"encoding and decoding {shown(text)}", back, text)


@claim("every id is in the vocabulary", broken_by="characters_for_bytes", cases=any_text, aliases=("ids_are_known",))
def ids_in_vocabulary(trial: Trial) -> None:
    known = bytes_by_id(trial)
    for token_id in listed(trial.run().value):
        if token_id not in known:
            text = shown(text_of(trial))
            raise Violation(
                f"encoding {text} gives the id {token_id}, which is not in the vocabulary of {len(known)} tokens"
            )


@claim("decoding any sequence of known ids never raises an error", broken_by="invalid_bytes_raise", cases=any_ids)
def decodes_any_ids(trial: Trial) -> None:
    """Valid parts come out whole; what is no UTF-8 shows as U+FFFD, one or several: how many, tools do not agree on."""
    ids = trial.case.arguments["ids"]
    known = bytes_by_id(trial)
    exact = b"".join(known[token_id] for token_id in ids)
    text = trial.run().value
    if isinstance(text, str) and gathered(text) == gathered(exact.decode("utf-8", "replace")):
        return
    require_text(f"decoding {shown_ids(ids)}, the bytes {exact!r},", text, exact.decode("utf-8", "replace"))


def gathered(text: str) -> str:
    return regex.sub(f"{REPLACEMENT}+", REPLACEMENT, text)


@claim(
    "decode(a + b) equals decode(a) + decode(b) where the text is split between characters",
    broken_by="joined_by_spaces",
    max_cases=20,
    aliases=("decoding_adds_up",),
)
def decoding_concatenates(trial: Trial) -> None:
    """At three cuts of the text, the two ends included."""
    text, ordinary = text_of(trial), nothing_special(trial)
    for at in sorted({0, len(text) // 2, len(text)}):
        a, b = trial.expect(script(trial, encode(text[:at], ordinary), encode(text[at:], ordinary))).outputs[1:]
        first, second, both = trial.run(script(trial, decode(a), decode(b), decode(a + b))).outputs[1:]
        if both != first + second:
            apart = f"decode({shown_ids(a)}) = {shown(first)} and decode({shown_ids(b)}) = {shown(second)}"
            require_text(f"with {apart}, decoding both at once", both, first + second)


@claim(
    "decoding ids as they arrive never retracts text, incomplete characters aside",
    broken_by="decoded_one_by_one",
    max_cases=25,
)
def streaming(trial: Trial) -> None:
    """What the first ids give, less the character that is not whole yet, stands at the start of the whole text."""
    ids, text = trial.case.arguments["ids"], trial.expect().value
    heads = [head for head, _ in cuts(ids)]
    outputs = trial.run(script(trial, *(decode(head) for head in heads))).outputs[1:]
    for head, given in zip(heads, outputs, strict=True):
        if not isinstance(given, str) or not text.startswith(given.rstrip(REPLACEMENT)):
            raise Violation(
                f"after {len(head)} of {len(ids)} ids the text is {shown(given)}, which is not a prefix of {shown(text)}",
                worst=f"the ids are {shown_ids(ids)}",
            )
    require_text(f"decode({shown_ids(ids)})", outputs[-1], text)


@claim(
    "decode_bytes of two parts gives the bytes of the whole, for every split",
    broken_by="decode_bytes_goes_through_text",
    max_cases=25,
)
def streaming_bytes(trial: Trial) -> None:
    ids, known = trial.case.arguments["ids"], bytes_by_id(trial)
    halves = cuts(ids)
    outputs = trial.run(script(trial, *(decode(half, "decode_bytes") for pair in halves for half in pair))).outputs[1:]
    whole = b"".join(known[token_id] for token_id in ids)
    for (head, tail), one, two in zip(halves, outputs[::2], outputs[1::2], strict=True):
        if not isinstance(one, bytes) or not isinstance(two, bytes):
            raise Violation(f"decode_bytes gives a {type(one).__name__}; it must be bytes")
        if one + two != whole:
            raise Violation(
                f"decode_bytes of {shown_ids(list(head))} and of {shown_ids(list(tail))} give {one!r} and {two!r}",
                worst=f"together they must be {whole!r}",
            )


@claim("it merges the pair of lowest rank first, not the longest match", broken_by="longest_match", cases=one_word)
def lowest_rank_first(trial: Trial) -> None:
    """By an oracle of its own: merge the pair of lowest rank, the leftmost of equals, until none is left."""
    word, ranks = text_of(trial), trial.case.calls[0].arguments["ranks"]
    parts = merged(word.encode(), ranks)
    ids = listed(trial.run().value)
    if ids == [ranks[part] for part in parts]:
        return
    fitting = [(token, rank) for token, rank in ranks.items() if len(token) > 1 and token in word.encode()]
    raise Violation(
        f"{shown(word)} merges to {in_bytes(ids, trial)}, expected {b'|'.join(parts)!r}: the lowest rank merges first",
        worst="ranks of the matching tokens: " + ", ".join(f"{token!r} {rank}" for token, rank in fitting),
    )


@claim(
    "the pattern splits the text into pieces, and each piece is encoded on its own",
    broken_by="not_pre_tokenized",
    cases=where_kinds_meet,
    aliases=("cut_by_the_pattern",),
)
def split_by_the_pattern(trial: Trial) -> None:
    """By an oracle of its own: the pieces that the pattern finds, each merged alone."""
    text, ranks = text_of(trial), trial.case.calls[0].arguments["ranks"]
    pieces = pieces_of(text, trial.case.calls[0].arguments["pattern"])
    parts = [merged(piece.encode(), ranks) for piece in pieces]
    ids = listed(trial.run().value)
    if ids != [ranks[part] for piece in parts for part in piece]:
        raise Violation(
            f"{shown(text)} becomes {in_bytes(ids, trial)}; the pattern splits it into {' '.join(map(shown, pieces))}",
            worst=f"expected {b'|'.join(part for piece in parts for part in piece)!r}",
        )


def in_bytes(ids: list[int], trial: Trial) -> str:
    """The bytes of the ids with bars between them."""
    known = bytes_by_id(trial)
    return repr(b"|".join(known.get(token_id, b"?") for token_id in ids))


@claim(
    "an allowed special token becomes one id and splits the text around it",
    broken_by="special_never_recognised",
    cases=with_special_tokens,
    aliases=("special_tokens_stand_alone",),
)
def special_tokens_split_the_text(trial: Trial) -> None:
    """Cut at every special token by hand: what stands between is encoded as if it stood alone."""
    text, special = text_of(trial), special_of(trial)
    parts = regex.split("(" + "|".join(map(regex.escape, special)) + ")", text)
    ordinary = [part for part in parts if part not in special and part]
    calls = [encode(part, list(special)) for part in (text, *ordinary)]
    outputs = trial.run(script(trial, *calls)).outputs[1:]
    by_part = dict(zip(ordinary, outputs[1:], strict=True))
    expected: list[int] = []
    for part in parts:
        if part:
            expected += [special[part]] if part in special else listed(by_part[part])
    require_ids(text, outputs[0], expected, trial)


@claim(
    "a special token is encoded as its id only where it is allowed",
    broken_by="special_always_recognised",
    cases=with_special_tokens,
    max_cases=25,
)
def special_tokens_only_when_allowed(trial: Trial) -> None:
    """With none allowed, and with each one allowed alone."""
    text, special = text_of(trial), special_of(trial)
    choices: list[list[str]] = [[], *([name] for name in special)]
    outputs = trial.run(script(trial, *(encode(text, allowed) for allowed in choices))).outputs[1:]
    for allowed, ids in zip(choices, outputs, strict=True):
        for name, special_id in special.items():
            wanted = text.count(name) if name in allowed else 0
            found = listed(ids).count(special_id)
            if found != wanted:
                with_what = f"allowed_special={allowed!r}" if allowed else "no special token allowed"
                times = f"{found} times, expected {wanted}"
                raise Violation(f"with {with_what}, {shown(text)} gives the id {special_id} of {name!r} {times}")
    back = trial.run(script(trial, decode(listed(outputs[0])))).value
    require_text(f"with no special token allowed, encoding and decoding {shown(text)}", back, text)


@claim(
    "where two special tokens match, the longer one is taken",
    broken_by="shortest_special_first",
    cases=nested_special_tokens,
    max_cases=20,
)
def longest_special_token_first(trial: Trial) -> None:
    text, special = text_of(trial), special_of(trial)
    longest_first = sorted(special, key=len, reverse=True)
    parts = [part for part in regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if part]
    found = [token_id for token_id in listed(trial.run().value) if token_id in special.values()]
    expected = [special[part] for part in parts if part in special]
    if found != expected:
        names = {special_id: name for name, special_id in special.items()}
        theirs, ours = ([names[i] for i in ids] for ids in (found, expected))
        raise Violation(
            f"in {shown(text)} the special tokens found are {theirs}, expected {ours}: the longest match first"
        )


@claim(
    "the empty text has no ids, and no ids decode to the empty text",
    broken_by="end_token_appended",
    max_cases=10,
    aliases=("nothing_gives_nothing",),
)
def empty_input_gives_empty_output(trial: Trial) -> None:
    ids, text = trial.run(script(trial, encode("", list(special_of(trial)) or None), decode([]))).outputs[1:]
    if listed(ids):
        raise Violation(f'encode("") gives {ids}; it must be empty')
    require_text("decode([])", text, "")


@claim(
    "a lone surrogate raises an error or becomes U+FFFD",
    broken_by="surrogates_become_question_marks",
    cases=lone_surrogates,
    max_cases=15,
    aliases=("surrogates_are_not_swallowed",),
)
def lone_surrogates_are_not_dropped(trial: Trial) -> None:
    """An error is clearest; U+FFFD, which shows in the text that comes back, is what tiktoken does."""
    text = text_of(trial)
    answer = trial.attempt(fresh=True)
    if answer.crash is not None:
        return
    back = trial.run(script(trial, decode(listed(answer.value)))).value
    expected = regex.sub(r"[\ud800-\udfff]", REPLACEMENT, text)
    if back != expected:
        raise Violation(
            f"the lone surrogate in {shown(text)} decodes to {shown(back)}; it must raise an error or become U+FFFD"
        )


@claim(
    "with GPT-2's vocabulary it gives GPT-2's ids",
    broken_by="trailing_space_rule_dropped",
    cases=real_texts,
    max_cases=5,
    aliases=("real_vocabulary",),
)
def matches_gpt2_ids(trial: Trial) -> None:
    ours, theirs = trial.expect().outputs, trial.run().outputs
    for call, expected, actual in zip(trial.case.calls[1:], ours[1:], theirs[1:], strict=True):
        require_ids(call.arguments["text"], actual, expected, trial)
    decodes = [decode(ids) for ids in ours[1:]]
    back = trial.run(script(trial, *decodes)).outputs[1:]
    for call, text in zip(trial.case.calls[1:], back, strict=True):
        require_text(f"encoding and decoding {shown(call.arguments['text'])}", text, call.arguments["text"])


CONTRACT = Contract(
    name="tokenizer",
    meaning="Byte-pair encoding: text to ids and back; a pattern splits the text, then byte pairs merge by rank.",
    calls={
        "build": Signature(
            (
                Argument("ranks", "dict[bytes, int]", role="setting"),
                Argument("pattern", "text", role="setting", optional=True, default=GPT2_PATTERN),
                Argument("special_tokens", "dict[text, int]", role="setting", optional=True, default={}),
            ),
            "tokenizer",
        ),
        "encode": Signature(
            (
                Argument("text", "text"),
                Argument("allowed_special", "list[text]", role="setting", optional=True, default=[]),
            ),
            "list[int]",
        ),
        "decode": Signature((Argument("ids", "list[int]"),), "text"),
        "decode_bytes": Signature((Argument("ids", "list[int]"),), "bytes"),
    },
    reference=tokenizer,
    cases=cases,
    differentiable=False,
    half_precision=False,
    dialects=(CS336_TOKENIZER,),
    measures=MEASURES,
    order=5,
    headline=True,
    optional_methods=frozenset({"decode_bytes"}),
    sources=("Sennrich et al. 2016, section 3.2", "Radford et al. 2019, section 2.2", "openai/gpt-2 src/encoder.py"),
    workloads=workloads.TOKENIZER,
    claims=(
        round_trip,
        ids_in_vocabulary,
        matches_gpt2_ids,
        lowest_rank_first,
        split_by_the_pattern,
        decodes_any_ids,
        decoding_concatenates,
        streaming,
        streaming_bytes,
        special_tokens_split_the_text,
        special_tokens_only_when_allowed,
        longest_special_token_first,
        empty_input_gives_empty_output,
        lone_surrogates_are_not_dropped,
    ),
)
