"""Tokenizer classes as people write them, known by their methods: karpathy/minbpe, and openai/gpt-2's Encoder.

minbpe: ``train(text, vocab_size)``, ``encode``, ``decode``, ``merges`` from pairs of ids to ids, ``vocab`` from ids to
bytes. Its ids are its own: byte b has the id b, and merges follow in their order. A vocabulary of the contract is put
in, and ids are translated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import regex

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from harness.core.parameters import parameter_names, parameters_of
from reference_model.tokenizer import GPT2_PATTERN
from specs.naming.cs336 import CS336
from specs.shared.tokenizer_functions import cs336_tokenizer, merges_of

MINBPE, OPENAI = "karpathy/minbpe", "openai/gpt-2"
TEXTS = ("text", "data", "corpus", "training_text", "train_text", "s")
SIZES = ("vocab_size", "vocabulary_size", "target_vocab_size", "size", "num_vocab")
PATTERNS = ("pattern", "split_pattern", "regex", "pat")
Merges = dict[tuple[int, int], int]


def _has(kind: Any, *methods: str) -> bool:
    return inspect.isclass(kind) and all(callable(getattr(kind, method, None)) for method in methods)


def _needs_nothing(kind: type) -> bool:
    empty = inspect.Parameter.empty
    named = [p for p in parameters_of(kind) or () if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return all(p.default is not empty for p in named)


def is_trained_on_a_text(kind: Any) -> int:
    """1 where a class trains, encodes and decodes as minbpe's; 2 where it takes a pattern too."""
    if not _has(kind, "train", "encode", "decode") or not _needs_nothing(kind):
        return 0
    names = parameter_names(kind.train)
    if not (set(TEXTS) & set(names) and set(SIZES) & set(names)):
        return 0
    return 2 if _pattern_of(kind) else 1


def _pattern_of(kind: type) -> str | None:
    return next((name for name in PATTERNS if name in parameter_names(kind)), None)


def _built(kind: Callable[..., Any], pattern: str) -> Any:
    name = _pattern_of(kind)  # type: ignore[arg-type]
    return kind(**{name: pattern}) if name else kind()


def _require_one_piece(kind: Callable[..., Any], pattern: str, texts: Collection[str]) -> None:
    """Code without a pattern is right where the pattern does not split."""
    if _pattern_of(kind) is None and any(len(regex.findall(pattern, text)) > 1 for text in texts):  # type: ignore[arg-type]
        raise NotSupported("it does not split the text by a pattern")


def _require_nothing_special(special: Mapping[str, int], text: str = "", ids: Sequence[int] = ()) -> None:
    """Code without special tokens is right where there are none."""
    if any(name in text for name in special) or set(special.values()) & set(ids):
        raise NotSupported("it has no special tokens")


def _merges(inner: Any) -> Merges:
    merges = getattr(inner, "merges", None)
    if not isinstance(merges, dict) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in merges):
        raise NotSupported("its `merges` are no dictionary from pairs of ids to ids")
    return merges


# training ------------------------------------------------------------------------------------------------------------


def trainer_of(kind: Callable[..., Any]) -> Callable[..., Any]:
    """``train_bpe`` for such a class: one object is trained, and what it has learned is read."""

    def train_bpe(
        text: str, vocab_size: int, special_tokens: Sequence[str] = (), pattern: str = GPT2_PATTERN
    ) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
        if special_tokens:
            raise NotSupported("its train() takes no special tokens")
        _require_one_piece(kind, pattern, [text])
        inner = _built(kind, pattern)
        names = parameter_names(inner.train)
        given = {next(n for n in TEXTS if n in names): text, next(n for n in SIZES if n in names): vocab_size}
        inner.train(**given)
        merges, vocab = _merges(inner), dict(inner.vocab)
        return vocab, [(vocab[first], vocab[second]) for first, second in sorted(merges, key=merges.__getitem__)]

    return train_bpe


# encoding ------------------------------------------------------------------------------------------------------------


def tokenizer_of(kind: Callable[..., Any]) -> type:
    """The contract's tokenizer for such a class: the vocabulary is put into one object."""

    class Tokenizer:
        def __init__(self, ranks: Mapping[bytes, int], pattern: str, special_tokens: Mapping[str, int]) -> None:
            self.inner, self.pattern = _built(kind, pattern), pattern
            if not isinstance(getattr(self.inner, "vocab", None), dict) or not isinstance(_merges(self.inner), dict):
                raise NotSupported("its `vocab` is no dictionary from ids to bytes")
            numbers = {bytes([byte]): byte for byte in range(256)}
            merges: Merges = {}
            for first, second in merges_of(ranks):
                merges[numbers[first], numbers[second]] = numbers[first + second] = 256 + len(merges)
            self.inner.merges, self.inner.vocab = merges, {number: token for token, number in numbers.items()}
            self.special = dict(special_tokens)
            self.knows_special = hasattr(self.inner, "register_special_tokens")
            own = {name: len(numbers) + place for place, name in enumerate(self.special) if self.knows_special}
            if own:
                self.inner.register_special_tokens(own)
            self.to_contract = {numbers[token]: rank for token, rank in ranks.items() if token in numbers}
            self.to_contract |= {own[name]: self.special[name] for name in own}
            self.to_own = {rank: number for number, rank in self.to_contract.items()}

        def encode(self, text: str, allowed_special: Sequence[str] = ()) -> Any:
            _require_one_piece(kind, self.pattern, [text])
            takes = "allowed_special" in parameter_names(self.inner.encode)
            if not (takes and self.knows_special):
                _require_nothing_special(self.special, text)
            ids = self.inner.encode(text, **({"allowed_special": set(allowed_special)} if takes else {}))
            return [self.to_contract.get(int(number), int(number)) for number in ids]

        def decode(self, ids: Sequence[int]) -> Any:
            if not self.knows_special:
                _require_nothing_special(self.special, ids=ids)
            return self.inner.decode([self.to_own.get(rank, rank) for rank in ids])

    return Tokenizer


# openai's ------------------------------------------------------------------------------------------------------------


def is_of_vocab_and_merges(kind: Any) -> int:
    """2 where a class is built as ``Tokenizer(vocab, merges, special_tokens)``."""
    if not _has(kind, "encode", "decode"):
        return 0
    return 2 if parameter_names(kind)[:2] == ["vocab", "merges"] and "special_tokens" in parameter_names(kind) else 0


def is_openai_encoder(kind: Any) -> int:
    """2 where a class is built as ``Encoder(encoder, bpe_merges)``, tokens being characters that stand for bytes."""
    return 2 if _has(kind, "encode", "decode") and parameter_names(kind)[:2] == ["encoder", "bpe_merges"] else 0


def characters() -> dict[int, str]:
    """The character that stands for each byte in GPT-2's files: itself where it prints, else one from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def openai_tokenizer(kind: Callable[..., Any]) -> type:
    """The contract's tokenizer for such a class: GPT-2's pattern, and no special tokens."""
    letters = characters()

    class Tokenizer:
        def __init__(self, ranks: Mapping[bytes, int], pattern: str, special_tokens: Mapping[str, int]) -> None:
            if pattern != GPT2_PATTERN:
                raise NotSupported("it has no argument for the pattern")
            self.special = dict(special_tokens)

            def in_letters(token: bytes) -> str:
                return "".join(letters[byte] for byte in token)

            encoder = {in_letters(token): rank for token, rank in ranks.items()}
            self.inner = kind(encoder, [(in_letters(a), in_letters(b)) for a, b in merges_of(ranks)])

        def encode(self, text: str, allowed_special: Sequence[str] = ()) -> Any:
            _require_nothing_special(self.special, text)
            return self.inner.encode(text)

        def decode(self, ids: Sequence[int]) -> Any:
            _require_nothing_special(self.special, ids=ids)
            return self.inner.decode(ids)

    return Tokenizer


TOKENIZERS = (
    Dialect(MINBPE, "", (), dict, made=tokenizer_of, fits=is_trained_on_a_text),
    Dialect(CS336, "", (), dict, made=cs336_tokenizer, fits=is_of_vocab_and_merges),
    Dialect(OPENAI, "", (), dict, made=openai_tokenizer, fits=is_openai_encoder),
)
TRAINERS_BY_CLASS = (Dialect(MINBPE, "", (), dict, made=trainer_of, fits=is_trained_on_a_text),)
