"""The tokenizer: GPT-2's byte-level byte-pair encoding."""

import regex

from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.scripts import cuts, merged
from harness.strategies.text import shown
from reference_model.tokenizer import GPT2_PATTERN, tokenizer
from specs.shared import tokenizer_cases
from specs.shared.tokenizer_cases import (
    REPLACEMENT,
    decode,
    encode,
    nothing_special,
    pieces_of,
    script,
    special_of,
    text_of,
)
from specs.shared.tokenizer_classes import TOKENIZERS
from specs.shared.tokenizer_functions import CS336_TOKENIZER
from specs.shared.tokenizer_outputs import (
    bytes_by_id,
    gathered,
    in_bytes,
    listed,
    require_allowed_special_tokens,
    require_bytes_of_parts,
    require_ids,
    require_no_lost_surrogate,
    require_split_at_special_tokens,
    require_text,
    shown_ids,
)
from specs.shared.tokenizer_streams import first_id_before_the_last_text
from specs.shared.tokenizers import MEASURES
from specs.workloads import tokenizers as workloads


@claim("encoding and decoding returns the same text", broken_by="nfc_normalised", cases=tokenizer_cases.any_text)
def round_trip(trial: Trial) -> None:
    text = text_of(trial)
    ids = listed(trial.run().value)
    back = trial.run(script(trial, decode(ids))).value
    if back != text:
        require_text(f"encoding and decoding {shown(text)}", back, text)


@claim(
    "every id is in the vocabulary",
    broken_by="characters_for_bytes",
    cases=tokenizer_cases.any_text,
    aliases=("ids_are_known",),
)
def ids_in_vocabulary(trial: Trial) -> None:
    known = bytes_by_id(trial)
    for token_id in listed(trial.run().value):
        if token_id not in known:
            what = f"encoding {shown(text_of(trial))} gives the id {token_id}"
            raise Violation(f"{what}, which is not in the vocabulary of {len(known)} tokens")


@claim(
    "decoding any sequence of known ids never raises an error",
    broken_by="invalid_bytes_raise",
    cases=tokenizer_cases.any_ids,
)
def decodes_any_ids(trial: Trial) -> None:
    """Valid parts are decoded; bytes that are not UTF-8 become U+FFFD, one or several: tools differ in how many."""
    ids = trial.case.arguments["ids"]
    known = bytes_by_id(trial)
    exact = b"".join(known[token_id] for token_id in ids)
    text = trial.run().value
    if isinstance(text, str) and gathered(text) == gathered(exact.decode("utf-8", "replace")):
        return
    require_text(f"decoding {shown_ids(ids)}, the bytes {exact!r},", text, exact.decode("utf-8", "replace"))


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
    """What the first ids give, without a last incomplete character, is a prefix of the whole text."""
    ids, text = trial.case.arguments["ids"], trial.expect().value
    heads = [head for head, _ in cuts(ids)]
    outputs = trial.run(script(trial, *(decode(head) for head in heads))).outputs[1:]
    for head, given in zip(heads, outputs, strict=True):
        if not isinstance(given, str) or not text.startswith(given.rstrip(REPLACEMENT)):
            what = f"after {len(head)} of {len(ids)} ids the text is {shown(given)}"
            raise Violation(f"{what}, which is not a prefix of {shown(text)}", worst=f"the ids are {shown_ids(ids)}")
    require_text(f"decode({shown_ids(ids)})", outputs[-1], text)


@claim(
    "decode_bytes of two parts gives the bytes of the whole, for every split",
    broken_by="decode_bytes_goes_through_text",
    max_cases=25,
)
def streaming_bytes(trial: Trial) -> None:
    require_bytes_of_parts(trial)


@claim(
    "it merges the pair of lowest rank first, not the longest match",
    broken_by="longest_match",
    cases=tokenizer_cases.one_word,
)
def lowest_rank_first(trial: Trial) -> None:
    """Judged by a second implementation: merge the pair of lowest rank, the leftmost of equals, until none is left."""
    word, ranks = text_of(trial), trial.case.calls[0].arguments["ranks"]
    parts = merged(word.encode(), ranks)
    ids = listed(trial.run().value)
    if ids == [ranks[part] for part in parts]:
        return
    fitting = [f"{token!r} {rank}" for token, rank in ranks.items() if len(token) > 1 and token in word.encode()]
    what = (
        f"{shown(word)} merges to {in_bytes(ids, trial)}, expected {b'|'.join(parts)!r}: the lowest rank merges first"
    )
    raise Violation(what, worst="ranks of the matching tokens: " + ", ".join(fitting))


@claim(
    "the pattern splits the text into pieces, and each piece is encoded on its own",
    broken_by="not_pre_tokenized",
    cases=tokenizer_cases.where_kinds_meet,
    aliases=("cut_by_the_pattern",),
)
def split_by_the_pattern(trial: Trial) -> None:
    """Judged by a second implementation: the pieces that the pattern finds, each merged alone."""
    text, ranks = text_of(trial), trial.case.calls[0].arguments["ranks"]
    pieces = pieces_of(text, trial.case.calls[0].arguments["pattern"])
    parts = [merged(piece.encode(), ranks) for piece in pieces]
    ids = listed(trial.run().value)
    if ids != [ranks[part] for piece in parts for part in piece]:
        split = f"the pattern splits it into {' '.join(map(shown, pieces))}"
        worst = f"expected {b'|'.join(part for piece in parts for part in piece)!r}"
        raise Violation(f"{shown(text)} becomes {in_bytes(ids, trial)}; {split}", worst=worst)


@claim(
    "an allowed special token becomes one id and splits the text around it",
    broken_by="special_never_recognised",
    cases=tokenizer_cases.with_special_tokens,
    aliases=("special_tokens_stand_alone",),
)
def special_tokens_split_the_text(trial: Trial) -> None:
    """The text between two special tokens is encoded as if it stood alone."""
    require_split_at_special_tokens(trial)


@claim(
    "a special token is encoded as its id only where it is allowed",
    broken_by="special_always_recognised",
    cases=tokenizer_cases.with_special_tokens,
    max_cases=25,
)
def special_tokens_only_when_allowed(trial: Trial) -> None:
    """With none allowed, and with each one allowed alone."""
    require_allowed_special_tokens(trial)


@claim(
    "where two special tokens match, the longer one is taken",
    broken_by="shortest_special_first",
    cases=tokenizer_cases.nested_special_tokens,
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
        got, due = ([names[i] for i in ids] for ids in (found, expected))
        raise Violation(f"in {shown(text)} the special tokens found are {got}, expected {due}: the longest match first")


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
    cases=tokenizer_cases.lone_surrogates,
    max_cases=15,
    aliases=("surrogates_are_not_swallowed",),
)
def lone_surrogates_are_not_dropped(trial: Trial) -> None:
    """An error is clearest; tiktoken gives U+FFFD, which shows in the decoded text. Dropping it is told as advice."""
    answer = trial.attempt(fresh=True)
    if answer.crash is None:
        require_no_lost_surrogate(text_of(trial), trial.run(script(trial, decode(listed(answer.value)))).value)


@claim(
    "with GPT-2's vocabulary it gives GPT-2's ids",
    broken_by="trailing_space_rule_dropped",
    cases=tokenizer_cases.real_texts,
    max_cases=5,
    aliases=("real_vocabulary",),
)
def matches_gpt2_ids(trial: Trial) -> None:
    texts = [call.arguments["text"] for call in trial.case.calls[1:]]
    expected = trial.expect().outputs[1:]
    for text, actual, ids in zip(texts, trial.run().outputs[1:], expected, strict=True):
        require_ids(text, actual, ids, trial)
    back = trial.run(script(trial, *(decode(ids) for ids in expected))).outputs[1:]
    for text, decoded in zip(texts, back, strict=True):
        require_text(f"encoding and decoding {shown(text)}", decoded, text)


CONTRACT = Contract(
    name="tokenizer",
    meaning="Byte-pair encoding: text to ids and back; a pattern splits the text, then byte pairs merge by rank.",
    calls={
        "build": Signature(
            (
                Argument("ranks", "dict[bytes, int]", role="setting"),
                Argument("pattern", "str", role="setting", optional=True, default=GPT2_PATTERN),
                Argument("special_tokens", "dict[str, int]", role="setting", optional=True, default={}),
            ),
            "tokenizer",
        ),
        "encode": Signature(
            (
                Argument("text", "str"),
                Argument("allowed_special", "list[str]", role="setting", optional=True, default=[]),
            ),
            "list[int]",
        ),
        "encode_iterable": Signature((Argument("texts", "list[str]"),), "list[int]", lazy=True),
        "decode": Signature((Argument("ids", "list[int]"),), "str"),
        "decode_bytes": Signature((Argument("ids", "list[int]"),), "bytes"),
    },
    reference=tokenizer,
    cases=tokenizer_cases.cases,
    differentiable=False,
    half_precision=False,
    dialects=(CS336_TOKENIZER, *TOKENIZERS),
    measures=MEASURES,
    order=5,
    headline=True,
    optional_methods=frozenset({"decode_bytes", "encode_iterable"}),
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
        first_id_before_the_last_text,
    ),
)
