"""Known mistakes in the schedule of bit widths."""

from harness.core.mistake import KnownMistake
from reference_model.quantization_schedule import quantization_schedule

START = "level = 0"
BEGIN = "begin = math.ceil(share * total_steps - 1e-9)"
REACHED = "if step >= begin:"
NEXT = "level += 1"
RESULT = "return bits[level]"
KEPT = "quantization_schedule.__dict__"

MISTAKES = (
    # the boundary
    KnownMistake("switches_one_step_too_late", "The step on the boundary still has the old bit width: of 10 steps, five use 16 bits. Compare step < 0.4 * total_steps.",
        quantization_schedule, REACHED, "if step > begin:", looks_like=("variant=steps_from_one",), aliases=("one_step_too_late",)),
    KnownMistake("switches_one_step_too_early", "The bit width changes one step too early: step + 1 is compared with the boundary. Compare step.", quantization_schedule, REACHED, "if step + 1 >= begin:", aliases=("one_step_too_early",)),
    KnownMistake("boundary_is_the_remaining_fraction", "The boundary is taken as the fraction of training that remains. It is the fraction that is done.", quantization_schedule, BEGIN,
        "begin = math.ceil((1 - share) * total_steps - 1e-9)", aliases=("counted_from_the_end",)),
    KnownMistake("boundary_divided_by_100", "The boundary is divided by 100, as if it were a percentage: low precision starts almost at once. It is a fraction already.", quantization_schedule, BEGIN,
        "begin = math.ceil(share / 100 * total_steps - 1e-9)", aliases=("share_as_percent",)),
    KnownMistake("boundary_at_a_fixed_step", "The bit width changes at a fixed step (8, which is 40 % of 20), whatever the length of the run.", quantization_schedule, BEGIN,
        "begin = math.ceil(20 * share)", aliases=("at_a_fixed_step",)),
    KnownMistake("boundary_fixed_at_half", "The boundary is fixed at half of training. It is an argument.", quantization_schedule, BEGIN, "begin = math.ceil(0.5 * total_steps - 1e-9)", aliases=("half_of_training",)),
    KnownMistake("boundaries_ignored", "The boundaries argument is ignored: the boundary is always at 40 %.", quantization_schedule, BEGIN,
        "begin = math.ceil(0.4 * total_steps - 1e-9)"),
    KnownMistake("zero_steps_divide_by_zero", "step / total_steps divides by zero in a run of no steps (evaluation only, or an empty loader).", quantization_schedule,
        REACHED, "if step / total_steps >= share:", aliases=("divides_by_the_length",)),
    KnownMistake("integer_division", "step // total_steps is 0 until the end of training. Use true division (/).", quantization_schedule, REACHED,
        "if step // max(1, total_steps) >= share:", aliases=("shares_in_whole_numbers",)),
    KnownMistake("boundaries_as_phase_lengths", "Boundaries are summed as if they were the lengths of phases. Each is a fraction of the whole run.",
        quantization_schedule, BEGIN, "begin = math.ceil(sum(s for s in boundaries if s <= share) * total_steps - 1e-9)", aliases=("boundaries_as_lengths",)),
    KnownMistake("first_boundary_for_all", "Every level is compared with the first boundary: the bit widths between the first and the last are never used.",
        quantization_schedule, BEGIN, "begin = math.ceil(boundaries[0] * total_steps - 1e-9)", looks_like=("jumps_to_the_last_width",)),
    KnownMistake("boundaries_of_the_remaining_steps", "Later boundaries are taken as fractions of the steps after the first boundary. Each is a fraction of the whole run.", quantization_schedule, BEGIN,
        "begin = math.ceil((share if share == boundaries[0] else boundaries[0] + share * (1 - boundaries[0])) * total_steps - 1e-9)", aliases=("counts_steps_left_over",)),
    # the levels
    KnownMistake("never_switches", "The second phase never begins: low precision is never switched on.", quantization_schedule, REACHED, "if False:",
        seen_in=("pytorch/pytorch#27113",)),
    KnownMistake("starts_at_low_precision", "There is no first phase: low precision starts at the first step.", quantization_schedule, REACHED, "if True:", aliases=("always_narrow",)),
    KnownMistake("bit_widths_reversed", "The bit widths are reversed: low precision first, high precision last. Training must start at high precision.", quantization_schedule, RESULT,
        "return bits[-1 - level]", aliases=("widths_exchanged",)),
    KnownMistake("low_precision_for_one_step", "The comparison is ==: low precision lasts one step, then high precision returns. Use >=.", quantization_schedule, REACHED, "if step == begin:", aliases=("narrow_for_one_step",)),
    KnownMistake("one_switch_only", "After the first boundary the bit width never changes again: the level is set to 1. Increment it.", quantization_schedule, NEXT, "level = 1"),
    KnownMistake("jumps_to_the_last_width", "The first boundary jumps to the last bit width. Each boundary leads to the next width.", quantization_schedule, NEXT,
        "level = len(boundaries)", looks_like=("first_boundary_for_all",), aliases=("last_width_at_once",)),
    KnownMistake("bits_ignored", "The bits argument is ignored: the bit widths are always 16 and 8.", quantization_schedule, RESULT, "return (16, 8)[min(level, 1)]"),
    KnownMistake("bits_interpolated", "The bit width falls linearly from the first to the last. It must change only at the boundaries.", quantization_schedule, RESULT,
        "return round(bits[0] + (bits[-1] - bits[0]) * min(1.0, step / max(1, total_steps)))", aliases=("falls_evenly",)),
    KnownMistake("bits_halved_at_boundaries", "Each boundary halves the bit width. The bit widths are an argument.", quantization_schedule, RESULT,
        "return bits[0] // 2**level", aliases=("halved_at_boundaries",)),
    KnownMistake("bytes_for_bits", "The function returns bytes. It must return bits.", quantization_schedule, RESULT, "return bits[level] // 8"),
    KnownMistake("level_returned", "The function returns the index of the level. It must return the bits of that level.", quantization_schedule, RESULT, "return level", aliases=("level_for_bits",)),
    # after the end, and across runs
    KnownMistake("first_width_after_the_end", "After the last step the first bit width returns (evaluation and export then use another precision than the end of training).",
        quantization_schedule, RESULT, "return bits[level] if step < max(1, total_steps) else bits[0]", aliases=("wide_after_the_end",)),
    KnownMistake("starts_over", "After the last step the schedule starts over. Every later step has the last bit width.", quantization_schedule, START,
        "step = step % max(1, total_steps)\nlevel = 0"),
    KnownMistake("calls_counted_as_steps", "Every call advances the schedule, whatever the step: a run that calls twice a step goes through it twice as fast.",
        quantization_schedule, START, f'step = {KEPT}["calls"] = {KEPT}.get("calls", -1) + 1\nlevel = 0', seen_in=("Mxbonn/INQ-pytorch#8",), aliases=("each_call_is_a_step",)),
    KnownMistake("resumed_run_counts_from_zero", "Steps are counted from the first one requested: a resumed run returns to high precision.",
        quantization_schedule, START, f'step = step - min(step, {KEPT}.setdefault("start", step))\nlevel = 0', looks_like=("never_switches",), aliases=("counts_from_the_resumption",)),
    KnownMistake("low_precision_kept_for_later_runs", "Once low precision is reached, a global keeps it for every later run.", quantization_schedule, RESULT,
        f'level = {KEPT}["level"] = max(level, {KEPT}.get("level", 0))\nreturn bits[min(level, len(boundaries))]', aliases=("switched_for_good",)),
    KnownMistake("total_steps_cached_across_calls", "total_steps of the first run is cached and used for every later run.", quantization_schedule, START,
        f'total_steps = {KEPT}.setdefault("total", total_steps)\nlevel = 0', aliases=("first_length_kept",)),
)
