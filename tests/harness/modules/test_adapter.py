"""Modules are built for each case's sizes, given that case's weights, and never helped along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import support_modules as support
import torch
from torch import nn

from harness.core.case import Case
from harness.core.declaration import Declaration
from harness.core.implementation import CrashKind, OfferKind, Request
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from harness.modules.adapter import ModuleAdapter, mapping_table, telling_cases

KNOWN = load_catalogue()
REFERENCE = reference_executor(KNOWN.contracts)
TELLING = {name: telling_cases(KNOWN.contracts[name])[0] for name in ("layer_norm", "attention", "mlp", "block")}
TELLING["layer_norm"] = TELLING["layer_norm"].changed(eps=1e-5)
MEANING = ("agrees_with_the_reference", "gradients_agree", "deepcopy_and_state_dict_round_trip", "train_and_eval_agree")


def executor(component: str, factory: Any, **declared: Any) -> Any:
    return support.module_executor(KNOWN.contracts, factories={component: factory}, **declared)


def run(component: str, factory: Any, case: Case | None = None, request: dict | None = None, **declared: Any) -> Any:
    implementation = factory if hasattr(factory, "run") else executor(component, factory, **declared)
    return implementation.run(Request(component, case or TELLING[component], **(request or {})))


def judged(
    component: str, factory: Any, claims: tuple[str, ...] = MEANING, cases: int = 12, **declared: Any
) -> dict[str, str]:
    """Claim -> status, over a small deck."""
    inspection = Inspection(KNOWN, executor(component, factory, **declared), seed=5, cases=cases)
    contract = KNOWN.contracts[component]
    every = {claim.name: claim for claim in KNOWN.claims_of(component)}
    return {name: inspection.bench.judge(contract, every[name], shrink=False)[0].status for name in claims}


def all_hold(statuses: dict[str, str]) -> bool:
    return set(statuses.values()) == {Status.PASSED}


# ways to write it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", [name for name in support.FACTORIES if name in KNOWN.contracts])
def test_a_right_module_keeps_the_claims_about_meaning(component):
    """Every component that a module can be."""
    assert all_hold(judged(component, support.FACTORIES[component], cases=5))


@pytest.mark.parametrize(
    "factory",
    [
        lambda c: support.CausalSelfAttention(support.nano(c, bias=False)),
        lambda c: support.SeparateAttention(c.width, c.heads),
        lambda c: support.SeparateAttention(c.width, c.heads, bias=False),
        lambda c: support.HeadsAttention(c.width, c.heads, c.context),
        lambda c: support.PerHeadAttention(c.width, c.heads),
        lambda c: support.ConvAttention(c.width, c.heads),
        lambda c: support.BareAttention(c.width, c.heads, turned=False),
    ],
    ids=["no bias", "separate", "separate, no bias", "list of heads", "per head", "in, out", "bare"],
)
def test_right_attention_holds_however_its_weights_are_kept(factory):
    """Fused, apart, in a list of heads, three-dimensional, turned."""
    assert all_hold(judged("attention", factory, cases=5))


def test_a_declared_layout_is_used():
    """Bare square matrices kept [in, out]."""
    assert all_hold(
        judged("attention", lambda c: support.BareAttention(c.width, c.heads, turned=True), layout="in_out")
    )


def test_a_transposed_matrix_is_not_mapped_away():
    """Another layout would make it right; it is not tried."""
    assert (
        judged("attention", lambda c: support.BareAttention(c.width, c.heads, turned=True))["agrees_with_the_reference"]
        == Status.FAILED
    )


def test_exchanged_norms_are_not_mapped_away():
    """Named as they are meant, wired wrongly."""

    class Exchanged(nn.Module):
        def __init__(self, width, hidden):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.att = support.SeparateAttention(width, 1)
            self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

        def forward(self, x):
            x = x + self.att(self.norm2(x))
            return x + self.linear2(support.tanh_gelu(self.linear1(self.norm1(x))))

    case = TELLING["block"]
    one = case.changed(n_heads=1)
    theirs = run("block", lambda c: Exchanged(c.width, c.hidden), one)
    ours = REFERENCE.run(Request("block", one))
    assert theirs.crash is None and not torch.allclose(theirs.value, ours.value)


def test_exchanged_projections_are_not_mapped_away_either():
    """The same with queries and keys."""

    class Exchanged(support.SeparateAttention):
        def forward(self, x):
            q, k, v = (
                layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for layer in (self.W_key, self.W_query, self.W_value)
            )
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out_proj(mixed.transpose(1, 2).flatten(-2))

    statuses = judged("attention", lambda c: Exchanged(c.width, c.heads), ("agrees_with_the_reference",), cases=6)
    assert statuses["agrees_with_the_reference"] == Status.FAILED


def test_names_are_told_where_they_do_not_tell():
    """``names=`` of @implements."""

    class Odd(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first, self.second = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

        def forward(self, x):
            return nn.functional.layer_norm(x, self.first.shape, self.first, self.second, 1e-5)

    told = run("layer_norm", lambda c: Odd(c.width), names={"weight": "first", "bias": "second"})
    assert torch.allclose(told.value, REFERENCE.run(Request("layer_norm", TELLING["layer_norm"])).value)
    assert "names=" in run("layer_norm", lambda c: Odd(c.width)).crash.message


# what the factory gets -----------------------------------------------------------------------------------------------


def test_the_factory_receives_sizes_and_settings_by_name():
    """Of the case, and room for any sequence."""
    seen = []
    run("attention", lambda c: seen.append(c.as_dict()) or support.SeparateAttention(c.width, c.n_heads))
    width = TELLING["attention"].arguments["x"].shape[-1]
    heads = TELLING["attention"].arguments["n_heads"]
    assert seen[0]["width"] == width and seen[0]["n_heads"] == seen[0]["heads"] == heads and seen[0]["context"] > 100


def test_the_sizes_of_inputs_are_not_the_modules_business():
    """A module built for one batch and time would be another in every case."""
    seen = []
    run("attention", lambda c: seen.append(c.as_dict()) or support.SeparateAttention(c.width, c.n_heads))
    assert not {"batch", "time"} & set(seen[0])


def test_an_unknown_size_is_refused_with_those_there_are():
    """In their frames."""
    crash = run("layer_norm", lambda c: nn.LayerNorm(c.widht)).crash
    assert "no setting 'widht'; there are: width" in crash.message and "test_adapter.py" in crash.frames[0]


def test_a_module_is_built_once_for_its_sizes():
    """And kept between calls, as a program would keep it, so that what it remembers shows."""
    built = []
    implementation = executor("layer_norm", lambda c: built.append(c.width) or nn.LayerNorm(c.width, eps=c.eps))
    implementation.offers("layer_norm")
    before = len(built)
    for _ in range(3):
        run("layer_norm", implementation)
    assert len(built) <= before + 1


def test_building_leaves_the_generators_alone():
    """Drawing initial weights is the business of a build, and no effect of the call."""
    answer = run("mlp", lambda c: support.MLP(support.nano(c)))
    assert answer.effects == ()


def test_a_random_forward_pass_is_still_seen():
    """What the module draws while it computes is an effect."""

    class Noisy(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x) + torch.randn(1) * 0

    assert "random generator" in run("layer_norm", lambda c: Noisy(c.width)).effects[0].text


def test_the_module_has_the_dtype_of_the_case():
    """Buffers and all."""
    case = TELLING["layer_norm"]
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert run("layer_norm", lambda c: nn.LayerNorm(c.width), case.cast(dtype)).value.dtype == dtype


def test_modes_are_passed_on():
    """ "train" trains, and the next one evaluates again."""
    seen = []

    class Watching(nn.LayerNorm):
        def forward(self, x):
            seen.append(self.training)
            return super().forward(x)

    implementation = executor("layer_norm", lambda c: Watching(c.width))
    implementation.offers("layer_norm")
    seen.clear()  # of the trial call
    for mode in ("train", "eval"):
        run("layer_norm", implementation, request={"mode": mode})
    assert seen == [True, False]


def test_dropout_in_training_is_seen():
    """The claim about modes is violated by it."""

    def factory(c):
        return nn.Sequential(nn.LayerNorm(c.width, eps=c.eps), nn.Dropout(0.5))

    statuses = judged("layer_norm", factory, ("agrees_with_the_reference", "train_and_eval_agree"), cases=6)
    assert statuses == {"agrees_with_the_reference": Status.PASSED, "train_and_eval_agree": Status.FAILED}


def test_a_module_first_met_in_inference_mode_can_be_trained_later():
    """It is not built inside inference mode, whose tensors autograd refuses."""

    class Scaled(nn.Module):
        def __init__(self, width, eps):
            super().__init__()
            self.norm = nn.LayerNorm(width, eps=eps)
            self.register_buffer("scale", torch.ones(()))

        def forward(self, x):
            return self.norm(x) * self.scale

    implementation = executor("layer_norm", lambda c: Scaled(c.width, c.eps))
    implementation.adapters["layer_norm"]._probed = True
    run("layer_norm", implementation, request={"context": "inference"})
    assert run("layer_norm", implementation, request={"gradients": 1}).crash is None


def test_gradients_arrive_at_the_contracts_own_tensors():
    """Through the module's layout."""
    theirs = run("attention", lambda c: support.ConvAttention(c.width, c.heads), request={"gradients": 7})
    ours = REFERENCE.run(Request("attention", TELLING["attention"], gradients=7))
    assert set(theirs.gradients) == set(ours.gradients)
    assert all(torch.allclose(theirs.gradients[n], g) for n, g in ours.gradients.items() if g is not None)


def test_a_detached_module_has_no_gradient():
    """Nothing of ours puts one there."""

    class Cut(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.detach())

    assert run("layer_norm", lambda c: Cut(c.width), request={"gradients": 7}).gradients["x"] is None


def test_state_that_is_lost_in_a_state_dict_is_seen():
    """A fresh object that loaded the state is another one."""

    class Counting(nn.LayerNorm):
        count = 0

        def __init__(self, width, eps):
            super().__init__(width, eps=eps)
            Counting.count += 1
            self.factor = 1.0 + 0.1 * Counting.count  # not saved

        def forward(self, x):
            return super().forward(x) * self.factor

    statuses = judged("layer_norm", lambda c: Counting(c.width, c.eps), ("deepcopy_and_state_dict_round_trip",))
    assert statuses["deepcopy_and_state_dict_round_trip"] == Status.FAILED


# outputs -------------------------------------------------------------------------------------------------------------


@dataclass
class Output:
    logits: Any


def wrapped(how):
    class Wrapped(nn.LayerNorm):
        def forward(self, x):
            return how(super().forward(x))

    return lambda c: Wrapped(c.width, eps=c.eps)


@pytest.mark.parametrize("how", [lambda out: (out, None), lambda out: Output(out)], ids=["tuple", "logits"])
def test_the_tensor_is_found_where_modules_keep_it_and_noted(how):
    """The first of a tuple, or an attribute called logits."""
    implementation = executor("layer_norm", wrapped(how))
    assert torch.is_tensor(run("layer_norm", implementation).value)
    assert "its output is taken" in implementation.offers("layer_norm").notes[0]


@pytest.mark.parametrize(
    ("how", "output"),
    [
        (lambda out: (None, out), 1),
        (lambda out: {"y": out}, lambda found: found["y"]),
        (lambda out: Output(out), "logits"),
    ],
    ids=["index", "function", "attribute"],
)
def test_the_tensor_is_taken_from_where_it_was_declared(how, output):
    """``output=`` of @implements."""
    assert torch.is_tensor(run("layer_norm", wrapped(how), output=output).value)


def test_what_is_no_tensor_is_not_made_one():
    """A form of its own is for the claim about forms to tell."""
    assert run("layer_norm", wrapped(lambda out: [out])).value.__class__ is list


def test_a_module_is_called_as_declared():
    """``call=`` of @implements: flags, masks."""

    class Flagged(nn.LayerNorm):
        def forward(self, x, *, really):
            return super().forward(x) if really else None

    assert run("layer_norm", lambda c: Flagged(c.width), call=lambda m, x: m(x, really=True)).crash is None


# optional things -----------------------------------------------------------------------------------------------------


def test_absent_biases_are_known_before_play():
    """So that cases can be judged without them."""
    assert executor("attention", lambda c: support.SeparateAttention(c.width, c.heads, False)).offers(
        "attention"
    ).absent == ("qkv_bias",)


def test_the_number_of_parameters_is_told():
    """Trained ones, tied ones once."""
    case = TELLING["mlp"]
    expected = sum(v.numel() for n, v in case.arguments.items() if n != "x" and v is not None)
    assert run("mlp", support.FACTORIES["mlp"], case).facts == {"parameters": expected}


def test_a_factory_may_return_a_plain_function():
    """Which is then called with the contract's arguments."""
    from reference_model import layer_norm

    implementation = executor("layer_norm", lambda config: layer_norm)
    assert implementation.offers("layer_norm").kind is OfferKind.FUNCTION
    assert torch.equal(
        run("layer_norm", implementation).value, REFERENCE.run(Request("layer_norm", TELLING["layer_norm"])).value
    )


def test_a_setting_that_the_factory_never_reads_is_not_offered_at_other_values():
    """An epsilon of its own is no mistake; it can only be judged where the case has the same."""

    def factory(config):
        return nn.LayerNorm(config.width)

    assert run("layer_norm", factory).crash is None
    other = run("layer_norm", factory, TELLING["layer_norm"].changed(eps=0.1)).crash
    assert other.kind == CrashKind.NOT_SUPPORTED and other.message == "its factory takes no eps"


def test_a_size_that_the_factory_never_reads_is_not_offered_at_other_values():
    """Four times the width is the only hidden size of many modules; it is judged where the case has it."""

    def factory(config):
        return nn.Sequential(
            nn.Linear(config.width, 4 * config.width), nn.GELU("tanh"), nn.Linear(4 * config.width, config.width)
        )

    implementation = executor("mlp", factory)
    kinds = [run("mlp", implementation, case).crash for case in telling_cases(KNOWN.contracts["mlp"])]
    assert None in kinds and {crash.kind for crash in kinds if crash} == {CrashKind.NOT_SUPPORTED}
    assert all_hold(judged("mlp", factory))


def test_an_optional_entry_of_a_record_is_not_offered_where_it_is_never_read():
    """In a function as in a factory."""
    case = next(c for c in telling_cases(KNOWN.contracts["gpt2"]) if c.arguments["config"].norm_eps != 1e-5)
    from reference_model import gpt2

    def fixed(ids, weights, config):
        sizes = ("vocab_size", "context", "width", "heads", "layers")
        return gpt2(ids, weights, type("Sizes", (), {name: getattr(config, name) for name in sizes}))

    implementation = Executor("theirs", {"gpt2": FunctionAdapter(fixed)}, KNOWN.contracts)
    assert implementation.run(Request("gpt2", case)).crash.message == "it takes no norm_eps"


def test_the_number_of_parameters_is_judged_by_the_formula():
    """A tied head counts once; one of its own is told, and so are absent biases no fault."""
    claim = ("parameter_count",)
    assert all_hold(judged("gpt2", lambda c: support.GPT(support.nano(c)), claim, cases=4))
    assert all_hold(judged("gpt2", lambda c: support.GPT(support.nano(c, bias=False)), claim, cases=4))
    assert judged("gpt2", lambda c: support.UntiedGPT(c), claim, cases=4) == {"parameter_count": Status.FAILED}


# what goes wrong -----------------------------------------------------------------------------------------------------


def test_a_factory_that_is_not_written_yet_is_to_do():
    """NotImplementedError, there or in forward."""

    def factory(config):
        raise NotImplementedError

    assert run("layer_norm", factory).crash.kind == CrashKind.TO_DO


def test_a_factory_that_raises_is_told_with_their_frames():
    """When a case is run, not before."""

    def factory(config):
        return 1 / 0

    implementation = executor("layer_norm", factory)
    assert implementation.offers("layer_norm").kind is OfferKind.MODULE
    crash = run("layer_norm", implementation).crash
    assert crash.error == "ZeroDivisionError" and "in factory" in crash.frames[-1]


@pytest.mark.parametrize(("value", "said"), [(None, "is a `return` missing?"), (3, "returned a int")])
def test_a_factory_that_returns_no_module_is_told(value, said):
    """And what it returned."""
    assert said in run("layer_norm", lambda config: value).crash.message


def test_parameters_that_cannot_be_matched_are_told_in_a_table():
    """What was found, what was not, and the line that would fix it."""

    class Odd(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first, self.second = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    crash = run("layer_norm", lambda c: Odd(c.width)).crash
    assert crash.kind == CrashKind.MISFIT and "cannot be matched" in crash.message
    assert "not found in the module" in crash.message and '@implements("layer_norm", names=' in crash.message


def test_a_module_of_a_fixed_size_is_told_so():
    """At sizes that it was not built for."""
    case = TELLING["layer_norm"]
    other = 2 if case.arguments["x"].shape[-1] != 2 else 3
    assert (
        "does the factory build it with config.width?"
        in run("layer_norm", lambda c: nn.LayerNorm(c.width + other), case).crash.message
    )


def test_the_table_of_parameters_is_for_doctor():
    """Canonical, theirs, shape, layout, note."""
    adapter = ModuleAdapter(Declaration("mlp", support.FACTORIES["mlp"]), KNOWN.contracts["mlp"])
    rows = mapping_table(adapter, KNOWN.contracts["mlp"])
    assert [row.parameter for row in rows] == ["c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias"]
    assert rows[0].name == "up_weight" and rows[0].layout == "[out, in]"


def test_a_function_has_no_table():
    """There is nothing to match."""
    assert mapping_table(REFERENCE.adapters["mlp"], KNOWN.contracts["mlp"]) == []
