"""Low-rank adaptation (LoRA) beside a frozen linear layer."""

from harness.core.contract import Contract
from reference_model.lora import lora
from specs.shared.low_rank import claims
from specs.shared.low_rank_cases import cases, invalid_cases
from specs.shared.low_rank_classes import LAYERS
from specs.shared.low_rank_script import CALLS, OPTIONAL_METHODS
from specs.shared.scaling_law import MEASURES
from specs.workloads import adapters as workloads

CONTRACT = Contract(
    name="lora",
    meaning="LoRA: a frozen linear layer plus a trained low-rank update: W x + bias + alpha / r B A x.",
    calls=CALLS,
    reference=lora,
    cases=cases,
    invalid=invalid_cases,
    rows=("x",),
    leading_axes=("x",),
    half_precision=False,  # judged by a claim of its own, which allows for keeping the sum of both weights
    dialects=LAYERS,
    order=80,
    headline=True,
    optional_methods=OPTIONAL_METHODS,
    case_count=32,
    sources=("Hu et al. 2021, section 4.1, equation 3", "microsoft/LoRA loralib/layers.py Linear"),
    measures=MEASURES,
    workloads=workloads.adapters(rank_stabilised=False),
    claims=claims(lambda alpha, rank: alpha / rank, "alpha / r", broken_by="alpha_over_root_of_rank"),
)
