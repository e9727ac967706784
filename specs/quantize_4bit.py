"""Quantization to four bits: the codes of a codebook, in blocks with the largest absolute value as their scale.

A quantizer may number its codes as it likes, keep its scales as it likes (any shape, dtype or object) and refuse blocks
that no kernel has. It promises that every number comes back as the nearest of the codebook's sixteen, that two codes
share a byte, and which of the two comes first, because stored weights depend on it.
"""

from __future__ import annotations

import torch

from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.measurement import Measure
from harness.core.mistake import Edit
from harness.strategies.tensors import make
from reference_model.quantize_4bit import code_book, pack, quantize_4bit, unpack
from specs.shared import four_bit
from specs.shared.four_bit import FOUR_BIT, CodebookBound, packed_of
from specs.shared.quantization import dtypes, within
from specs.shared.quantizers import given
from specs.workloads import quantizers as workloads


@claim(
    "every number is dequantized to the nearest codebook value times its block's absolute maximum",
    broken_by="evenly_spaced_codes",
    aliases=("comes_back_as_the_nearest_code",),
)
def rounds_to_the_nearest_code(trial: Trial) -> None:
    """Each result is a number of the codebook, and no other is nearer."""
    for dtype in dtypes(trial):
        out = FOUR_BIT.run(trial, dtype=dtype)
        bound = CodebookBound(trial, trial.case, dtype, out)
        kind = given(trial.case)["kind"]
        what = f"a number is not dequantized to the nearest {kind} code times its block's absolute maximum"
        trial.note_error(within(out, bound.x, bound.error, what, bound.unavoidable))
        what = f"a dequantized number is not in the {kind} codebook times its block's absolute maximum"
        trial.note_error(within(bound.off_the_book, torch.zeros_like(bound.x), bound.error, what))


@claim(
    "two codes share a byte; an odd last code takes a byte of its own",
    broken_by="one_code_per_byte",
    max_cases=12,
    aliases=("two_codes_fill_a_byte",),
)
def two_codes_per_byte(trial: Trial) -> None:
    count, found = given(trial.case)["x"].numel(), packed_of(trial).numel()
    expected = (count + 1) // 2
    if found != expected:
        raise Violation(f"packed holds {found} bytes for {count} numbers; expected {expected}, two codes per byte")


@claim(
    "the first of two codes is in the high nibble of their byte",
    broken_by="halves_of_the_tensor_packed_together",
    max_cases=6,
    aliases=("first_of_two_is_in_the_high_half",),
)
def first_code_in_the_high_nibble(trial: Trial) -> None:
    four_bit.check_order_of_nibbles(trial)


@claim(
    "zero is dequantized to exactly zero",
    broken_by="evenly_spaced_codes",
    max_cases=12,
    aliases=("zero_comes_back_exactly",),
)
def zero_is_exact(trial: Trial) -> None:
    """Padding and masks are full of zeros; both codebooks have one."""
    FOUR_BIT.check_zeros(trial)


@claim(
    "a block of zeros is dequantized to zeros",
    broken_by="scale_without_guard",
    max_cases=12,
    aliases=("empty_blocks_give_zeros",),
)
def all_zero_blocks_give_zeros(trial: Trial) -> None:
    FOUR_BIT.check_groups_of_zeros(trial)


@claim(
    "within a block a larger number is never dequantized to a smaller one",
    broken_by="fp4_bits_read_as_an_integer",
    max_cases=16,
    aliases=("order_is_kept",),
)
def monotonic(trial: Trial) -> None:
    FOUR_BIT.check_order(trial)


@claim(
    "quantizing the dequantized numbers again gives the same numbers",
    broken_by="scale_twice",
    max_cases=12,
    aliases=("quantizing_again_changes_nothing",),
)
def idempotent(trial: Trial) -> None:
    """Dequantized numbers lie on codes, the largest of a block on 1 or -1: they get the same codes again."""
    first = FOUR_BIT.run(trial)
    second = FOUR_BIT.run(trial, FOUR_BIT.changed(trial.case, x=first.to(trial.dtype)))
    bound = FOUR_BIT.bound_of(trial)
    allowed = bound.error + 4 * bound.same()
    trial.note_error(within(second, first, allowed, "quantizing the dequantized numbers again changes them"))


@claim(
    "an outlier affects only its own block",
    broken_by="one_scale_for_all",
    max_cases=16,
    aliases=("outliers_stay_in_their_block",),
)
def outliers_affect_only_their_block(trial: Trial) -> None:
    FOUR_BIT.check_outliers(trial)


@claim(
    "each block has its own scale, a short last block too",
    broken_by="last_block_dropped",
    cases=four_bit.short_block_cases,
    max_cases=10,
    aliases=("blocks_are_quantized_alone",),
)
def blocks_are_independent(trial: Trial) -> None:
    FOUR_BIT.check_blocks(trial)


@claim(
    "magnitudes from 1e-30 to 1e30 are quantized as accurately",
    broken_by="scale_in_float16",
    cases=four_bit.size_cases,
    max_cases=10,
    aliases=("every_size_is_kept",),
)
def handles_any_magnitude(trial: Trial) -> None:
    """Largest numbers from 1e-30 to 1e30 in float32 and float64. Nothing is flushed to zero."""
    size = float(given(trial.case)["x"].abs().max())
    FOUR_BIT.check_error(trial, what=f"with a largest number of {size:.0e}")


@claim(
    "every number gets its nearest code at block sizes from 32 to 4096",
    broken_by="packed_byte_not_cleared",
    cases=four_bit.large_block_cases,
    max_cases=8,
    aliases=("every_block_size_is_as_good",),
)
def accurate_at_every_block_size(trial: Trial) -> None:
    FOUR_BIT.check_error(trial, what=f"in blocks of {given(trial.case)['block']}")


@claim(
    "transposed, strided and expanded inputs give the same numbers",
    broken_by="blocks_in_memory_order",
    max_cases=10,
    aliases=("layout_does_not_matter",),
)
def independent_of_memory_layout(trial: Trial) -> None:
    """Blocks run in the order of the numbers, not of the memory."""
    FOUR_BIT.check_memory_layout(trial)


@claim(
    "bfloat16 and float16 inputs are dequantized as accurately, up to two roundings",
    broken_by="reciprocal_in_half_precision",
    cases=four_bit.half_cases,
    max_cases=10,
    aliases=("half_precision_is_kept",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    FOUR_BIT.check_half_precision(trial, roundings=2)


@claim(
    "a NaN or infinity is refused, or affects only its own block",
    broken_by="nan_spreads_to_all_blocks",
    max_cases=16,
    aliases=("a_nan_stays_in_its_block",),
)
def nan_affects_only_its_block(trial: Trial) -> None:
    FOUR_BIT.check_bad_numbers(trial)


@claim(
    "dequantize uses only its arguments and does not modify them",
    broken_by="scale_cached_across_calls",
    max_cases=10,
    aliases=("nothing_is_kept_between_calls",),
)
def no_state_between_calls(trial: Trial) -> None:
    FOUR_BIT.check_no_state(trial)


@claim(
    "double quantization raises the error to at most 1.05 times that of plain scales",
    broken_by="scale_mean_not_added_back",
    cases=four_bit.weight_cases,
    max_cases=6,
)
def double_quantization_costs_little(trial: Trial) -> None:
    """As root mean square over a normal weight."""
    four_bit.check_error_of_double_quantization(trial)


@claim(
    "double quantization takes less memory than plain scales",
    broken_by="double_ignored",
    cases=four_bit.weight_cases,
    max_cases=1,
)
def double_quantization_saves_memory(trial: Trial) -> None:
    """What quantize() returns for a large weight is smaller with double quantization than without."""
    x = make("normal", (64 * 1024,), 7)
    double, plain = (four_bit.returned_bytes(trial, x, double) for double in (True, False))
    if not double < plain:
        raise Violation(f"with double quantization 65,536 numbers take {double:,.0f} bytes, without it {plain:,.0f}")


CONTRACT = Contract(
    name="quantize_4bit",
    meaning="4-bit quantization with the NF4 or FP4 codebook: two codes per byte and one scale per block.",
    calls={
        "build": Signature((), "the quantizer"),
        "quantize": Signature(
            (
                Argument("x", "float[...]"),
                Argument("block", "int", "setting", optional=True, default=64),
                Argument("kind", "str", "setting", optional=True, default="nf4"),
                Argument("double", "bool", "setting", optional=True, default=False),
            ),
            "(packed: uint8[ceil(numel / 2)], scale)",
        ),
        "dequantize": Signature(
            (
                Argument("packed", "uint8[...]"),
                Argument("scale", "what quantize() returned"),
                Argument("shape", "the shape of x", "setting"),
                Argument("block", "int", "setting", optional=True, default=64),
                Argument("kind", "str", "setting", optional=True, default="nf4"),
            ),
            "float[...]",
        ),
    },
    reference=quantize_4bit,
    cases=four_bit.cases,
    invalid=four_bit.invalid_cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    order=91,
    headline=True,
    case_count=24,
    variants=(
        Variant(
            "low_half_first",
            "You put the first of two numbers in the low half of a byte, as ggml and many kernels do; bitsandbytes has "
            "it in the high.",
            (
                Edit(pack, "packed = first * 16 + second", "packed = second * 16 + first"),
                Edit(unpack, "pairs = torch.stack([first, second], -1)", "pairs = torch.stack([second, first], -1)"),
            ),
        ),
        Variant(
            "e2m1",
            "Your smallest FP4 number is 1/12 of the largest, as in the E2M1 format; bitsandbytes has 1/192.",
            (Edit(code_book, "smallest = 0.0625", "smallest = 1.0"),),
        ),
    ),
    measures=(Measure("memory", "bits per number, scales included", four_bit.memory),),
    sources=(
        "Dettmers et al. 2023 (QLoRA), section 3 and appendix E",
        "bitsandbytes functional.py quantize_4bit, dequantize_4bit",
    ),
    workloads=workloads.NF4_BLOCKS,
    claims=(
        rounds_to_the_nearest_code,
        two_codes_per_byte,
        first_code_in_the_high_nibble,
        zero_is_exact,
        all_zero_blocks_give_zeros,
        monotonic,
        idempotent,
        outliers_affect_only_their_block,
        blocks_are_independent,
        handles_any_magnitude,
        accurate_at_every_block_size,
        independent_of_memory_layout,
        accurate_in_half_precision,
        nan_affects_only_its_block,
        no_state_between_calls,
        double_quantization_costs_little,
        double_quantization_saves_memory,
    ),
)
