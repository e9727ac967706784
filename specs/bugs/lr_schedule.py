"""Known mistakes in the schedule of the learning rate."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.lr_schedule import lr_schedule

IN_WARMUP = "if step < warmup:"
RISING = "return peak * step / warmup"
OVER = "if step > total:"
ENDED = "return floor"
PROGRESS = "progress = (step - warmup) / max(1, total - warmup)"
SHARE = "share = 0.5 * (1.0 + math.cos(math.pi * progress))"
RESULT = "return floor + share * (peak - floor)"

MISTAKES = (
    # warm-up
    KnownMistake("warm_up_from_the_floor", "Warm-up begins at the floor; it begins at 0.", lr_schedule, RISING, "return floor + (peak - floor) * step / warmup"),
    KnownMistake("warm_up_squared", "Warm-up rises with the square of the step; it rises evenly.", lr_schedule, RISING, "return peak * (step / warmup) ** 2"),
    KnownMistake("warm_up_as_a_root", "Warm-up rises with the root of the step; it rises evenly.", lr_schedule, RISING, "return peak * (step / warmup) ** 0.5"),
    KnownMistake("warm_up_as_a_cosine", "Warm-up rises along a cosine; it rises evenly.", lr_schedule, RISING, "return peak * 0.5 * (1.0 - math.cos(math.pi * step / warmup))"),
    KnownMistake("warm_up_one_step_too_long", "Warm-up divides by warmup + 1 and so does not arrive at the peak.", lr_schedule, RISING, "return peak * step / (warmup + 1)"),
    KnownMistake("warm_up_one_step_too_short", "Warm-up divides by warmup - 1: it is at the peak one step too early.", lr_schedule, RISING, "return peak * step / max(1, warmup - 1)"),
    KnownMistake("warm_up_by_the_total", "Warm-up divides by the total number of steps, then jumps to the peak.", lr_schedule, RISING, "return peak * step / total"),
    KnownMistake("warm_up_in_whole_numbers", "step // warmup is 0 all through warm-up: divide with /.", lr_schedule, RISING, "return peak * (step // warmup)"),
    KnownMistake("warm_up_multiplied_by_the_cosine", "Warm-up is multiplied by the cosine, which has not begun yet.",
        lr_schedule, RISING, "return peak * step / warmup * 0.5 * (1.0 + math.cos(math.pi * step / total))"),
    KnownMistake("warm_up_forgotten", "There is no warm-up: the first steps have the peak already.", lr_schedule, RISING, "return peak"),
    KnownMistake("warm_up_at_the_floor", "All of warm-up has the floor; it rises to the peak.", lr_schedule, RISING, "return floor"),
    KnownMistake("warm_up_falls", "Warm-up falls from the peak; it rises to it.", lr_schedule, RISING, "return peak * (1 - step / warmup)"),
    KnownMistake("no_warm_up_divides_by_zero", "The comparison is <=: without warm-up the first step divides 0 by 0.", lr_schedule, IN_WARMUP, "if step <= warmup:"),
    # the decay
    KnownMistake("progress_from_zero", "The decay counts from step 0; it begins where warm-up ends.", lr_schedule, PROGRESS, "progress = step / max(1, total)"),
    KnownMistake("warm_up_left_in_the_length", "The decay divides by all steps; warm-up's are no part of it: total - warmup. It ends above the floor.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / max(1, total)"),
    KnownMistake("decay_too_short", "Warm-up is taken off the length twice: the decay is over too early and turns round.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / max(1, total - 2 * warmup)"),
    KnownMistake("decay_one_step_too_long", "The decay divides by one step too many: it does not arrive at the floor.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / max(1, total - warmup + 1)"),
    KnownMistake("decay_one_step_ahead", "The decay begins one step in: where warm-up ends the rate is below the peak already.",
        lr_schedule, PROGRESS, "progress = (step - warmup + 1) / max(1, total - warmup)"),
    KnownMistake("progress_in_whole_numbers", "// is 0 until the last step: divide with /.", lr_schedule, PROGRESS, "progress = (step - warmup) // max(1, total - warmup)"),
    KnownMistake("no_decay_divides_by_zero", "Where warm-up is the whole run, the length of the decay is 0 and is divided by.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / (total - warmup)"),
    KnownMistake("linear_decay", "The decay is a straight line; it is half a cosine.", lr_schedule, SHARE, "share = 1.0 - progress"),
    KnownMistake("quarter_cosine", "A quarter of a cosine: cos(pi / 2 progress). It must be 0.5 (1 + cos(pi progress)).", lr_schedule, SHARE, "share = math.cos(0.5 * math.pi * progress)"),
    KnownMistake("whole_cosine", "A whole cosine: the rate comes back to the peak. pi in place of 2 pi.", lr_schedule, SHARE, "share = 0.5 * (1.0 + math.cos(2 * math.pi * progress))"),
    KnownMistake("pi_forgotten", "pi is missing in the cosine: the rate ends at three quarters of the way up.", lr_schedule, SHARE, "share = 0.5 * (1.0 + math.cos(progress))"),
    KnownMistake("one_forgotten", "The 1 is missing in 0.5 (1 + cos): the rate becomes negative.", lr_schedule, SHARE, "share = math.cos(math.pi * progress)"),
    KnownMistake("half_forgotten", "The factor 0.5 is missing: the decay begins at twice the peak.", lr_schedule, SHARE, "share = 1.0 + math.cos(math.pi * progress)"),
    KnownMistake("sign_of_the_cosine", "1 - cos rises; it is 1 + cos.", lr_schedule, SHARE, "share = 0.5 * (1.0 - math.cos(math.pi * progress))"),
    KnownMistake("degrees", "The cosine is given degrees; it wants radians: pi in place of 180.", lr_schedule, SHARE, "share = 0.5 * (1.0 + math.cos(180.0 * progress))"),
    KnownMistake("exponential_decay", "The decay is exponential; it is half a cosine.", lr_schedule, SHARE, "share = math.exp(-5.0 * progress)"),
    KnownMistake("no_decay", "After warm-up the rate stays at the peak: nothing decays.", lr_schedule, SHARE, "share = 1.0",
        also=(Edit(lr_schedule, ENDED, "return peak"),), seen_in=("tier4/Diffusion-Planner#293",)),
    # the floor and after the end
    KnownMistake("decays_to_zero", "The cosine goes down to 0 and the rate jumps up to the floor afterwards; it must go down to the floor.",
        lr_schedule, RESULT, "return share * peak"),
    KnownMistake("floor_as_a_bound", "The cosine goes down to 0 and is cut off at the floor; it must be stretched between peak and floor.",
        lr_schedule, RESULT, "return max(floor, share * peak)"),
    KnownMistake("floor_added", "The floor is added to all of it: the decay begins above the peak. Scale by peak - floor.",
        lr_schedule, RESULT, "return floor + share * peak"),
    KnownMistake("floor_as_a_share", "The floor is taken for a share of the peak; it is a rate.", lr_schedule, RESULT, "return peak * (floor + share * (1.0 - floor))"),
    KnownMistake("floor_forgotten_in_the_sum", "The range is scaled but the floor is not added: the rate begins below the peak and ends at 0.",
        lr_schedule, RESULT, "return share * (peak - floor)"),
    KnownMistake("peak_and_floor_exchanged", "Peak and floor are exchanged in the decay.", lr_schedule, RESULT, "return peak + share * (floor - peak)",
        looks_like=("sign_of_the_cosine",)),
    KnownMistake("rises_again", "Nothing stops the cosine at the end: the rate rises again. Every later step has the floor.",
        lr_schedule, OVER, "if False:", seen_in=("Nerogar/OneTrainer#1604", "Tencent-Hunyuan/UniRL#223")),
    KnownMistake("back_to_the_peak", "After the end the rate is back at the peak; it is the floor.", lr_schedule, ENDED, "return peak"),
    KnownMistake("zero_after_the_end", "After the end the rate is 0; it is the floor.", lr_schedule, ENDED, "return 0.0"),
    KnownMistake("starts_over", "After the end the schedule starts over, with warm-up; every later step has the floor.",
        lr_schedule, IN_WARMUP, "step = step % (total + 1)\nif step < warmup:"),
    KnownMistake("total_counted_after_warm_up", "The end is taken to be warmup + total; total counts from the first step of warm-up.",
        lr_schedule, OVER, "total = total + warmup\nif step > total:"),
    KnownMistake("one_step_ahead", "Each step has the rate of the next (the scheduler was stepped once before training).",
        lr_schedule, IN_WARMUP, "step = step + 1\nif step < warmup:"),
    KnownMistake("one_step_behind", "Each step has the rate of the one before.", lr_schedule, IN_WARMUP, "step = max(0, step - 1)\nif step < warmup:"),
    KnownMistake("stepped_twice", "The schedule runs twice as fast (the scheduler is stepped for each of two micro-batches).",
        lr_schedule, IN_WARMUP, "step = 2 * step\nif step < warmup:", seen_in=("tracel-ai/burn#5695", "EvolvingLMMs-Lab/OneVision-Encoder#82")),
    KnownMistake("first_peak_kept", "The peak of the first call is kept for every later one.",
        lr_schedule, IN_WARMUP, 'peak = lr_schedule.__dict__.setdefault("peak", peak)\nif step < warmup:'),
)
