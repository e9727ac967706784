"""Training a byte-pair encoding as CS336 spells it: from a file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from specs.naming.cs336 import CS336


def _text_in_a_file(a: Mapping[str, Any]) -> dict[str, Any]:
    """The text as a file, in a temporary folder."""
    if not a["text"] or "\r" in a["text"]:
        raise NotSupported("it reads a file, and empty files and carriage returns are ambiguous there")
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "text.txt"
    path.write_bytes(a["text"].encode())
    given = _FileArguments(input_path=str(path), vocab_size=a["vocab_size"], special_tokens=list(a["special_tokens"]))
    given.folder = folder
    return given


class _FileArguments(dict[str, Any]):
    """Mapping[str, Any], and the folder that one of them stands in."""

    folder: Any = None


def _remove_file(given: Mapping[str, Any], value: Any) -> Any:
    assert isinstance(given, _FileArguments)
    given.folder.cleanup()
    return value


TRAINERS = tuple(
    Dialect(
        CS336,
        function,
        ("input_path", "vocab_size", "special_tokens"),
        _text_in_a_file,
        written=_remove_file,
        accepts=("greatest",),
        entry=function.startswith("run_"),
    )
    for function in ("run_train_bpe", "train_bpe")
)
