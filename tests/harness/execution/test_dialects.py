"""Functions under a project's own names are recognised by their arguments, and called as that project calls them."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract, Dialect, Signature
from harness.core.implementation import CrashKind, Request
from harness.core.record import Status
from harness.execution.dialects import dialect_of
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.loading import inspect_implementation
from harness.strategies.tensors import tensors

STYLES = Path(__file__).parents[2] / "styles"


def scaled(x, weight, power=1):
    return x * weight**power


def dialect(**options) -> Dialect:
    return Dialect(
        "a course", "run_scale", ("gain", "inputs"), lambda a: {"gain": a["weight"], "inputs": a["x"]}, **options
    )


def contract(*dialects: Dialect) -> Contract:
    call = Signature(
        (
            Argument("x", "float[batch, width]"),
            Argument("weight", "float[width]", role="parameter"),
            Argument("power", "int", role="setting", optional=True, default=1),
        ),
        "float[batch, width]",
    )
    return Contract("scale", "Scales.", {"call": call}, scaled, lambda: tensors((2, 3)), dialects=dialects)


X, GAIN = torch.arange(6.0, dtype=torch.float64).reshape(2, 3), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def run(function, one: Dialect, power: int = 1, gradients: int | None = None):
    whole = contract(one)
    adapter = dialect_of(whole, {"run_scale": function}.get)
    assert adapter is not None
    case = Case.of({"x": X, "weight": GAIN, "power": power})
    return Executor("theirs", {"scale": adapter}, {"scale": whole}).run(Request("scale", case, gradients=gradients))


def test_it_is_recognised_by_its_arguments_alone():
    """Another function of that name, or one that has arguments of ours beside, is not it."""
    whole = contract(dialect())
    assert dialect_of(whole, {"run_scale": lambda gain, inputs: inputs}.get) is not None
    assert dialect_of(whole, {"run_scale": lambda gain, inputs, extra=1: inputs}.get) is not None
    assert dialect_of(whole, {"run_scale": lambda a, b: a}.get) is None
    assert dialect_of(whole, {"run_scale": lambda gain, inputs, power: inputs}.get) is None
    assert dialect_of(whole, {"run_scale": 3}.get) is None and dialect_of(whole, {}.get) is None


def test_a_class_may_be_spoken_too_unless_it_is_the_contract_s_own_form():
    """Where the dialect makes something of it; ``lacks`` tells the contract's own form apart."""

    class FoundParameter:
        def __init__(self, gain, power=1): ...

    class Ours(FoundParameter):
        def __init__(self, gain, weight): ...

    made = Dialect("a course", "Scale", ("gain",), lambda a: a, made=lambda cls: cls, lacks=("weight",))
    assert dialect_of(contract(made), {"Scale": FoundParameter}.get) is not None
    assert dialect_of(contract(made), {"Scale": Ours}.get) is None
    assert dialect_of(contract(dialect()), {"run_scale": FoundParameter}.get) is None


def test_it_is_called_with_its_own_arguments():
    assert torch.equal(run(lambda gain, inputs: inputs * gain, dialect()).value, X * GAIN)


def test_a_setting_it_has_no_place_for_is_not_offered():
    """The default is what it does anyway."""
    crash = run(lambda gain, inputs: inputs * gain, dialect(), power=2).crash
    assert crash is not None and crash.kind == CrashKind.NOT_SUPPORTED and "power" in crash.message


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_one_sequence_at_a_time(kind):
    """What comes back row by row is put together in its own library."""
    shapes = []

    def run_scale(gain, inputs):
        shapes.append(tuple(inputs.shape))
        return inputs * gain if kind == "torch" else numpy.asarray(inputs) * numpy.asarray(gain)

    value = run(run_scale, dialect(one_by_one=("x",))).value
    assert shapes == [(3,), (3,)]
    assert torch.equal(torch.as_tensor(value), X * GAIN)


def test_weights_that_are_copied_into_a_module_promise_no_gradient():
    """Where they are used as they are, gradients are judged."""

    def copies(gain, inputs):
        layer = torch.nn.Parameter(gain.detach().clone())
        return inputs * layer

    crash = run(copies, dialect(), gradients=1).crash
    assert crash is not None and crash.kind == CrashKind.NOT_SUPPORTED and "copies" in crash.message
    assert torch.is_tensor(run(lambda gain, inputs: inputs * gain, dialect(), gradients=1).gradients["weight"])


def test_what_is_cut_off_as_a_whole_is_no_copy():
    """No gradient reaches the inputs either: that is judged."""
    answer = run(lambda gain, inputs: (inputs * gain).detach(), dialect(), gradients=1)
    assert answer.crash is None and answer.gradients == {"x": None, "weight": None}


def test_building_modules_disturbs_nothing():
    def builds(gain, inputs):
        torch.randn(3)
        return inputs * gain

    assert run(builds, dialect()).effects == ()


def test_a_dialect_may_decline_a_case():
    def only_small(a):
        raise NotSupported("not this one")

    refusing = Dialect("a course", "run_scale", ("gain", "inputs"), only_small)
    crash = run(lambda gain, inputs: inputs, refusing).crash
    assert crash is not None and crash.kind == CrashKind.NOT_SUPPORTED


def test_an_optional_array_it_has_no_place_for_is_not_offered():
    """The positions of a NumPy model are its own: it cannot be given any."""
    judged = inspect_implementation(str(STYLES / "pico.py"), cases=1)
    contract = judged.catalogue.contracts["gpt2"]
    about_positions = next(c for c in judged.catalogue.claims_of("gpt2") if c.name == "positions_as_given")
    verdict, _ = judged.bench.judge(contract, about_positions, shrink=False)
    assert verdict.status == Status.NOT_APPLICABLE and "position_ids" in verdict.message


def test_a_function_that_writes_into_what_it_is_given():
    """Its result is what it left there; our own tensor stays as it was."""

    def run_scale(gain, inputs):
        inputs.mul_(gain)

    kept = Dialect(
        "a course",
        "run_scale",
        ("gain", "inputs"),
        lambda a: {"gain": a["weight"], "inputs": a["x"].clone()},
        written=lambda given, value: given["inputs"],
    )
    answer = run(run_scale, kept)
    assert torch.equal(answer.value, X * GAIN) and answer.effects == ()


SOUND_CLIP = """
import torch
def FUNCTION(PARAMETERS, LIMIT):
    present = [p for p in PARAMETERS if p.grad is not None]
    norm = torch.sqrt(sum((p.grad ** 2).sum() for p in present) + torch.zeros(()))
    if norm > LIMIT:
        for p in present:
            p.grad.mul_(LIMIT / (norm + 1e-6))
    RETURN
"""


@pytest.mark.parametrize(
    ("names", "edit", "named"),
    [
        (("run_gradient_clipping", "parameters", "max_l2_norm", "pass"), None, None),
        (("clip_grad_norm_", "parameters", "max_norm", "return norm"), None, None),
        (("clip_grad_norm", "params", "max_norm", "return float(norm)"), None, None),
        (("gradient_clipping", "params", "max_l2_norm", "pass"), None, None),
        (("clip_grad_norm_", "parameters", "max_norm", "pass"), None, "norm_not_returned"),
        (("run_gradient_clipping", "parameters", "max_l2_norm", "pass"), ("torch.sqrt(", "("), "root_forgotten"),
        (
            ("clip_grad_norm", "parameters", "max_norm", "return norm"),
            ("in present:", "in parameters:"),
            "never_clipped",
        ),
        (
            ("clip_grad_norm", "parameters", "max_norm", "return norm"),
            ("norm > max_norm", "norm < max_norm"),
            "clamp_min_for_max",
        ),
    ],
)
def test_clipping_in_place(tmp_path, names, edit, named):
    """As torch and CS336 have it: parameters from a generator, their gradients changed, the norm returned or not."""
    text = SOUND_CLIP
    for old, new in zip(("FUNCTION", "PARAMETERS", "LIMIT", "RETURN"), names, strict=True):
        text = text.replace(old, new)
    if edit is not None:
        assert edit[0] in text
        text = text.replace(*edit)
    found = judged_as("clip_grad_norm", text, tmp_path)
    assert f"clip_grad_norm.{named}" in found if named else not found, found


def judged_as(component: str, text: str, tmp_path) -> list[str]:
    """The mistakes named in a file that offers one component."""
    file = tmp_path / "mine.py"
    file.write_text(text)
    judged = inspect_implementation(str(file), cases=12)
    found = []
    for claim in judged.catalogue.claims_of(component):
        verdict, evidence = judged.bench.judge(judged.catalogue.contracts[component], claim, shrink=False)
        if verdict.failing:
            finding = judged.explain(component, evidence)
            found += finding.names if finding else ["?"]
    return found


COSINE = """
import math
def run_get_lr_cosine_schedule(it, max_learning_rate, min_learning_rate, warmup_iters, cosine_cycle_iters):
    if it < warmup_iters:
        return it / warmup_iters * max_learning_rate
    if it > cosine_cycle_iters:
        return min_learning_rate
    done = (it - warmup_iters) / max(1, cosine_cycle_iters - warmup_iters)
    return min_learning_rate + 0.5 * (1 + math.cos(math.pi * done)) * (max_learning_rate - min_learning_rate)
"""


def test_the_schedule_of_cs336(tmp_path):
    """Arguments in another order, under other names; a wrong line in it is named."""
    assert not judged_as("lr_schedule", COSINE, tmp_path)
    assert "lr_schedule.rises_again" in judged_as("lr_schedule", COSINE.replace("if it > ", "if 0 > "), tmp_path)


NANO = """
import math
def lr_schedule(it, warmup_iters, lr_decay_iters, learning_rate, min_lr):
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it > lr_decay_iters:
        return min_lr
    decay_ratio = (it - warmup_iters) / max(1, lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * decay_ratio)) * (learning_rate - min_lr)
"""


@pytest.mark.parametrize(
    ("variant", "divisor"), [("first_step_counts", "(warmup_iters + 1)"), ("peak_one_step_earlier", "warmup_iters")]
)
def test_other_warm_ups_are_legal_when_declared(tmp_path, variant, divisor):
    """Undeclared they are recognised."""
    text = NANO.replace("(warmup_iters + 1)", divisor)
    assert set(judged_as("lr_schedule", text, tmp_path)) == {f"lr_schedule.variant={variant}"}
    declared = f"PLUMBLINE = {{'variants': {{'lr_schedule': '{variant}'}}}}\n"
    assert not judged_as("lr_schedule", declared + text, tmp_path)


def test_a_class_of_the_components_own_name_speaks_no_dialect(tmp_path, monkeypatch) -> None:
    """With the contract's own methods it is called as the contract says, whatever else stands beside it."""
    from harness.judging.catalogue import load_catalogue

    monkeypatch.chdir(
        tmp_path
    )  # in the project's own folder a second reference_model would stand beside an installed one
    adapters = inspect_implementation("reference_model").implementation.adapters
    dialect_of = [
        n for n, c in load_catalogue().contracts.items() if not c.is_function and type(adapters[n]) is not ClassAdapter
    ]
    assert not dialect_of
