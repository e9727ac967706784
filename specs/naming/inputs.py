"""What the inputs of cases are made of: functions of the reference that are no answers there.

Where the user's code runs in a process of its own, the reference is not in it. These functions are asked for, by the
component whose cases need them ("" for all).
"""

from __future__ import annotations

INPUTS: dict[str, tuple[str, ...]] = {
    "": ("reference_model.tokenizer:gpt2_ranks",),
    "weight_tying": ("reference_model.gpt2:initialise", "reference_model.llama:initialise_llama"),
    "generation": ("reference_model.gpt2:gpt2", "reference_model.llama:llama"),
}

SIZES = ("reference_model.config",)
"""Modules of the reference that hold sizes alone."""
