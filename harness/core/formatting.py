"""Cases, calls and errors as a person reads them."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.case import CALL, HARNESS_STEP, Case
from harness.core.contract import Contract
from harness.core.tree import leaves

MOST_OF_AN_ERROR = 4000
"""Characters of somebody's error that are kept."""
SHOWN_ENTRIES = 6
"""Entries of a dictionary that are printed: the last, where those stand that were added to what is always there."""


def valid(text: str) -> str:
    """Lone surrogates, which no encoding has a place for, as they are written in Python."""
    return text.encode("utf-8", "backslashreplace").decode()


def error_text(error: BaseException) -> str:
    """What an error says: valid Unicode of a length that can be kept, also where its own text raises another."""
    try:
        text = valid(str(error))
    except Exception as another:
        return f"(its own text raises {type(another).__name__})"
    return (
        text
        if len(text) <= MOST_OF_AN_ERROR
        else f"{text[:MOST_OF_AN_ERROR]} ... ({len(text) - MOST_OF_AN_ERROR} more characters)"
    )


def signature_line(contract: Contract) -> str:
    """``def gelu(x)``, or ``class tokenizer with __init__(ranks), encode(text), decode(ids)``."""
    calls = {
        method: f"({', '.join(a.name for a in signature.arguments)})" for method, signature in contract.calls.items()
    }
    if contract.is_function:
        return f"def {contract.name}{calls[CALL]}"
    needed = [m for m in calls if m not in contract.optional_methods]
    return f"class {contract.name} with " + ", ".join(
        f"{'__init__' if method == 'build' else method}{calls[method]}" for method in needed
    )


def describe(case: Case, limit: int = 600, contract: Contract | None = None) -> str:
    """The case in words: ``x: float64[1, 2] = [[0., 1.]], eps = 1e-05``; a script line by line.

    With its contract, arguments of a script that are what leaving them out means are left out.
    """
    lines = []
    for call in case.calls:
        signature = contract.calls.get(call.method) if contract and len(case.calls) > 1 else None
        usual = {a.name: a.default for a in signature.arguments if a.optional} if signature else {}
        given = {n: v for n, v in call.arguments.items() if n not in usual or not _is_usual(v, usual[n])}
        method = str(given.pop("do")).rpartition(":")[2] if call.method == HARNESS_STEP else call.method
        method = f"{call.of}.{method}" if call.of else method
        inner = ", ".join(_described(name, value) for name, value in given.items())
        lines.append(inner if len(case.calls) == 1 else f"{method}({inner})")
    text = "; ".join(lines)
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def _is_usual(value: Any, default: Any) -> bool:
    return type(value) is type(default) and not torch.is_tensor(value) and value is not None and value == default


def _described(name: str, value: Any) -> str:
    if torch.is_tensor(value):
        kind = f"{str(value.dtype).removeprefix('torch.')}[{', '.join(map(str, value.shape))}]"
        if value.numel() > 24:
            return f"{name}: {kind}"
        return f"{name}: {kind} = {_numbers(value.tolist())}"
    if isinstance(value, (dict, list)) and any(torch.is_tensor(leaf) for _, leaf in leaves(value)):
        tensors = [leaf for _, leaf in leaves(value) if torch.is_tensor(leaf)]
        return f"{name} = {len(tensors)} tensors, {sum(t.numel() for t in tensors)} numbers"
    if isinstance(value, dict) and len(value) > SHOWN_ENTRIES:
        last = ", ".join(f"{key!r}: {entry!r}" for key, entry in list(value.items())[-SHOWN_ENTRIES:])
        return f"{name} = {{{len(value) - SHOWN_ENTRIES} entries, {last}}}"
    text = repr(value)
    return f"{name} = {text if len(text) <= 160 else text[:156] + ' ...'}"


def _numbers(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_numbers(v) for v in value) + "]"
    if isinstance(value, float):
        return (
            f"{value:.6g}." if abs(value) < 1e5 and value == round(value) else f"{value:.6g}"
        )  # inf and nan are not < 1e5
    return str(value)


def weight(case: Case) -> tuple[int, int]:
    """How much there is to read in a case: elements first, then those that are not small integers or plain letters."""
    elements = interesting = 0
    for call in case.calls:
        for path, leaf in leaves(dict(call.arguments)):
            if torch.is_tensor(leaf):
                elements += leaf.numel()
                values = leaf.double()
                interesting += int(((values != values.round()) | (values.abs() > 9)).sum())
            elif isinstance(leaf, (str, bytes)):
                elements += len(leaf)
                interesting += sum(not 32 <= (ord(c) if isinstance(c, str) else c) < 127 for c in leaf)
            elif path[1:]:  # an id in a list, a token of a vocabulary
                elements += 1
    return elements, interesting
