"""Gradient accumulation: a step on several micro-batches is the step on all of them at once.

Afterwards the harness reads the model: ``.grad``, or how far an optimizer moved the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import CALL, Call, Case, harness_step
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Dialect, Signature
from harness.core.values import Earlier, Given, Resource
from harness.strategies.tensors import seeds
from reference_model.gradient_accumulation import gradient_accumulation

VOCABULARY, IGNORED = 11, -100
RELATIVE = 1e-5
"""The error allowed, as a fraction of the largest gradient. Many compute the loss in float32, whatever the model's
dtype: a few hundred roundings of 6e-8. The smallest known mistake is a thousand times larger."""
Batches = list[tuple[torch.Tensor, torch.Tensor]]


LOSS = harness_step("specs.shared.models:loss_in", value=Earlier(CALL))


def script(model: Resource, batches: Batches, family: str) -> Case:
    """One step on these micro-batches; the harness then reads the gradients that it left."""
    step = Call(CALL, {"model": model, "micro_batches": [(ids.clone(), targets.clone()) for ids, targets in batches]})
    gradients = harness_step("specs.shared.models:gradients", model=Given(CALL, "model"), start=model)
    return Case((step, gradients), {}, family)


@st.composite
def micro_batches(
    draw: st.DrawFn, most: int = 3, ragged: bool = False, masked: bool = False, empty: bool = False
) -> Case:
    """Two or three micro-batches; ``ragged``: of unequal sizes; ``masked``: with unequal numbers of counted targets.

    ``empty``: one of them has no counted target.
    """
    many, generator = draw(st.integers(2, most)), torch.Generator().manual_seed(draw(seeds))
    rows, time = draw(st.sampled_from(((2, 5), (3, 4), (1, 6))))
    batches = []
    for at in range(many):
        size = (rows + (at if ragged else 0), time - (at % 2 if ragged else 0))
        ids, targets = (torch.randint(0, VOCABULARY, size, generator=generator) for _ in range(2))
        if masked:
            kept = 1 + at * max(1, (targets.numel() - 1) // many)
            targets.view(-1)[kept:] = IGNORED
        batches.append((ids, targets))
    if empty:
        batches[draw(st.integers(0, many - 1))][1].fill_(IGNORED)
    if draw(st.booleans()):
        batches = batches[::-1]
    sizes = (draw(st.integers(0, 99)), VOCABULARY, 4, 0, draw(st.booleans()), draw(st.booleans()))
    kind = " of unequal sizes" if ragged else " with unequal numbers of targets" if masked else ""
    return script(Resource("specs.shared.models:tiny_gpt", sizes), batches, f"{many} micro-batches{kind}")


def cases() -> st.SearchStrategy[Case]:
    """Micro-batches of every kind but empty ones."""
    return st.one_of(micro_batches(), micro_batches(ragged=True), masked_cases())


def ragged_cases() -> st.SearchStrategy[Case]:
    """Of unequal sizes."""
    return micro_batches(ragged=True)


def masked_cases() -> st.SearchStrategy[Case]:
    """With unequal numbers of counted targets."""
    return st.one_of(micro_batches(masked=True), micro_batches(masked=True, ragged=True))


def empty_cases() -> st.SearchStrategy[Case]:
    """One of them without a counted target."""
    return micro_batches(empty=True)


def plain_cases() -> st.SearchStrategy[Case]:
    """Of one size, with every target counted."""
    return micro_batches()


# claims --------------------------------------------------------------------------------------------------------------


def batches_of(case: Case) -> Batches:
    """The micro-batches of a case."""
    batches: Batches = case.calls[0].arguments["micro_batches"]
    return batches


def agrees_on(trial: Trial, case: Case, what: str) -> None:
    """Compare the gradients that the implementation left in the model with the reference's."""
    found, expected = trial.run(case).value, trial.expect(case).value
    present = {name for name, gradient in found.items() if gradient is not None}
    if not present:
        raise Violation("the model has no gradients, and no parameter has changed")
    lost = [name for name, gradient in expected.items() if gradient is not None and name not in present]
    if lost:
        raise Violation(f"no gradient reaches {lost[0]}")
    largest = max(float(gradient.abs().max()) for gradient in expected.values() if gradient is not None)
    for n, g in expected.items():
        if g is not None:
            trial.close(found[n], g, RELATIVE * largest, f"{what}, the gradient of {n}")


@claim(
    "a single micro-batch gives the gradient of its mean loss",
    broken_by="ignored_count_as_id_0",
    max_cases=5,
    aliases=("one_micro_batch_is_a_batch",),
)
def one_micro_batch_equals_a_batch(trial: Trial) -> None:
    alone = script(trial.case.calls[0].arguments["model"], batches_of(trial.case)[:1], "one micro-batch")
    agrees_on(trial, alone, "with one micro-batch")


@claim(
    "micro-batches of equal size give the gradient of one large batch",
    broken_by="means_summed",
    cases=plain_cases,
    max_cases=5,
)
def equals_one_big_batch(trial: Trial) -> None:
    agrees_on(trial, trial.case, "with micro-batches of one size")


@claim(
    "micro-batches of unequal sizes give the gradient of one large batch",
    broken_by="mean_of_means",
    cases=ragged_cases,
    max_cases=5,
    aliases=("unequal_sizes",),
)
def unequal_micro_batch_sizes(trial: Trial) -> None:
    agrees_on(trial, trial.case, "with micro-batches of unequal sizes")


@claim(
    "micro-batches with unequal numbers of counted targets give the gradient of one large batch",
    broken_by="weighted_by_all_targets",
    cases=masked_cases,
    max_cases=5,
    aliases=("unequal_counts",),
)
def unequal_target_counts(trial: Trial) -> None:
    agrees_on(trial, trial.case, "with unequal numbers of counted targets")


@claim(
    "a micro-batch whose targets are all ignored does not change the result",
    broken_by="empty_micro_batch_gives_nan",
    cases=empty_cases,
    max_cases=5,
    aliases=("empty_one_counts_for_nothing",),
)
def micro_batch_without_targets(trial: Trial) -> None:
    """Neither the gradients, nor the loss where one is returned."""
    agrees_on(trial, trial.case, "with a micro-batch whose targets are all ignored")
    found, expected = losses(trial)
    if found is not None:
        trial.close(found, expected, RELATIVE * float(expected), "the loss it returns")


@claim(
    "the order of the micro-batches does not change the gradients",
    broken_by="last_micro_batch_dropped",
    aliases=("order_does_not_matter",),
)
def independent_of_micro_batch_order(trial: Trial) -> None:
    model, batches = trial.case.calls[0].arguments["model"], batches_of(trial.case)
    found, reordered = (trial.run(script(model, order, "")).value for order in (batches, [*batches[1:], batches[0]]))
    largest = max(float(gradient.abs().max()) for gradient in found.values() if gradient is not None)
    pairs = ((name, gradient, reordered[name]) for name, gradient in found.items() if gradient is not None)
    for n, a, b in pairs:
        trial.close(b, a, RELATIVE * largest, f"with the micro-batches reordered, the gradient of {n}")


def losses(trial: Trial) -> tuple[Any, Any]:
    """The loss that the implementation returns, and that of the reference."""
    step = replace(trial.case, calls=(trial.case.calls[0], LOSS))
    return trial.run(step).value, trial.expect(step).value


@claim(
    "the returned loss is the mean over all counted targets",
    broken_by="loss_of_the_last_micro_batch",
    aliases=("loss_is_that_of_all",),
)
def loss_is_the_mean_over_all_targets(trial: Trial) -> None:
    loss, expected = losses(trial)
    if loss is None:
        raise NotSupported("it returns no loss")
    trial.close(loss, expected, RELATIVE * float(expected), "the loss it returns")


# names in published code ---------------------------------------------------------------------------------------------

STEPS = ("accumulation_steps", "grad_accum_steps", "gradient_accumulation_steps", "accum_steps", "num_micro_batches")


def _dialect(function: str, batches: str, optimizer: str = "", steps: str = "") -> Dialect:
    def arguments(a: Mapping[str, Any]) -> dict[str, Any]:
        given = {"model": a["model"], batches: a["micro_batches"]}
        if optimizer:
            given[optimizer] = torch.optim.SGD(a["model"].parameters(), lr=1.0)
        return given | ({steps: len(a["micro_batches"])} if steps else {})

    return Dialect("training code", function, tuple(n for n in ("model", optimizer, batches, steps) if n), arguments)


DIALECTS = tuple(
    _dialect(function, batches, optimizer, steps)
    for steps in (*STEPS, "")
    for optimizer in ("optimizer", "opt", "")
    for batches in ("micro_batches", "microbatches", "batches")
    for function in (
        "gradient_accumulation",
        "train_step",
        "training_step",
        "accumulate_gradients",
        "accumulate",
        "train_step_accumulated",
    )
    if steps or optimizer or (function, batches) != ("gradient_accumulation", "micro_batches")
)

CONTRACT = Contract(
    name="gradient_accumulation",
    meaning="Gradient accumulation: one step on several micro-batches with the gradient of a single large batch.",
    calls={
        CALL: Signature(
            (
                Argument("model", "a torch module: model(ids) gives logits, model(ids, targets) logits and loss"),
                Argument("micro_batches", "list[(int[batch, time], int[batch, time])]"),
            ),
            "nothing, or the loss: gradients are left in .grad, or an optimizer with a rate of 1 has moved the model",
            objects=True,
        )
    },
    reference=gradient_accumulation,
    cases=cases,
    differentiable=False,
    agrees=False,
    parts=("lm_loss",),
    order=86,
    case_count=6,
    dialects=DIALECTS,
    sources=("Radford et al. 2018, section 3.1, equation 1", "huggingface.co/blog/gradient_accumulation"),
    claims=(
        one_micro_batch_equals_a_batch,
        equals_one_big_batch,
        unequal_micro_batch_sizes,
        unequal_target_counts,
        micro_batch_without_targets,
        independent_of_micro_batch_order,
        loss_is_the_mean_over_all_targets,
    ),
)
