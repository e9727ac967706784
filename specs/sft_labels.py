"""Labels for fine-tuning on answers (SFT): the prompt is read, the answer is learned."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.tensors import seeds
from reference_model.sft_labels import sft_labels
from specs.shared.label_functions import LABEL_FUNCTIONS, USUAL


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A prompt and an answer of one token or more, of different lengths; ids repeat, also across the two."""
    prompt, answer = draw(st.sampled_from(((3, 2), (1, 4), (4, 1), (2, 5), (5, 3), (1, 1))))
    generator = torch.Generator().manual_seed(draw(seeds))
    tokens = torch.randint(0, 9, (prompt + answer,), generator=generator).tolist()
    ignore = draw(st.sampled_from((USUAL, USUAL, -1)))
    family = f"prompt of {prompt}, answer of {answer}"
    return Case.of({"tokens": tokens, "prompt_length": prompt, "ignore": ignore}, family=family, time=prompt + answer)


@st.composite
def padded(draw: st.DrawFn) -> Case:
    """Padding after the end: an id that stands nowhere else."""
    case, padding = draw(cases()), draw(st.integers(1, 3))
    tokens = [*case.arguments["tokens"], *[9] * padding]
    case = case.changed(tokens=tokens, pad_id=9)
    return Case(case.calls, {"time": len(tokens)}, f"{case.family}, {padding} of padding")


def returned(trial: Trial, case: Case | None = None) -> tuple[list[int], list[int]]:
    """(inputs, labels). Raises Violation where it is something else, or of another length."""
    value: Any = trial.run(case).value
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Violation("it must return (inputs, labels)")
    inputs, labels = ([int(one) for one in part] for part in value)
    tokens = (case or trial.case).arguments["tokens"]
    if len(labels) != len(tokens) - 1:
        raise Violation(f"{len(labels)} labels for {len(tokens)} tokens: every token but the first is a label")
    return inputs, labels


@claim("inputs are all tokens but the last, whatever is ignored", broken_by="inputs_masked_too", max_cases=16)
def inputs_are_the_tokens(trial: Trial) -> None:
    inputs, _ = returned(trial)
    expected = trial.case.arguments["tokens"][:-1]
    if inputs != expected:
        raise Violation(f"inputs are {inputs}; expected {expected}")


@claim("every token of the prompt is ignored", broken_by="prompt_counted", max_cases=16)
def prompt_is_ignored(trial: Trial) -> None:
    a, (_, labels) = trial.case.arguments, returned(trial)
    shown = labels[: a["prompt_length"] - 1]
    if any(label != a["ignore"] for label in shown):
        raise Violation(f"labels {shown} belong to the prompt; each must be {a['ignore']}")


@claim("the first token of the answer is counted", broken_by="first_answer_token_ignored", max_cases=16)
def first_answer_token_is_counted(trial: Trial) -> None:
    """It is what the last token of the prompt predicts."""
    a, (_, labels) = trial.case.arguments, returned(trial)
    place = a["prompt_length"] - 1
    if labels[place] != a["tokens"][place + 1]:
        raise Violation(
            f"label {place} is {labels[place]}; expected {a['tokens'][place + 1]}, the answer's first token"
        )


@claim("all tokens of the answer are counted, its end token included", broken_by="end_token_ignored", max_cases=16)
def answer_is_counted_to_its_end(trial: Trial) -> None:
    a, (_, labels) = trial.case.arguments, returned(trial)
    place = a["prompt_length"]
    if labels[place:] != a["tokens"][place + 1 :]:
        raise Violation(f"labels end in {labels[place:]}; expected {a['tokens'][place + 1 :]}, the rest of the answer")


@claim("padding is ignored", broken_by="padding_counted", cases=padded, max_cases=10)
def padding_is_ignored(trial: Trial) -> None:
    """And nothing else is ignored for it."""
    _, labels = returned(trial)
    expected = trial.expect().value[1]
    if labels != expected:
        raise Violation(f"with padding, labels are {labels}; expected {expected}")


CONTRACT = Contract(
    name="sft_labels",
    meaning="Labels for fine-tuning: the next token of every position of the answer; prompt and padding are ignored.",
    calls={
        "call": Signature(
            (
                Argument("tokens", "list[int]"),
                Argument("prompt_length", "int", role="setting"),
                Argument("ignore", "int", role="setting", optional=True, default=USUAL),
                Argument("pad_id", "int", role="setting", optional=True, by_name=True),
            ),
            "(inputs: list[int], labels: list[int])",
        )
    },
    reference=sft_labels,
    cases=cases,
    differentiable=False,
    half_precision=False,
    order=74,
    case_count=18,
    dialects=LABEL_FUNCTIONS,
    sources=("Ouyang et al. 2022, appendix C.1", "torch.nn.functional.cross_entropy", "huggingface/trl SFTTrainer"),
    claims=(
        inputs_are_the_tokens,
        prompt_is_ignored,
        first_answer_token_is_counted,
        answer_is_counted_to_its_end,
        padding_is_ignored,
    ),
)
