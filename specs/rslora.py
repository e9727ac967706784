"""Rank-stabilised LoRA: the same adapter with another scale."""

import math

from harness.core.contract import Contract
from reference_model.lora import rslora
from specs.shared.low_rank import claims
from specs.shared.low_rank_cases import cases, invalid_cases
from specs.shared.low_rank_classes import RANK_STABILISED
from specs.shared.low_rank_script import CALLS, OPTIONAL_METHODS
from specs.shared.scaling_law import MEASURES
from specs.workloads import adapters as workloads

CONTRACT = Contract(
    name="rslora",
    meaning="Rank-stabilised LoRA: the update does not shrink as the rank grows: W x + bias + alpha / sqrt(r) B A x.",
    calls=CALLS,
    reference=rslora,
    cases=cases,
    invalid=invalid_cases,
    rows=("x",),
    leading_axes=("x",),
    half_precision=False,  # judged by a claim of its own, which allows for keeping the sum of both weights
    dialects=RANK_STABILISED,
    order=82,
    headline=True,
    optional_methods=OPTIONAL_METHODS,
    case_count=32,
    sources=("Kalajdzievski 2023, section 3, theorem 3.2", "huggingface/peft, LoraConfig(use_rslora=True)"),
    measures=MEASURES,
    workloads=workloads.adapters(rank_stabilised=True),
    claims=claims(lambda alpha, rank: alpha / math.sqrt(rank), "alpha / sqrt(r)", broken_by="alpha_over_rank"),
)
