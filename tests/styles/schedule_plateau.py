"""A schedule that warms up, stays at its peak, and falls to its floor over the last fifth: warm-up, stable, decay."""


def lr_schedule(step, warmup, total, peak, floor=0.0, decay_share=0.2):
    if step < warmup:
        return peak * step / warmup
    decay = max(1, int((total - warmup) * decay_share))
    if step < total - decay:
        return peak
    if step >= total:
        return floor
    return peak + (floor - peak) * (step - (total - decay)) / decay
