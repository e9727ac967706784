"""Functions that make labels for fine-tuning, in the shapes in which they are written.

They take the tokens of one example and the length of its prompt, or the two parts apart; lists or tensors, with or
without a batch axis. They return labels that are shifted already, or as long as the tokens, for a model that shifts
inside; with or without the inputs beside them; or a mask of what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from harness.core.parameters import parameter_names

TOKENS = ("tokens", "token_ids", "ids", "input_ids", "sequence", "full_ids", "example")
LENGTHS = (
    "prompt_length",
    "prompt_len",
    "n_prompt",
    "prompt_tokens",
    "source_len",
    "source_length",
    "instruction_length",
)
PROMPTS = ("prompt_ids", "prompt", "source_ids", "instruction_ids", "question_ids")
ANSWERS = ("answer_ids", "answer", "response_ids", "response", "target_ids", "completion_ids", "completion")
IGNORES = ("ignore", "ignore_index", "ignore_id", "ignore_value", "mask_value", "label_pad")
PADS = ("pad_id", "pad", "pad_token", "pad_token_id", "padding_id", "padding_idx")
USUAL = -100


def _one_of(names: Sequence[str], known: Sequence[str]) -> str:
    return next((name for name in names if name in known), "")


def _forms() -> Iterator[Callable[[list[int]], Any]]:
    """How a sequence of ids may be wanted: a list, a tensor, a batch of one tensor."""
    yield list
    yield lambda ids: torch.tensor(ids, dtype=torch.int64)
    yield lambda ids: torch.tensor([ids], dtype=torch.int64)


def made(function: Callable[..., Any]) -> Callable[..., Any]:
    """Their function with the contract's arguments and result.

    Raises NotSupported where it takes no tokens under a known name, or no such setting.
    """
    known = parameter_names(function)
    tokens_name, length_name = _one_of(TOKENS, known), _one_of(LENGTHS, known)
    prompt_name, answer_name = _one_of(PROMPTS, known), _one_of(ANSWERS, known)
    ignore_name, pad_name = _one_of(IGNORES, known), _one_of(PADS, known)

    def given(tokens: list[int], prompt_length: int) -> tuple[dict[str, list[int]], dict[str, int]]:
        if tokens_name and length_name:
            return {tokens_name: tokens}, {length_name: prompt_length}
        if prompt_name and answer_name:
            return {prompt_name: tokens[:prompt_length], answer_name: tokens[prompt_length:]}, {}
        raise NotSupported(f"it takes {', '.join(known)}; known are tokens and prompt_length, or the two parts apart")

    def labels(tokens: list[int], prompt_length: int, ignore: int = USUAL) -> tuple[list[int], list[int]]:
        return called(tokens, prompt_length, ignore, {})

    def labels_with_padding(
        tokens: list[int], prompt_length: int, ignore: int = USUAL, pad_id: int | None = None
    ) -> tuple[list[int], list[int]]:
        return called(tokens, prompt_length, ignore, {} if pad_id is None else {pad_name: pad_id})

    def called(
        tokens: list[int], prompt_length: int, ignore: int, more: Mapping[str, int]
    ) -> tuple[list[int], list[int]]:
        if ignore != USUAL and not ignore_name:
            raise NotSupported("it takes no ignore")
        sequences, settings = given(tokens, prompt_length)
        settings = {**settings, **more} | ({ignore_name: ignore} if ignore_name else {})
        return as_contract(_tried(function, sequences, settings), tokens, ignore)

    return labels_with_padding if pad_name else labels


def _tried(function: Callable[..., Any], sequences: Mapping[str, list[int]], settings: Mapping[str, int]) -> Any:
    """What it returns for lists, for tensors, or for a batch of one: the first that it takes."""
    first: Exception | None = None
    for form in _forms():
        try:
            return function(**{name: form(list(ids)) for name, ids in sequences.items()}, **settings)
        except (TypeError, AttributeError, IndexError) as error:
            first = first or error
    assert first is not None
    raise first


def as_contract(result: Any, tokens: list[int], ignore: int) -> tuple[list[int], list[int]]:
    """(inputs, labels), shifted: the label of a position is the token after it."""
    found = _sequences(result)
    labels = found[1] if len(found) > 1 else found[0]
    inputs = found[0] if len(found) > 1 else tokens
    if len(found) > 2:
        labels = [label if counts else ignore for label, counts in zip(labels, found[2], strict=False)]
    if len(labels) == len(tokens):  # a model that shifts inside drops the first label and the last position
        labels = labels[1:]
        inputs = inputs[:-1] if len(inputs) == len(tokens) else inputs
    elif len(found) == 1:
        inputs = tokens[:-1]
    return inputs, labels


def _sequences(result: Any) -> list[list[int]]:
    """The inputs (where there are any), the labels, and the mask (where there is one) as lists of numbers."""
    if isinstance(result, Mapping):
        keys = [k for k in ("input_ids", "inputs", "x", "labels", "targets", "y", "loss_mask", "mask") if k in result]
        result = tuple(result[key] for key in keys)
    several = isinstance(result, tuple) or (
        isinstance(result, list) and len(result) > 0 and all(isinstance(part, (list, tuple)) for part in result)
    )
    return [_ids(part) for part in (result if several else (result,))]


def _ids(values: Any) -> list[int]:
    flat = values.reshape(-1).tolist() if torch.is_tensor(values) else list(values)
    return [int(value) for value in flat]


NAMES = (
    "sft_labels",
    "build_labels",
    "make_labels",
    "create_labels",
    "mask_prompt",
    "mask_prompt_labels",
    "prompt_labels",
)

LACKS = ("logits",)
"""What such a function never takes. (Names of the contract are no reason to call it another way.)"""

LABEL_FUNCTIONS = (
    Dialect("a function of tokens and the length of their prompt", NAMES[0], (), dict, made=made, lacks=LACKS),
    *(
        Dialect(
            "a function of tokens and the length of their prompt", name, (tokens, length), dict, made=made, lacks=LACKS
        )
        for name in NAMES[1:]
        for tokens in TOKENS
        for length in LENGTHS
    ),
    *(
        Dialect("a function of prompt and answer", name, (prompt, answer), dict, made=made, lacks=LACKS)
        for name in NAMES[1:]
        for prompt in PROMPTS
        for answer in ANSWERS
    ),
)
"""A function called ``sft_labels`` whatever it takes; of other names where its arguments say what it is."""
