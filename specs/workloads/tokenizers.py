"""What is timed of the tokenizer: encoding, beside tiktoken."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

from harness.core.case import Call, Case
from harness.core.values import Resource
from harness.core.workload import Law, Workload
from reference_model.tokenizer import GPT2_PATTERN, gpt2_ranks
from specs.workloads.parts import Sizes

ENCODER = "reference_model.tokenizer:gpt2_ranks"


def _text(size: int) -> str:
    """So many bytes of real text: sources and documentation of Python's standard library."""
    text = "".join(inspect.getsource(module) for module in (argparse, textwrap, inspect))
    plain = text.encode("ascii", "ignore").decode()
    return (plain * (size // len(plain) + 1))[:size]


def _encode_case(sizes: Sizes, seed: int) -> Case:
    build = Call("build", {"ranks": Resource(ENCODER), "pattern": GPT2_PATTERN, "special_tokens": {}})
    return Case((build, Call("encode", {"text": _text(sizes["N"])})), dict(sizes))


@cache
def _encoding() -> Any:
    import tiktoken

    return tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=gpt2_ranks(), special_tokens={})


def _tiktoken(case: Case) -> Callable[[], list[int]]:
    text, encoding = case.arguments["text"], _encoding()
    return lambda: encoding.encode_ordinary(text)


TOKENIZER = (
    Workload(
        "encode",
        "N bytes of Python's own sources to ids of GPT-2",
        _encode_case,
        {"N": 8192},
        axes={"N": (2048, 4096, 8192, 16384)},
        laws=(Law("N", 1, None, "each word is its own work"),),
        peers={"tiktoken": _tiktoken},
        amount=lambda s: s["N"],
        unit="bytes of text",
        remark="the same text is encoded repeatedly: an implementation that caches words finds them all",
    ),
)
