"""Which parameters of a model are decayed: groups for an optimiser.

A step of the harness compares the groups with the very model that was passed, so that a copy is not a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from harness.core.case import CALL, Call, Case, harness_step
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Dialect, Signature, Variant
from harness.core.mistake import Edit
from harness.core.values import Earlier, Given, Resource
from reference_model.parameter_groups import parameter_groups

EMBEDDINGS = ("wte_embedding.weight", "wpe_embedding.weight")
FROZEN = ((), ("wpe_embedding",), ("blocks.0.attn",), ("ln_f_norm", "mlp.0"))


@st.composite
def cases(draw: st.DrawFn, frozen: bool = False) -> Case:
    """A model of one or two layers, tied or not, with biases or without, some of it frozen."""
    layers, bias, tied = draw(st.integers(1, 2)), draw(st.booleans()), draw(st.booleans())
    parts = draw(st.sampled_from(FROZEN[1:] if frozen else FROZEN))
    model = Resource("specs.shared.models:tiny_gpt", (0, 11, 4, layers, bias, tied, 0.0, parts))
    decay = draw(st.sampled_from((0.1, 0.01, 0.3, 0.05, 0.0)))
    look = harness_step(
        "specs.shared.models:decays", groups=Earlier(CALL), model=Given(CALL, "model"), weight_decay=decay
    )
    biases = f"{'with' if bias else 'without'} biases"
    what = f"{layers} layer{'s' if layers > 1 else ''}, {'tied' if tied else 'not tied'}, {biases}"
    return Case(
        (Call(CALL, {"model": model, "weight_decay": decay}), look), {}, what + (", partly frozen" if parts else "")
    )


def partly_frozen() -> Any:
    return cases(frozen=True)


# claims --------------------------------------------------------------------------------------------------------------


class Groups:
    """Which group every parameter of the case's model is in."""

    def __init__(self, trial: Trial) -> None:
        self.found: dict[str, list[float]] = trial.run().value
        model = trial.case.calls[0].arguments["model"].load()
        self.parameters = dict(model.named_parameters())
        self.trained = [name for name, parameter in self.parameters.items() if parameter.requires_grad]
        self.asked = trial.case.calls[0].arguments["weight_decay"]

    def must_have(self, names: Iterable[str], decay: float, what: str) -> None:
        """Only parameters in a group are checked; whether each is in one is another claim."""
        for name in names:
            wrong = [
                given for given in self.found.get(name, ()) if abs(given - decay) > 1e-9 * self.asked
            ]  # a number handed on
            if wrong:
                raise Violation(f"{what}: {name} has weight decay {wrong[0]:g}; expected {decay:g}")


@claim(
    "every trainable parameter is in exactly one group, tied ones included",
    broken_by="tied_parameter_listed_twice",
    aliases=("every_parameter_once",),
)
def every_parameter_in_one_group(trial: Trial) -> None:
    groups = Groups(trial)
    for name in groups.trained:
        times = len(groups.found[name])
        if times != 1:
            how = "in no group, so it is never trained" if not times else f"in {times} groups"
            raise Violation(f"{name} is {how}")


@claim(
    "the groups hold the model's own parameters, not copies", broken_by="parameters_copied", aliases=("no_strangers",)
)
def only_model_parameters(trial: Trial) -> None:
    found = Groups(trial).found
    others = found.get("a stranger", [])
    if others:
        what = f"{len(others)} tensors in the groups are not parameters of the model"
        raise Violation(f"{what}: an optimizer would train copies")


@claim("frozen parameters are in no group", broken_by="frozen_included", cases=partly_frozen, max_cases=8)
def frozen_parameters_are_left_out(trial: Trial) -> None:
    groups = Groups(trial)
    frozen = [name for name in groups.parameters if name not in groups.trained and groups.found[name]]
    if frozen:
        raise Violation(f"{frozen[0]} is frozen (requires_grad is False) but is in a group")


@claim("projection weights get the requested weight decay", broken_by="weight_decay_fixed")
def matrices_decay(trial: Trial) -> None:
    groups = Groups(trial)
    names = [n for n in groups.trained if groups.parameters[n].dim() > 1 and n not in EMBEDDINGS]
    groups.must_have(names, groups.asked, "projection weights must decay")


@claim("embeddings get weight decay, or none where that is declared", broken_by="positions_not_decayed")
def embeddings_decay_as_declared(trial: Trial) -> None:
    """A tied embedding is the weight of the head too, and may decay as either."""
    groups = Groups(trial)
    is_tied = "lm_head.weight" not in groups.parameters
    names = [n for n in EMBEDDINGS if n in groups.trained and not (is_tied and trial.is_varied and n == EMBEDDINGS[0])]
    groups.must_have(
        names,
        0.0 if trial.is_varied else groups.asked,
        "embeddings " + ("must not decay" if trial.is_varied else "must decay"),
    )


@claim("norm gains get no weight decay", broken_by="decayed_by_the_name_weight")
def norms_do_not_decay(trial: Trial) -> None:
    groups = Groups(trial)
    groups.must_have([n for n in groups.trained if n.endswith("LayerNorm.weight")], 0.0, "norm gains must not decay")


@claim("biases get no weight decay", broken_by="everything_decayed")
def biases_do_not_decay(trial: Trial) -> None:
    groups = Groups(trial)
    names = [n for n in groups.trained if n.endswith("bias")]
    if not names:
        trial.not_applicable()
    groups.must_have(names, 0.0, "biases must not decay")


# how it is called ----------------------------------------------------------------------------------------------------

EXTRA: dict[str, Any] = {"learning_rate": 1e-3, "lr": 1e-3, "betas": (0.9, 0.95), "device_type": "cpu", "device": "cpu"}


def _dialect(function: str, model: str, *more: str) -> Dialect:
    def arguments(a: Any) -> dict[str, Any]:
        return {model: a["model"], "weight_decay": a["weight_decay"], **{name: EXTRA[name] for name in more}}

    project = "karpathy/nanoGPT" if function == "configure_optimizers" else "training code"
    return Dialect(project, function, (model, "weight_decay", *more), arguments)


CONFIGURING = tuple(
    _dialect("configure_optimizers", model, *more)
    for model in ("model", "self")
    for more in (
        ("learning_rate", "betas", "device_type"),
        ("learning_rate", "betas"),
        ("lr", "betas"),
        ("learning_rate",),
        ("lr",),
        (),
    )
)
NAMES = (
    "get_parameter_groups",
    "get_param_groups",
    "param_groups",
    "make_param_groups",
    "build_param_groups",
    "get_grouped_params",
    "get_optimizer_grouped_parameters",
    "get_optimizer_groups",
    "create_param_groups",
    "split_parameters",
    "get_optim_groups",
)


CONTRACT = Contract(
    name="parameter_groups",
    meaning="Optimizer parameter groups: which parameters get weight decay and which do not.",
    calls={
        CALL: Signature(
            (Argument("model", "a torch module"), Argument("weight_decay", "float", "setting")),
            "list of {params, weight_decay}, or an optimiser made of them",
            objects=True,
        )
    },
    reference=parameter_groups,
    cases=cases,
    differentiable=False,
    agrees=False,
    order=84,
    case_count=16,
    dialects=(*CONFIGURING, *(_dialect(name, "model") for name in NAMES)),
    variants=(
        Variant(
            "embeddings_not_decayed",
            "You do not decay the embeddings (minGPT); nanoGPT does.",
            (
                Edit(
                    parameter_groups,
                    "is_matrix = parameter.dim() >= 2",
                    'is_matrix = parameter.dim() >= 2 and "embedding" not in name',
                ),
                Edit(
                    parameter_groups,
                    "for _, parameter in model.named_parameters():",
                    "for name, parameter in model.named_parameters():",
                ),
            ),
        ),
    ),
    sources=("Radford et al. 2018, section 4.1", "karpathy/nanoGPT model.py configure_optimizers"),
    claims=(
        every_parameter_in_one_group,
        only_model_parameters,
        frozen_parameters_are_left_out,
        matrices_decay,
        embeddings_decay_as_declared,
        norms_do_not_decay,
        biases_do_not_decay,
    ),
)
