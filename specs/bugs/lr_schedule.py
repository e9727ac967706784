"""Known mistakes in the learning rate schedule."""

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
    KnownMistake("warm_up_from_the_floor", "Warm-up starts at the floor. It must start at 0.", lr_schedule, RISING, "return floor + (peak - floor) * step / warmup"),
    KnownMistake("warm_up_squared", "Warm-up rises with the square of the step. It must be linear.", lr_schedule, RISING, "return peak * (step / warmup) ** 2"),
    KnownMistake("warm_up_as_a_root", "Warm-up rises with the square root of the step. It must be linear.", lr_schedule, RISING, "return peak * (step / warmup) ** 0.5"),
    KnownMistake("warm_up_as_a_cosine", "Warm-up rises along a cosine. It must be linear.", lr_schedule, RISING, "return peak * 0.5 * (1.0 - math.cos(math.pi * step / warmup))"),
    KnownMistake("warm_up_one_step_too_long", "Warm-up divides by warmup + 1, so it does not reach the peak. Divide by warmup.", lr_schedule, RISING, "return peak * step / (warmup + 1)"),
    KnownMistake("warm_up_one_step_too_short", "Warm-up divides by warmup - 1, so it reaches the peak one step too early. Divide by warmup.", lr_schedule, RISING, "return peak * step / max(1, warmup - 1)"),
    KnownMistake("warm_up_by_the_total", "Warm-up divides by the total number of steps and then jumps to the peak. Divide by warmup.", lr_schedule, RISING, "return peak * step / total"),
    KnownMistake("warm_up_integer_division", "step // warmup is 0 throughout warm-up. Divide with /.", lr_schedule, RISING, "return peak * (step // warmup)", aliases=("warm_up_in_whole_numbers",)),
    KnownMistake("warm_up_multiplied_by_the_cosine", "Warm-up is multiplied by the cosine. The cosine starts after warm-up.",
        lr_schedule, RISING, "return peak * step / warmup * 0.5 * (1.0 + math.cos(math.pi * step / total))"),
    KnownMistake("warm_up_forgotten", "There is no warm-up: the first steps have the peak learning rate.", lr_schedule, RISING, "return peak"),
    KnownMistake("warm_up_at_the_floor", "The learning rate stays at the floor during warm-up. It must rise to the peak.", lr_schedule, RISING, "return floor"),
    KnownMistake("warm_up_falls", "Warm-up falls from the peak. It must rise to it.", lr_schedule, RISING, "return peak * (1 - step / warmup)"),
    KnownMistake("no_warm_up_divides_by_zero", "The comparison is <=: with warmup = 0 the first step divides 0 by 0. Use <.", lr_schedule, IN_WARMUP, "if step <= warmup:"),
    # the decay
    KnownMistake("progress_from_zero", "The decay counts from step 0. It must count from the end of warm-up.", lr_schedule, PROGRESS, "progress = step / max(1, total)"),
    KnownMistake("warm_up_left_in_the_length", "The decay divides by total, which includes warm-up: it ends above the floor. Divide by total - warmup.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / max(1, total)"),
    KnownMistake("decay_too_short", "warmup is subtracted twice from the length: the decay ends too early and the learning rate rises again.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / max(1, total - 2 * warmup)"),
    KnownMistake("decay_one_step_too_long", "The decay divides by one step too many: it does not reach the floor.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / max(1, total - warmup + 1)"),
    KnownMistake("decay_one_step_ahead", "The decay is one step ahead: the learning rate is already below the peak where warm-up ends.",
        lr_schedule, PROGRESS, "progress = (step - warmup + 1) / max(1, total - warmup)"),
    KnownMistake("progress_integer_division", "The progress is computed with //: it is 0 until the last step. Divide with /.", lr_schedule, PROGRESS, "progress = (step - warmup) // max(1, total - warmup)", aliases=("progress_in_whole_numbers",)),
    KnownMistake("no_decay_divides_by_zero", "With warmup = total the decay has length 0, and the progress divides by zero.",
        lr_schedule, PROGRESS, "progress = (step - warmup) / (total - warmup)"),
    KnownMistake("quarter_cosine", "The decay is a quarter of a cosine, cos(pi / 2 progress). It must be 0.5 (1 + cos(pi progress)).", lr_schedule, SHARE, "share = math.cos(0.5 * math.pi * progress)"),
    KnownMistake("whole_cosine", "The decay is a whole cosine: the learning rate returns to the peak. Use pi, not 2 pi.", lr_schedule, SHARE, "share = 0.5 * (1.0 + math.cos(2 * math.pi * progress))"),
    KnownMistake("pi_forgotten", "pi is missing in the cosine: the decay ends three quarters of the way up.", lr_schedule, SHARE, "share = 0.5 * (1.0 + math.cos(progress))"),
    KnownMistake("one_forgotten", "The 1 in 0.5 (1 + cos) is missing: the learning rate becomes negative.", lr_schedule, SHARE, "share = math.cos(math.pi * progress)"),
    KnownMistake("half_forgotten", "The factor 0.5 is missing: the decay starts at twice the peak.", lr_schedule, SHARE, "share = 1.0 + math.cos(math.pi * progress)"),
    KnownMistake("sign_of_the_cosine", "The decay uses 1 - cos, which rises. It must use 1 + cos.", lr_schedule, SHARE, "share = 0.5 * (1.0 - math.cos(math.pi * progress))"),
    KnownMistake("degrees", "The cosine is given degrees. It takes radians: use pi, not 180.", lr_schedule, SHARE, "share = 0.5 * (1.0 + math.cos(180.0 * progress))"),
    KnownMistake("exponential_decay", "The decay is exponential. It must be half a cosine.", lr_schedule, SHARE, "share = math.exp(-5.0 * progress)"),
    KnownMistake("no_decay", "There is no decay: after warm-up the learning rate stays at the peak.", lr_schedule, SHARE, "share = 1.0",
        also=(Edit(lr_schedule, ENDED, "return peak"),), looks_like=("variant=constant",), seen_in=("tier4/Diffusion-Planner#293",)),
    # the floor and after the end
    KnownMistake("decays_to_zero", "The cosine decays to 0, and the learning rate then jumps to the floor. It must decay to the floor.",
        lr_schedule, RESULT, "return share * peak"),
    KnownMistake("floor_as_a_lower_bound", "The cosine decays to 0 and is clamped at the floor. It must be scaled to run from the peak to the floor.",
        lr_schedule, RESULT, "return max(floor, share * peak)", aliases=("floor_as_a_bound",)),
    KnownMistake("floor_added", "The floor is added to the whole cosine: the decay starts above the peak. Scale the cosine by peak - floor.",
        lr_schedule, RESULT, "return floor + share * peak"),
    KnownMistake("floor_as_a_fraction_of_the_peak", "The floor is used as a fraction of the peak. It is a learning rate.", lr_schedule, RESULT, "return peak * (floor + share * (1.0 - floor))", aliases=("floor_as_a_share",)),
    KnownMistake("floor_forgotten_in_the_sum", "The cosine is scaled by peak - floor, but the floor is not added: the decay starts below the peak and ends at 0.",
        lr_schedule, RESULT, "return share * (peak - floor)"),
    KnownMistake("peak_and_floor_exchanged", "The peak and the floor are exchanged in the decay.", lr_schedule, RESULT, "return peak + share * (floor - peak)",
        looks_like=("sign_of_the_cosine",)),
    KnownMistake("rises_again", "The cosine does not stop at the end: the learning rate rises again. Every later step must have the floor.",
        lr_schedule, OVER, "if False:", seen_in=("Nerogar/OneTrainer#1604", "Tencent-Hunyuan/UniRL#223")),
    KnownMistake("back_to_the_peak", "After the end the learning rate is the peak. It must be the floor.", lr_schedule, ENDED, "return peak"),
    KnownMistake("zero_after_the_end", "After the end the learning rate is 0. It must be the floor.", lr_schedule, ENDED, "return 0.0"),
    KnownMistake("starts_over", "After the end the schedule starts over with warm-up. Every later step must have the floor.",
        lr_schedule, IN_WARMUP, "step = step % (total + 1)\nif step < warmup:"),
    KnownMistake("total_counted_after_warm_up", "The schedule ends at warmup + total. total includes warm-up.",
        lr_schedule, OVER, "total = total + warmup\nif step > total:"),
    KnownMistake("one_step_ahead", "Each step has the learning rate of the next one (the scheduler was stepped once before training).",
        lr_schedule, IN_WARMUP, "step = step + 1\nif step < warmup:"),
    KnownMistake("one_step_behind", "Each step has the learning rate of the one before.", lr_schedule, IN_WARMUP, "step = max(0, step - 1)\nif step < warmup:"),
    KnownMistake("stepped_twice", "The schedule runs twice as fast (the scheduler is stepped for each of two micro-batches).",
        lr_schedule, IN_WARMUP, "step = 2 * step\nif step < warmup:", seen_in=("tracel-ai/burn#5695", "EvolvingLMMs-Lab/OneVision-Encoder#82")),
    KnownMistake("peak_cached_across_calls", "The peak of the first call is cached and reused in every later call.",
        lr_schedule, IN_WARMUP, 'peak = lr_schedule.__dict__.setdefault("peak", peak)\nif step < warmup:', aliases=("first_peak_kept",)),
)
