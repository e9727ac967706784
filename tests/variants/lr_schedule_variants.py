"""Right schedules that differ in how they get there; none of them may fail a claim."""

import math

import numpy
import torch


def schedule_as_in_cs336(step, warmup, total, peak, floor):
    if step < warmup:
        return step / warmup * peak
    elif step <= total:
        done = (step - warmup) / (total - warmup) if total > warmup else 1.0
        return floor + 0.5 * (1 + math.cos(done * math.pi)) * (peak - floor)
    return floor


def schedule_of_shares(step, warmup, total, peak, floor=0.0):
    """A share of the peak first, as LambdaLR wants it."""
    if step < warmup:
        return peak * (float(step) / float(max(1, warmup)))
    done = min(1.0, float(step - warmup) / float(max(1, total - warmup)))
    share = 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * done))
    return peak * (floor / peak + (1 - floor / peak) * share)


def schedule_without_a_floor(step, warmup, total, peak):
    """As in transformers: it ends at 0, and is judged without cases that have a floor."""
    if step < warmup:
        return peak * step / max(1, warmup)
    return peak * max(0.0, 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup)))))


def schedule_by_squared_cosine(step, warmup, total, peak, floor):
    if step < warmup:
        return peak * step / warmup
    done = 1.0 if step > total else (step - warmup) / max(total - warmup, 1)
    return floor + (peak - floor) * math.cos(done * math.pi / 2) ** 2


def schedule_in_numpy(step, warmup, total, peak, floor):
    rising = peak * step / max(warmup, 1)
    done = numpy.clip((step - warmup) / max(total - warmup, 1), 0, 1)
    falling = floor + 0.5 * (peak - floor) * (1 + numpy.cos(numpy.pi * done))
    return numpy.where(step < warmup, rising, falling)[()]


def schedule_in_torch(step, warmup, total, peak, floor):
    """In float32, as torch.tensor makes it."""
    if step < warmup:
        return torch.tensor(peak * step / warmup)
    done = torch.tensor((step - warmup) / max(1, total - warmup)).clamp(max=1.0)
    return floor + 0.5 * (1 + torch.cos(torch.pi * done)) * (peak - floor)


def schedule_by_torch(step, warmup, total, peak, floor):
    """torch's own cosine, stepped from the end of warm-up on."""
    if step <= warmup:
        return peak * step / warmup if warmup else peak
    if step >= total:
        return floor
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=floor)
    for _ in range(step - warmup):
        optimizer.step()
        cosine.step()
    return cosine.get_last_lr()[0]


def schedule_with_whole_numbers_at_the_ends(step, warmup, total, peak, floor):
    """0 where nothing is learned."""
    if step == 0 and warmup:
        return 0
    return schedule_as_in_cs336(step, warmup, total, peak, floor)


_ALL = (
    schedule_as_in_cs336,
    schedule_of_shares,
    schedule_without_a_floor,
    schedule_by_squared_cosine,
    schedule_in_numpy,
    schedule_in_torch,
    schedule_by_torch,
    schedule_with_whole_numbers_at_the_ends,
)

VARIANTS = {function.__name__.replace("_", " "): {"lr_schedule": function} for function in _ALL}
