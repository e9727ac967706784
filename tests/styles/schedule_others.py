"""Schedules of other shapes side by side: inverse square root, linear, constant, and one as a LambdaLR of torch's."""

import math

import torch


def inverse_sqrt_lr(step, d_model, warmup):
    """Of the first Transformer."""
    return d_model**-0.5 * min((step or 1) ** -0.5, (step or 1) * warmup**-1.5)


def linear_lr(step, warmup, total, peak):
    if step < warmup:
        return peak * step / max(1, warmup)
    return peak * max(0.0, (total - step) / max(1, total - warmup))


def get_cosine_schedule_with_warmup(optimizer, num_warmup_steps, num_training_steps, num_cycles=0.5):
    def lr_lambda(current_step):
        if current_step < num_warmup_steps:
            return current_step / max(1, num_warmup_steps)
        progress = (current_step - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * num_cycles * 2.0 * progress)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda)
