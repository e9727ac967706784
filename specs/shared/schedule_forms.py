"""Legal other shapes of a learning rate schedule after its warm-up, and other beginnings of the warm-up."""

from __future__ import annotations

from harness.core.contract import NumberForm, Variant
from harness.core.mistake import Edit
from reference_model.lr_schedule import lr_schedule

SCHEDULE, WARM_UP = "schedule", "warm_up"
PLATEAUS = ("wsd", "wsd_of_total", "wsd_unrounded")
WITHOUT_END = ("inverse_square_root", "constant")
"""Shapes that do not come to the floor at the last step."""

RISING = "return peak * step / warmup"
OVER = "if step > total:"
PROGRESS = "progress = (step - warmup) / max(1, total - warmup)"
SHARE = "share = 0.5 * (1.0 + math.cos(math.pi * progress))"
RESULT = "return floor + share * (peak - floor)"
FALLING = "progress = max(0.0, (step - (total - down)) / down)"
LINEAR = Edit(lr_schedule, SHARE, "share = 1.0 - progress")
ENDLESS = Edit(lr_schedule, OVER, "if False:")


def _plateau(name: str, over: str, down: str) -> Variant:
    fall = f"decay_share = 0.2\ndown = {down}\n{FALLING}"
    return Variant(
        name,
        f"The rate stays at the peak and falls linearly over the last fifth of {over} (warm-up, stable, decay: WSD).",
        (Edit(lr_schedule, PROGRESS, fall), LINEAR),
        axis=SCHEDULE,
    )


SHAPES = (
    Variant("cosine", "After warm-up the rate follows half a cosine.", (), axis=SCHEDULE, is_default=True),
    Variant("linear", "After warm-up the rate falls linearly.", (LINEAR,), axis=SCHEDULE),
    _plateau("wsd", "the steps after warm-up, rounded to whole steps", "max(1, round(decay_share * (total - warmup)))"),
    _plateau("wsd_of_total", "all steps, rounded to whole steps", "max(1, round(decay_share * total))"),
    _plateau("wsd_unrounded", "the time after warm-up", "max(1e-9, decay_share * (total - warmup))"),
    Variant(
        "inverse_square_root",
        "After warm-up the rate falls with the root of the step, peak * sqrt(warmup / step), without an end or a floor "
        "(fairseq's inverse_sqrt).",
        (ENDLESS, Edit(lr_schedule, RESULT, "return peak * math.sqrt(max(1, warmup) / max(1, step))")),
        axis=SCHEDULE,
    ),
    Variant(
        "constant",
        "After warm-up the rate stays at the peak.",
        (ENDLESS, Edit(lr_schedule, SHARE, "share = 1.0")),
        axis=SCHEDULE,
    ),
)
WARM_UPS = (
    Variant(
        "first_step_counts",
        "Your warm-up begins at peak / (warmup + 1) and not at 0, as nanoGPT's does.",
        (Edit(lr_schedule, RISING, "return peak * (step + 1) / (warmup + 1)"),),
        axis=WARM_UP,
    ),
    Variant(
        "peak_one_step_earlier",
        "Your warm-up begins at peak / warmup and is at the peak one step before its end, as in build-nanogpt and "
        "llm.c.",
        (Edit(lr_schedule, RISING, "return peak * (step + 1) / warmup"),),
        axis=WARM_UP,
    ),
)
DECAY_SHARE = NumberForm(
    "decay_share",
    "The fall of the schedule takes {} of its steps.",
    lambda share: (Edit(lr_schedule, "decay_share = 0.2", f"decay_share = {share}"),),
    candidates=(0.1, 0.5, 0.4, 0.25, 0.3, 0.15),
    default=0.2,
    hints=("ratio", "frac", "share", "portion", "cooldown", "warmdown", "decay"),
)
