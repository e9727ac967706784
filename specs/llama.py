"""A whole Llama: from token ids to the logits of the next id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.core.implementation import MeasuredOutput
from harness.core.values import Settings
from harness.strategies.tensors import seeds, token_ids
from reference_model.llama import llama
from specs.naming.cs336_models import CS336_MODEL
from specs.naming.forward import FORWARD
from specs.naming.llama import LLAMA, LLAMA_CONFIG, LLAMA_MODELS
from specs.naming.models import MODEL_CLASSES
from specs.naming.parameters import GATE_JOINED, HEADS_JOINED
from specs.naming.sizes import GROUPED_SIZES
from specs.shared.attention import elsewhere, learned, output, tolerance, unmoved, with_time
from specs.shared.llama_cases import block_options, block_weights, described, llama_sizes, settings
from specs.shared.llama_forms import MODEL_NUMBERS, MODEL_VARIANTS
from specs.shared.padding import ATTENTION_MASK
from specs.shared.padding_of_models import model_padding_claims
from specs.shared.quorums import ATTENDS
from specs.workloads import llamas as workloads


@st.composite
def cases(draw: st.DrawFn, most_time: int = 6, full: bool = False, windowed: bool = False) -> Case:
    """All sizes differ; ids repeat; one to three layers, each with its own weights. Two of three cases are plain.

    ``full``: the ids fill the context window. ``windowed``: plain ones but for a window that hides positions, in as
    many layers as tell which of them have it.
    """
    plain = windowed or draw(st.integers(0, 2)) < 2
    sizes = draw(llama_sizes(plain, most_time=most_time, most_batch=4).filter(lambda s: s["time"] > 2 * windowed))
    layers, vocab_size = 7 if windowed else draw(st.sampled_from((1, 2, 3))), draw(st.integers(6, 13))
    more = draw(settings(sizes, plain, "norm_eps"))
    more |= {"window": draw(st.integers(1, sizes["time"] - 1))} if windowed else {}
    config = Settings(
        vocab_size=vocab_size,
        context=sizes["time"] if full else draw(st.sampled_from((7, 9, 11))),
        width=sizes["width"],
        heads=sizes["heads"],
        kv_heads=sizes["kv_heads"] if sizes["kv_heads"] != sizes["heads"] else None,
        head_size=more.pop("head_size", None),
        hidden=sizes["hidden"],
        layers=layers,
        norm_eps=more.pop("norm_eps", draw(st.sampled_from((1e-5, 1e-5, 1e-5, 1e-3, 1e-5, 1e-5)))),
        rope_base=more.pop("rope_base", 10000.0),
        window=more.pop("window", None),
    )
    seed, names = draw(seeds), draw(block_options(plain))
    untied = draw(st.integers(0, 3)) > 0
    weights = {
        "token_embedding": learned("normal", (vocab_size, config.width), seed, 1.0),
        "blocks": [draw(block_weights(sizes, names, of_each_head=windowed)) for _ in range(layers)],
        "final_norm_weight": learned("normal", (config.width,), seed + 1, 0.4, around=1.2),
        "head_weight": learned("normal", (vocab_size, config.width), seed + 2, 0.8) if untied else None,
    }
    if "norm_1_weight" not in names:
        weights["final_norm_weight"] = None
    ids = draw(token_ids((sizes["batch"], sizes["time"]), vocab_size))
    family = f"{layers} layers, {'a head of its own' if untied else 'tied'}{described(names)}"
    dimensions = {name: size for name, size in sizes.items() if name != "head_size"}
    dimensions |= {"vocab_size": vocab_size, "context": config.context, "layers": layers}
    return Case.of({"ids": ids, "weights": weights, "config": config}, family=family, **dimensions)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """An id below or above the vocabulary."""
    case = draw(cases())
    ids = case.arguments["ids"].clone()
    wrong = draw(st.sampled_from((case.dimensions["vocab_size"], -1)))
    ids.reshape(-1)[draw(st.integers(0, ids.numel() - 1))] = wrong
    return replace(case.changed(ids=ids), family=f"the id {wrong} with a vocabulary of {case.dimensions['vocab_size']}")


def with_weights(case: Case, **weights: object) -> Case:
    """The case with some of the model's weights replaced."""
    return case.changed(weights={**case.arguments["weights"], **weights})


@claim(
    "it works with a full context window, and with a single id",
    broken_by="full_context_refused",
    cases=lambda: cases(most_time=8, full=True),
    max_cases=12,
)
def works_at_full_context(trial: Trial) -> None:
    exact, bound = trial.agreement()
    trial.close(output(trial), exact.value, bound.value, "with a full context window, out")
    one = with_time(trial.case.changed(ids=trial.case.arguments["ids"][:, :1]), 1)
    exact, bound = trial.agreement(one)
    trial.close(output(trial, one), exact.value, bound.value, "for a single id, out")


@claim(
    "with a window, each layer that has it sees the last positions alone",
    broken_by="window_ignored",
    cases=lambda: cases(windowed=True),
    max_cases=8,
)
def window_holds_in_its_layers(trial: Trial) -> None:
    """Which layers have it is a form of the model: all of them, unless another one is declared."""
    exact, bound = trial.agreement()
    trial.close(output(trial), exact.value, bound.value, "with a window, out")


def _head(trial: Trial) -> str:
    """The name of the tensor that is the head."""
    tied = trial.case.arguments["weights"].get("head_weight") is None
    return "token_embedding" if tied else "head_weight"


@claim(
    "a row of the head affects only the logit of its id",
    broken_by="probabilities_returned",
    max_cases=15,
)
def logits_use_their_own_head_row(trial: Trial) -> None:
    """Of a tied head, the row of an id that is absent."""
    weights, name = trial.case.arguments["weights"], _head(trial)
    table = weights[name]
    absent = sorted(set(range(len(table))) - set(trial.case.arguments["ids"].reshape(-1).tolist()))
    rows = absent if name == "token_embedding" else list(range(len(table)))
    if not rows:
        trial.not_applicable()
    row, other = rows[0], table.clone()
    other[row] += elsewhere(trial, table[row])
    changed = with_weights(trial.case, **{name: other})
    rest = [column for column in range(len(table)) if column != row]
    what = f"the logits of other ids, with row {row} of the head changed, out"
    trial.close(output(trial, changed)[..., rest], output(trial)[..., rest], tolerance(trial, None, changed), what)


@claim(
    "a head of its own is used: the embedding of an absent id has no effect",
    broken_by="head_tied",
    max_cases=15,
)
def untied_head_is_used(trial: Trial) -> None:
    if _head(trial) == "token_embedding":
        trial.not_applicable()
    table = trial.case.arguments["weights"]["token_embedding"]
    absent = [row for row in range(len(table)) if not bool((trial.case.arguments["ids"] == row).any())]
    if not absent:
        trial.not_applicable()
    other = table.clone()
    other[absent[0]] += elsewhere(trial, table[absent[0]])
    changed = with_weights(trial.case, token_embedding=other)
    unmoved(trial, changed, f"with the embedding of the absent id {absent[0]} changed, out")


@claim(
    "the logits are linear in the gain of the final norm: only the head follows it",
    broken_by="final_norm_forgotten",
    max_cases=15,
)
def linear_in_the_final_norm(trial: Trial) -> None:
    """Twice the gain of the final norm gives twice the logits."""
    gain = trial.case.arguments["weights"]["final_norm_weight"]
    if gain is None or trial.has_form("unit_offset", "final_softcap"):
        trial.not_applicable()
    twice = with_weights(trial.case, final_norm_weight=2 * gain)
    what = "with the gain of the final norm doubled, out"
    trial.close(output(trial, twice), 2 * output(trial), tolerance(trial, None, None, twice), what)


def miscounts(call: Any, method: str, arguments: Any, request: Any) -> MeasuredOutput:
    """A way to call a right model that reports a wrong number of parameters."""
    return MeasuredOutput(call(arguments), {"parameters": 1.0})


@claim(
    "it has as many parameters as its sizes say: every tensor once, a tied head once",
    sabotage=miscounts,
    name="parameter_count",
    tags=frozenset({"module"}),
    max_cases=10,
)
def parameter_count_by_sizes(trial: Trial) -> None:
    """2 V D + L (2 H K D + 2 G K D + 3 D F + 2 D) + D, tied V D fewer; what the model has beside is counted too."""
    counted, weights = trial.run().facts.get("parameters"), trial.case.arguments["weights"]
    if counted is None:
        raise NotSupported("a function has no parameters of its own")
    given = [v for name, v in weights.items() if name != "blocks" and v is not None]
    given += [v for layer in weights["blocks"] for v in layer.values() if v is not None]
    expected = sum(int(v.numel()) for v in given)
    if counted != expected:
        filled = [name for name, v in {**weights["blocks"][0], **weights}.items() if v is None]
        if any(name not in trial.offer.absent for name in filled):
            trial.not_applicable()  # the case leaves out what the model has
        message = f"it has {counted:,.0f} trainable parameters; a Llama of these sizes has {expected:,}"
        raise Violation(message)


CONTRACT = Contract(
    name="llama",
    meaning="Llama: token embeddings, blocks with rotary positions, a final norm, a head.",
    calls={
        "call": Signature(
            (
                Argument("ids", "int[batch, time]"),
                Argument("weights", "weights", role="parameter", fields=LLAMA),
                Argument("config", "config", role="setting", fields=LLAMA_CONFIG),
                ATTENTION_MASK,
            ),
            "float[batch, time, vocab_size]",
        )
    },
    reference=llama,
    cases=cases,
    invalid=invalid_cases,
    parts=("llama_block", "rms_norm", "token_embedding"),
    rows=("ids",),
    causal=Causal({"ids": 1}, vocabulary="vocab_size"),
    tables_in_float32=True,
    dialects=(CS336_MODEL,),
    order=74,
    headline=True,
    classes=(*MODEL_CLASSES, *LLAMA_MODELS),
    forward_names=FORWARD,
    joined=(*HEADS_JOINED, *GATE_JOINED),
    size_names=GROUPED_SIZES,
    variants=MODEL_VARIANTS,
    numbers=MODEL_NUMBERS,
    part_forms={"grouped_query_attention": "rotary_halves"},
    inside={
        "llama_block": {"weights": "blocks"},
        "rms_norm": {"weight": "final_norm_weight"},
        "token_embedding": {"weight": "token_embedding"},
    },
    case_count=22,
    workloads=workloads.MODEL,
    quorum=ATTENDS,
    sources=("Touvron et al. 2023, section 2.2", "meta-llama/llama llama/model.py Transformer"),
    claims=(
        works_at_full_context,
        window_holds_in_its_layers,
        logits_use_their_own_head_row,
        untied_head_is_used,
        linear_in_the_final_norm,
        parameter_count_by_sizes,
        *model_padding_claims(cases, "attention_mask_not_passed_on"),
    ),
)
