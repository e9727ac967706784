"""Comparing what a tokenizer returns, with messages that show bytes and text."""

import regex

from harness.core.claim import Trial, Violation
from harness.core.values import Resource
from harness.strategies.scripts import cuts
from harness.strategies.text import shown, where_texts_part
from specs.shared.tokenizer_cases import (
    REPLACEMENT,
    decode,
    encode,
    script,
    special_of,
    text_of,
)


def listed(ids: object) -> list[int]:
    """The ids, or a Violation where they are no list of plain integers."""
    if isinstance(ids, (list, tuple)) and all(type(token_id) is int for token_id in ids):
        return list(ids)
    if isinstance(ids, (list, tuple)):
        other = next(token_id for token_id in ids if type(token_id) is not int)
        what = f"a {type(ids).__name__} that holds {other!r}, a {type(other).__name__}"
    else:
        what = "None" if ids is None else f"a {type(ids).__name__}"
    raise Violation(f"encode returns {what}; it must return a list of integers")


def require_ids(text: str, actual: object, expected: list[int], trial: Trial) -> None:
    """Raises a Violation that says where the ids differ, and which bytes they stand for."""
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


SURROGATES = (
    "Nobody is held to this: no text in UTF-8 holds one. Raise an error there, or put U+FFFD in its place, so that a "
    "broken text is seen."
)


def require_no_lost_surrogate(text: str, back: object) -> None:
    """Raises a Violation where a lone surrogate became anything but U+FFFD; advice where it is dropped."""
    expected, dropped = (regex.sub(r"[\ud800-\udfff]", put, text) for put in (REPLACEMENT, ""))
    if back != expected:
        what = f"the lone surrogate in {shown(text)} decodes to {shown(str(back))}"
        advice = SURROGATES if back == dropped else ""
        raise Violation(f"{what}; it must raise an error or become U+FFFD", advice=advice)


def require_text(what: str, actual: object, expected: str) -> None:
    if not isinstance(actual, str):
        raise Violation(f"{what} gives a {type(actual).__name__}; it must be a str")
    if actual != expected:
        where = where_texts_part(actual, expected)
        raise Violation(f"{what} gives {shown(actual)}, expected {shown(expected)}", worst=where)


def gathered(text: str) -> str:
    """The text with every run of U+FFFD as one."""
    return str(regex.sub(f"{REPLACEMENT}+", REPLACEMENT, text))


def in_bytes(ids: list[int], trial: Trial) -> str:
    """The bytes of the ids with bars between them."""
    known = bytes_by_id(trial)
    return repr(b"|".join(known.get(token_id, b"?") for token_id in ids))


def require_split_at_special_tokens(trial: Trial) -> None:
    """The text of the case encodes to the ids of its special tokens, and of what stands between, encoded alone."""
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


def require_bytes_of_parts(trial: Trial) -> None:
    """The bytes of two parts are together those of the whole, for every split of the case's ids."""
    ids, known = trial.case.arguments["ids"], bytes_by_id(trial)
    halves = cuts(ids)
    outputs = trial.run(script(trial, *(decode(half, "decode_bytes") for pair in halves for half in pair))).outputs[1:]
    whole = b"".join(known[token_id] for token_id in ids)
    for (head, tail), one, two in zip(halves, outputs[::2], outputs[1::2], strict=True):
        if not isinstance(one, bytes) or not isinstance(two, bytes):
            raise Violation(f"decode_bytes gives a {type(one).__name__}; it must be bytes")
        if one + two != whole:
            what = f"decode_bytes of {shown_ids(list(head))} and of {shown_ids(list(tail))} give {one!r} and {two!r}"
            raise Violation(what, worst=f"together they must be {whole!r}")


def require_allowed_special_tokens(trial: Trial) -> None:
    """The ids of special tokens appear where these are allowed: with none allowed, and with each one allowed alone."""
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
