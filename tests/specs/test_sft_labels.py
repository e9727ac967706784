"""Labels for fine-tuning in the shapes in which people write them: right ones pass, wrong ones are named."""

import pytest
import torch

from harness.core.record import Status
from harness.execution.dialects import dialect_of
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["sft_labels"]


def judged(name, function):
    """(failed claims, passed claims, names of the mistakes) of this function under this name."""
    adapter = dialect_of(CONTRACT, {name: function}.get)
    assert adapter is not None, "it is not recognised"
    run = Inspection(KNOWN, Executor("theirs", {CONTRACT.name: adapter}, KNOWN.contracts), seed=1, cases=6)
    failed, passed, names = [], [], ()
    for claim in CONTRACT.claims:
        verdict, evidence = run.bench.judge(CONTRACT, claim, shrink=False)
        passed += [claim.name] if verdict.status is Status.PASSED else []
        if verdict.failing:
            failed.append(claim.name)
            names = finding.names if (finding := run.explain(CONTRACT.name, evidence)) else names
    return failed, passed, names


def list_slices(tokens, prompt_length, ignore=-100):
    x, y = tokens[:-1], list(tokens[1:])
    y[: prompt_length - 1] = [ignore] * (prompt_length - 1)
    return x, y


def as_long_as_the_tokens(input_ids, prompt_len, pad_token_id=None):
    """Labels for a model that shifts inside; a tensor."""
    labels = input_ids.clone()
    labels[:prompt_len] = -100
    if pad_token_id is not None:
        labels[input_ids == pad_token_id] = -100
    return {"input_ids": input_ids, "labels": labels}


def labels_of_a_batch(ids, prompt_length, ignore_index=-100):
    """[batch, time], shifted, labels alone."""
    labels = ids[:, 1:].clone()
    labels[:, : prompt_length - 1] = ignore_index
    return labels


def two_parts(prompt_ids, response_ids):
    """Joined inside; as long as the tokens."""
    tokens = list(prompt_ids) + list(response_ids)
    return tokens, [-100] * len(prompt_ids) + list(response_ids)


def mask_beside_the_labels(tokens, prompt_length):
    """Inputs, labels, and which of them count."""
    tokens = torch.as_tensor(tokens)
    places = torch.arange(1, len(tokens))
    return tokens[:-1], tokens[1:], (places >= prompt_length).long()


RIGHT = [
    ("sft_labels", list_slices),
    ("build_labels", as_long_as_the_tokens),
    ("mask_prompt", labels_of_a_batch),
    ("make_labels", two_parts),
    ("sft_labels", mask_beside_the_labels),
]


@pytest.mark.parametrize(("name", "function"), RIGHT)
def test_right_in_every_shape(name, function):
    """No claim fails, and those about prompt and answer pass."""
    failed, passed, _ = judged(name, function)
    assert not failed
    assert {"prompt_is_ignored", "first_answer_token_is_counted", "answer_is_counted_to_its_end"} <= set(passed)


def one_too_many(tokens, prompt_length, ignore=-100):
    """The shift is forgotten when the prompt is hidden."""
    y = list(tokens[1:])
    y[:prompt_length] = [ignore] * prompt_length
    return tokens[:-1], y


def nothing_hidden(input_ids, prompt_len):
    """Labels as the ids are."""
    assert prompt_len
    return input_ids, input_ids.clone()


WRONG = [
    ("sft_labels", one_too_many, "first_answer_token_ignored"),
    ("build_labels", nothing_hidden, "prompt_counted"),
]


@pytest.mark.parametrize(("name", "function", "mistake"), WRONG)
def test_wrong_is_named(name, function, mistake):
    """The mistake, whatever the shape."""
    failed, _, names = judged(name, function)
    assert failed and names == (f"sft_labels.{mistake}",)


def test_a_function_of_another_kind_is_none():
    """mask_prompt of other arguments is somebody's own."""
    assert dialect_of(CONTRACT, {"mask_prompt": lambda text, model: text}.get) is None
