"""The learning rate over a training run."""

import math


def lr_schedule(step: int, warmup: int, total: int, peak: float, floor: float = 0.0) -> float:
    """Linear warm-up to peak, then half a cosine down to floor, then floor.  -> the rate of this step

    Steps count from 0: the first has the rate 0 where there is warm-up, step `warmup` has peak, step `total` has floor,
    and so has every later one.  Without warm-up step 0 has peak; where warm-up is all there is, step `total` has peak.
    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts; warm-up: Vaswani et al. 2017, section 5.3;
    Radford et al. 2018, section 4.1; transformers get_cosine_schedule_with_warmup is this with floor 0.
    """
    if step < warmup:
        return peak * step / warmup
    if step > total:
        return floor
    progress = (step - warmup) / max(1, total - warmup)
    share = 0.5 * (1.0 + math.cos(math.pi * progress))
    return floor + share * (peak - floor)
