"""Known mistakes in Adam with decoupled weight decay."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.adamw import adamw

UPDATE, STEP = adamw.update, adamw.step
PARAM = "param = self.params[place]"
COUNT = "count = self.counts[place] + 1"
STEPS = "steps = torch.tensor(float(count), dtype=wide, device=param.device)"
LR = 'lr = group["lr"]'
BETA_1_2 = 'beta_1, beta_2 = group["betas"]'
EPS = 'eps = group["eps"]'
DECAY = 'weight_decay = group["weight_decay"]'
FIRST = "first = beta_1 * self.first[place] + (1 - beta_1) * grad"
SECOND = "second = beta_2 * self.second[place] + (1 - beta_2) * grad.square()"
MEAN = "mean = first / correction_1"
ROOT = "root = torch.sqrt(second / correction_2)"
DIRECTION = "direction = mean / (root + eps)"
DECAYED = "decayed = param - lr * weight_decay * param"
MOVED = "moved = decayed - lr * direction"
KEPT_FIRST, KEPT_SECOND = "self.first[place] = first", "self.second[place] = second"
MISSING = "if grad is None:\n    continue"
GROUPS = "for group in self.groups:"
SAVED = 'return {"first": first, "second": second, "counts": list(self.counts)}'
FIRST_MADE = "self.first = [torch.zeros_like(param) for param in self.params]"

MISTAKES = (
    # bias correction
    KnownMistake("no_bias_correction", "The moments are used as they are: without 1 / (1 - beta**t) the first steps are about three times too long.",
        UPDATE, MEAN, "mean = first", also=(Edit(UPDATE, ROOT, "root = torch.sqrt(second)"),),
        seen_in=("EurekaLabsAI/micrograd#2", "Oneflow-Inc/oneflow#5960")),
    KnownMistake("first_moment_not_corrected", "The bias of the first moment is not corrected: divide it by 1 - beta_1**t.", UPDATE, MEAN, "mean = first"),
    KnownMistake("second_moment_not_corrected", "The bias of the second moment is not corrected: divide it by 1 - beta_2**t.",
        UPDATE, ROOT, "root = torch.sqrt(second)"),
    KnownMistake("corrected_with_the_other_beta", "The first moment is corrected with beta_2 and the second with beta_1: it is the other way round.",
        UPDATE, "correction_1 = 1 - beta_1**steps", "correction_1 = 1 - beta_2**steps",
        also=(Edit(UPDATE, "correction_2 = 1 - beta_2**steps", "correction_2 = 1 - beta_1**steps"),)),
    KnownMistake("correction_without_root", "The root is taken of the second moment before its bias is corrected, and the correction has no root.",
        UPDATE, ROOT, "root = torch.sqrt(second) / correction_2"),
    KnownMistake("counted_from_zero", "The first step is counted as 0: 1 - beta**0 is 0, and everything becomes nan or infinite.",
        UPDATE, STEPS, "steps = torch.tensor(float(count - 1), dtype=wide, device=param.device)"),
    KnownMistake("counted_from_two", "The first step is counted as 2: the counter is raised before and after.",
        UPDATE, STEPS, "steps = torch.tensor(float(count + 1), dtype=wide, device=param.device)"),
    KnownMistake("always_the_first_step", "The counter is never raised: every step is corrected as if it were the first.", UPDATE, COUNT, "count = 1"),
    KnownMistake("counted_per_parameter", "One counter is raised for every parameter: with two of them bias correction ends twice as fast.",
        UPDATE, COUNT, "count = sum(self.counts) + 1", also=(Edit(UPDATE, "self.counts[place] = count", "self.counts[place] += 1"),)),
    KnownMistake("calls_counted", "One counter of step() calls serves all: a parameter whose first gradient comes late is corrected as if it were old.",
        UPDATE, COUNT, "count = self.calls",
        also=(Edit(STEP, GROUPS, 'self.calls = self.__dict__.get("calls", max(self.counts, default=0)) + 1\nfor group in self.groups:'),)),
    # moments
    KnownMistake("second_beta_dropped", "beta_2 arrives as 0: the second moment is the last gradient squared, and every step is about the sign.",
        UPDATE, BETA_1_2, 'beta_1, beta_2 = group["betas"][0], 0.0',
        seen_in=("bitsandbytes-foundation/bitsandbytes@2eb310835668f854c169953814f1d3b16a44346b",)),
    KnownMistake("betas_exchanged", "The betas are exchanged: the first belongs to the mean of gradients, the second to that of their squares.",
        UPDATE, BETA_1_2, 'beta_2, beta_1 = group["betas"]'),
    KnownMistake("betas_fixed", "The betas given are not used: they are always 0.9 and 0.999.", UPDATE, BETA_1_2, "beta_1, beta_2 = 0.9, 0.999"),
    KnownMistake("one_beta_for_both", "The first beta is used for both moments.", UPDATE, BETA_1_2, 'beta_1 = beta_2 = group["betas"][0]'),
    KnownMistake("first_moment_summed", "The gradient enters the first moment whole; it enters with 1 - beta_1.",
        UPDATE, FIRST, "first = beta_1 * self.first[place] + grad"),
    KnownMistake("second_moment_summed", "The squared gradient enters the second moment whole; it enters with 1 - beta_2.",
        UPDATE, SECOND, "second = beta_2 * self.second[place] + grad.square()"),
    KnownMistake("shares_exchanged", "The old mean is kept with 1 - beta_1 and the gradient enters with beta_1: the other way round.",
        UPDATE, FIRST, "first = (1 - beta_1) * self.first[place] + beta_1 * grad"),
    KnownMistake("mean_squared", "The second moment is made of the mean squared; it is a mean of squared gradients.",
        UPDATE, SECOND, "second = beta_2 * self.second[place] + (1 - beta_2) * first.square()"),
    KnownMistake("gradient_for_the_mean", "The last gradient is the direction; it is the running mean of gradients.", UPDATE, MEAN, "mean = grad"),
    KnownMistake("first_moment_not_kept", "The first moment is computed and not kept: there is no momentum.", UPDATE, KEPT_FIRST, "pass"),
    KnownMistake("second_moment_not_kept", "The second moment is computed and not kept.", UPDATE, KEPT_SECOND, "pass"),
    KnownMistake("corrected_mean_kept", "The corrected first moment is kept in place of the moment itself, and is corrected again in the next step.",
        UPDATE, KEPT_FIRST, "self.first[place] = mean"),
    KnownMistake("corrected_square_kept", "The corrected second moment is kept in place of the moment itself, and is corrected again in the next step.",
        UPDATE, KEPT_SECOND, "self.second[place] = second / correction_2"),
    KnownMistake("second_moment_in_bfloat16", "The second moment is kept in bfloat16: with beta_2 of 0.999 it soon stands still.",
        UPDATE, KEPT_SECOND, "self.second[place] = second.bfloat16().to(second.dtype)"),
    KnownMistake("always_amsgrad", "The largest second moment so far divides (AMSGrad); AdamW uses the present one.",
        UPDATE, ROOT, 'most = self.__dict__.setdefault("most", {})\nmost[place] = torch.maximum(most.get(place, second), second)\n'
        "root = torch.sqrt(most[place] / correction_2)"),
    KnownMistake("moments_of_all_optimisers", "Moments are kept where every optimiser finds them (a mutable default, a class attribute): a second one goes on from them.",
        adamw.__init__, FIRST_MADE,
        "self.first = adamw.__init__.__dict__.setdefault(str([p.shape for p in self.params]), [torch.zeros_like(p) for p in self.params])"),
    # the root and eps
    KnownMistake("eps_inside_the_root", "eps is added under the root: 1e-8 then acts as 1e-4, and small gradients hardly move anything.",
        UPDATE, DIRECTION, "direction = mean / torch.sqrt(second / correction_2 + eps)"),
    KnownMistake("eps_forgotten", "eps is not added: a gradient of zero gives 0 / 0.", UPDATE, DIRECTION, "direction = mean / root"),
    KnownMistake("epsilon_ignored", "The eps given is not used: it is always 1e-8.", UPDATE, EPS, "eps = 1e-8"),
    KnownMistake("eps_as_a_floor", "The root is raised to at least eps; eps is added to it.", UPDATE, DIRECTION, "direction = mean / root.clamp(min=eps)"),
    KnownMistake("root_forgotten", "The mean is divided by the second moment; by its root it must be.", UPDATE, ROOT, "root = second / correction_2"),
    # the step
    KnownMistake("wrong_direction", "The step is added: the loss rises. It must be subtracted.", UPDATE, MOVED, "moved = decayed + lr * direction"),
    KnownMistake("rate_forgotten", "The step is not multiplied by the learning rate.", UPDATE, MOVED, "moved = decayed - direction"),
    KnownMistake("rate_of_the_first_group", "The learning rate of the first group serves for all.", UPDATE, LR, 'lr = self.groups[0]["lr"]'),
    KnownMistake("new_rate_for_the_first_group", "A new learning rate reaches the first group alone.",
        adamw.set_lr, 'group["lr"] = lr', 'group["lr"] = lr\nbreak'),
    KnownMistake("first_rate_kept", "The learning rate of the first step is kept for ever: a schedule changes nothing.",
        UPDATE, LR, 'lr = self.__dict__.setdefault("rates", {}).setdefault(place, group["lr"])'),
    KnownMistake("step_limited_by_the_norm", "A step longer than the parameter is shortened (a limit of 1 in the code, in place of the argument that says none).",
        UPDATE, DIRECTION, "direction = mean / (root + eps)\ndirection = direction * (param.norm() / direction.norm()).clamp(max=1.0)",
        seen_in=("bitsandbytes-foundation/bitsandbytes@f2233a670e45a4564009e92a6c8d8c3ee97edac3",)),
    # decay
    KnownMistake("coupled_decay", "The decay is added to the gradient (L2): the moments swallow it. Shrink the parameter itself by 1 - lr * weight_decay.",
        UPDATE, PARAM, "param = self.params[place]\ngrad = grad + weight_decay * param", also=(Edit(UPDATE, DECAYED, "decayed = param"),),
        seen_in=("bitsandbytes-foundation/bitsandbytes@ab9709a589e3ab9ee5fb89811ee2820f636dce0c",)),
    KnownMistake("decayed_both_ways", "The decay is added to the gradient and taken off the parameter as well: it counts twice.",
        UPDATE, PARAM, "param = self.params[place]\ngrad = grad + weight_decay * param"),
    KnownMistake("decayed_after_the_step", "The parameter decays after its move; the decay belongs to the old parameter. The two differ by lr**2.",
        UPDATE, MOVED, "moved = (param - lr * direction) * (1 - lr * weight_decay)", seen_in=("rohitg00/ai-engineering-from-scratch#17",)),
    KnownMistake("decay_forgotten", "There is no weight decay.", UPDATE, DECAYED, "decayed = param"),
    KnownMistake("decay_grows", "The decay is added: parameters grow.", UPDATE, DECAYED, "decayed = param + lr * weight_decay * param"),
    KnownMistake("decay_with_the_rate_twice", "The decay is multiplied by the learning rate twice.", UPDATE, DECAYED, "decayed = param - lr * lr * weight_decay * param"),
    KnownMistake("decay_halved", "The decay is half of what it must be: the half of an L2 term's gradient does not belong here.",
        UPDATE, DECAYED, "decayed = param - 0.5 * lr * weight_decay * param"),
    KnownMistake("decay_of_the_sign", "The decay takes off the sign of the parameter (an L1 term); it takes off a share of it.",
        UPDATE, DECAYED, "decayed = param - lr * weight_decay * param.sign()"),
    KnownMistake("decay_of_a_constant", "lr * weight_decay itself is taken off; it is that share of the parameter.",
        UPDATE, DECAYED, "decayed = param - lr * weight_decay"),
    KnownMistake("decay_of_the_first_group", "The decay of the first group serves for all.", UPDATE, DECAY, 'weight_decay = self.groups[0]["weight_decay"]'),
    KnownMistake("decay_of_matrices_alone", "Vectors are not decayed; which parameters decay is for the groups to say.",
        UPDATE, DECAY, 'weight_decay = group["weight_decay"] if param.dim() > 1 else 0.0'),
    KnownMistake("zeros_not_decayed", "Where the gradient is zero nothing decays; decay does not ask for the gradient.",
        UPDATE, DECAYED, "decayed = torch.where(grad != 0, param - lr * weight_decay * param, param)"),
    # missing gradients
    KnownMistake("missing_gradient_is_zero", "A missing gradient is taken for zeros: momentum and decay move a parameter that took no part.",
        STEP, MISSING, "if grad is None:\n    grad = torch.zeros_like(self.params[place])"),
    KnownMistake("missing_gradient_decays", "A parameter without a gradient decays.",
        STEP, MISSING, 'if grad is None:\n    self.params[place] = self.params[place] * (1 - group["lr"] * group["weight_decay"])\n    continue'),
    KnownMistake("missing_gradient_counts", "A step without a gradient is counted: the next correction is one step ahead.",
        STEP, MISSING, "if grad is None:\n    self.counts[place] += 1\n    continue", looks_like=("calls_counted",)),
    KnownMistake("missing_gradient_ends_the_step", "At the first parameter without a gradient the loop ends: those behind it are left out.",
        STEP, MISSING, "if grad is None:\n    break"),
    KnownMistake("missing_gradient_read", "A missing gradient is not passed over, and the step ends in an error.", STEP, MISSING, ""),
    # the state
    KnownMistake("counter_not_saved", "The saved state has no counter: a resumed run corrects its bias anew, and jumps.",
        adamw.state, SAVED, 'return {"first": first, "second": second, "counts": [0 for _ in self.counts]}'),
    KnownMistake("second_moment_not_saved", "The saved state has no second moment: the first steps of a resumed run are far too long.",
        adamw.state, SAVED, 'return {"first": first, "second": [torch.zeros_like(v) for v in second], "counts": list(self.counts)}'),
    KnownMistake("first_moment_not_loaded", "load() leaves the first moment at zero.", adamw.load,
        'self.first = [moment.detach().to(p.dtype, copy=True) for moment, p in zip(state["first"], self.params, strict=True)]', "pass"),
    KnownMistake("nothing_loaded", "load() checks the state and takes nothing of it over.", adamw.load, 'self.counts = list(state["counts"])',
        "self.counts = [0 for _ in self.params]\nself.first, self.second = ([torch.zeros_like(p) for p in self.params] for _ in range(2))"),
)
