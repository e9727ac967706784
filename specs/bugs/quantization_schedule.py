"""Known mistakes in the schedule of widths."""

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
    KnownMistake("one_step_too_late", "The step on the boundary still has the old width: of 10 steps, five are in 16 bits. It is step < 0.4 total.",
        quantization_schedule, REACHED, "if step > begin:", looks_like=("variant=steps_from_one",)),
    KnownMistake("one_step_too_early", "The switch is one step early: step + 1 is compared with the boundary.", quantization_schedule, REACHED, "if step + 1 >= begin:"),
    KnownMistake("counted_from_the_end", "40 % is what is left when the width changes; it is what is done.", quantization_schedule, BEGIN,
        "begin = math.ceil((1 - share) * total_steps - 1e-9)"),
    KnownMistake("share_as_percent", "The share is divided by 100 once more: training is in few bits from its first steps on.", quantization_schedule, BEGIN,
        "begin = math.ceil(share / 100 * total_steps - 1e-9)"),
    KnownMistake("at_a_fixed_step", "The width changes at a fixed step (8, which is 40 % of 20), however long the run is.", quantization_schedule, BEGIN,
        "begin = math.ceil(20 * share)"),
    KnownMistake("half_of_training", "The boundary is at half of training; it was to be elsewhere.", quantization_schedule, BEGIN, "begin = math.ceil(0.5 * total_steps - 1e-9)"),
    KnownMistake("boundaries_ignored", "The boundary is always at 40 %, whatever was configured.", quantization_schedule, BEGIN,
        "begin = math.ceil(0.4 * total_steps - 1e-9)"),
    KnownMistake("divides_by_the_length", "step / total_steps divides by zero in a run of no steps (evaluation only, an empty loader).", quantization_schedule,
        REACHED, "if step / total_steps >= share:"),
    KnownMistake("shares_in_whole_numbers", "step // total_steps is 0 until the end: divide with /.", quantization_schedule, REACHED,
        "if step // max(1, total_steps) >= share:"),
    KnownMistake("boundaries_as_lengths", "Boundaries are taken for the lengths of the phases and added up; each is a share of the whole run.",
        quantization_schedule, BEGIN, "begin = math.ceil(sum(s for s in boundaries if s <= share) * total_steps - 1e-9)"),
    KnownMistake("first_boundary_for_all", "Every level is compared with the first boundary: the widths between the first and the last are never used.",
        quantization_schedule, BEGIN, "begin = math.ceil(boundaries[0] * total_steps - 1e-9)", looks_like=("last_width_at_once",)),
    KnownMistake("counts_steps_left_over", "The first boundary is right, each later one is taken as a share of what is left after it.", quantization_schedule, BEGIN,
        "begin = math.ceil((share if share == boundaries[0] else boundaries[0] + share * (1 - boundaries[0])) * total_steps - 1e-9)"),
    # the levels
    KnownMistake("never_switches", "The second phase never begins: what should switch it on leaves it off.", quantization_schedule, REACHED, "if False:",
        seen_in=("pytorch/pytorch#27113",)),
    KnownMistake("always_narrow", "There is no first phase: training is in few bits from the first step on.", quantization_schedule, REACHED, "if True:"),
    KnownMistake("widths_exchanged", "The widths are exchanged: few bits first, many at the end. Training settles in many bits first.", quantization_schedule, RESULT,
        "return bits[-1 - level]"),
    KnownMistake("narrow_for_one_step", "The comparison is ==: few bits for one step, then many again.", quantization_schedule, REACHED, "if step == begin:"),
    KnownMistake("one_switch_only", "After the first switch nothing changes any more: the level is set to 1, not counted up.", quantization_schedule, NEXT, "level = 1"),
    KnownMistake("last_width_at_once", "The first boundary leads to the last width at once; each leads to the next one.", quantization_schedule, NEXT,
        "level = len(boundaries)", looks_like=("first_boundary_for_all",)),
    KnownMistake("bits_ignored", "The widths are always 16 and 8, whatever was configured.", quantization_schedule, RESULT, "return (16, 8)[min(level, 1)]"),
    KnownMistake("falls_evenly", "The bits fall step by step from the first width to the last; they change at boundaries only.", quantization_schedule, RESULT,
        "return round(bits[0] + (bits[-1] - bits[0]) * min(1.0, step / max(1, total_steps)))"),
    KnownMistake("halved_at_boundaries", "Each boundary halves the bits; the widths are the ones that were configured.", quantization_schedule, RESULT,
        "return bits[0] // 2**level"),
    KnownMistake("bytes_for_bits", "It returns bytes, not bits.", quantization_schedule, RESULT, "return bits[level] // 8"),
    KnownMistake("level_for_bits", "It returns the number of the level, not its bits.", quantization_schedule, RESULT, "return level"),
    # the end, and other runs
    KnownMistake("wide_after_the_end", "After the last step the width is the first again (evaluation and export run in another width than training ended in).",
        quantization_schedule, RESULT, "return bits[level] if step < max(1, total_steps) else bits[0]"),
    KnownMistake("starts_over", "After the last step the schedule starts over; every later step has the last width.", quantization_schedule, START,
        "step = step % max(1, total_steps)\nlevel = 0"),
    KnownMistake("each_call_is_a_step", "Every call moves the schedule on, whatever the step: a run that asks twice a step goes through it twice as fast.",
        quantization_schedule, START, f'step = {KEPT}["calls"] = {KEPT}.get("calls", -1) + 1\nlevel = 0', seen_in=("Mxbonn/INQ-pytorch#8",)),
    KnownMistake("counts_from_the_resumption", "Steps are counted from the first one that was asked for: a resumed run is in many bits again.",
        quantization_schedule, START, f'step = step - min(step, {KEPT}.setdefault("start", step))\nlevel = 0', looks_like=("never_switches",)),
    KnownMistake("switched_for_good", "Once few bits were reached they are kept in a global for every later run too.", quantization_schedule, RESULT,
        f'level = {KEPT}["level"] = max(level, {KEPT}.get("level", 0))\nreturn bits[min(level, len(boundaries))]'),
    KnownMistake("first_length_kept", "The length of the first run is kept for every later one.", quantization_schedule, START,
        f'total_steps = {KEPT}.setdefault("total", total_steps)\nlevel = 0'),
)
