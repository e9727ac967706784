"""Known mistakes in Adam with decoupled weight decay."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.adamw import adamw

UPDATE, STEP = adamw.update, adamw.step
PARAM = "param = self.params[place]"
COUNT = "count = self.counts[place] + 1"
STEPS = "steps = torch.tensor(float(count), dtype=param.dtype, device=param.device)"
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
GRAD = "grad = grads[place]"
MISSING = "if grad is None:\n    continue"
GROUPS = "for group in self.groups:"
SAVED = 'return {"first": first, "second": second, "counts": list(self.counts)}'
FIRST_MADE = "self.first = [torch.zeros_like(param) for param in self.params]"

MISTAKES = (
    # bias correction
    KnownMistake("no_bias_correction", "The moments are not bias-corrected, so the first steps are about three times too long. Divide each moment by 1 - beta**t.",
        UPDATE, MEAN, "mean = first", also=(Edit(UPDATE, ROOT, "root = torch.sqrt(second)"),),
        seen_in=("EurekaLabsAI/micrograd#2", "Oneflow-Inc/oneflow#5960")),
    KnownMistake("first_moment_not_corrected", "The first moment is not bias-corrected. Divide it by 1 - beta_1**t.", UPDATE, MEAN, "mean = first"),
    KnownMistake("second_moment_not_corrected", "The second moment is not bias-corrected. Divide it by 1 - beta_2**t.",
        UPDATE, ROOT, "root = torch.sqrt(second)"),
    KnownMistake("corrected_with_the_other_beta", "The first moment is corrected with beta_2 and the second with beta_1. It is the other way round.",
        UPDATE, "correction_1 = 1 - beta_1**steps", "correction_1 = 1 - beta_2**steps",
        also=(Edit(UPDATE, "correction_2 = 1 - beta_2**steps", "correction_2 = 1 - beta_1**steps"),)),
    KnownMistake("correction_outside_the_root", "The second moment's bias correction is outside the square root. Correct the moment first, then take the root.",
        UPDATE, ROOT, "root = torch.sqrt(second) / correction_2", aliases=("correction_without_root",)),
    KnownMistake("counted_from_zero", "The first step is counted as 0: 1 - beta**0 is 0, and the result is nan or infinite.",
        UPDATE, STEPS, "steps = torch.tensor(float(count - 1), dtype=param.dtype, device=param.device)"),
    KnownMistake("counted_from_two", "The first step is counted as 2: the counter is incremented both before and after the step.",
        UPDATE, STEPS, "steps = torch.tensor(float(count + 1), dtype=param.dtype, device=param.device)"),
    KnownMistake("always_the_first_step", "The step counter is never incremented: every step is corrected as if it were the first.", UPDATE, COUNT, "count = 1"),
    KnownMistake("counter_incremented_per_parameter", "One counter is incremented for every parameter: with two parameters the bias correction fades twice as fast.",
        UPDATE, COUNT, "count = sum(self.counts) + 1", also=(Edit(UPDATE, "self.counts[place] = count", "self.counts[place] += 1"),), aliases=("counted_per_parameter",)),
    KnownMistake("one_counter_for_all_parameters", "One counter of step() calls serves all parameters: one whose first gradient comes late is corrected as if it had been trained from the start.",
        UPDATE, COUNT, "count = self.calls",
        also=(Edit(STEP, GROUPS, 'self.calls = self.__dict__.get("calls", max(self.counts, default=0)) + 1\nfor group in self.groups:'),), aliases=("calls_counted",)),
    KnownMistake("gradient_read_in_memory_order", "A gradient that is not contiguous is read in the order of its memory, so the wrong numbers move. Call contiguous() or reshape(), not as_strided() or data_ptr().",
        STEP, GRAD, GRAD + "\ngrad = grad if grad is None or grad.is_contiguous() else grad.as_strided(grad.shape, torch.empty(grad.shape).stride())"),
    # moments
    KnownMistake("beta_2_is_zero", "beta_2 arrives as 0: the second moment is the last squared gradient alone, so each step depends on little more than the sign.",
        UPDATE, BETA_1_2, 'beta_1, beta_2 = group["betas"][0], 0.0',
        seen_in=("bitsandbytes-foundation/bitsandbytes@2eb310835668f854c169953814f1d3b16a44346b",), aliases=("second_beta_dropped",)),
    KnownMistake("betas_exchanged", "The betas are exchanged. beta_1 belongs to the mean of the gradients, beta_2 to the mean of their squares.",
        UPDATE, BETA_1_2, 'beta_2, beta_1 = group["betas"]'),
    KnownMistake("betas_fixed", "The betas argument is ignored: 0.9 and 0.999 are always used.", UPDATE, BETA_1_2, "beta_1, beta_2 = 0.9, 0.999"),
    KnownMistake("one_beta_for_both", "beta_1 is used for both moments.", UPDATE, BETA_1_2, 'beta_1 = beta_2 = group["betas"][0]'),
    KnownMistake("first_moment_summed", "The gradient enters the first moment with weight 1. Its weight is 1 - beta_1.",
        UPDATE, FIRST, "first = beta_1 * self.first[place] + grad"),
    KnownMistake("second_moment_summed", "The squared gradient enters the second moment with weight 1. Its weight is 1 - beta_2.",
        UPDATE, SECOND, "second = beta_2 * self.second[place] + grad.square()"),
    KnownMistake("first_moment_weights_exchanged", "The old first moment is weighted with 1 - beta_1 and the gradient with beta_1. It is the other way round.",
        UPDATE, FIRST, "first = (1 - beta_1) * self.first[place] + beta_1 * grad", aliases=("shares_exchanged",)),
    KnownMistake("second_moment_of_the_mean", "The second moment averages the squared first moment. It must average the squared gradients.",
        UPDATE, SECOND, "second = beta_2 * self.second[place] + (1 - beta_2) * first.square()", aliases=("mean_squared",)),
    KnownMistake("gradient_for_the_first_moment", "The step follows the last gradient. It must follow the first moment, the running mean of the gradients.", UPDATE, MEAN, "mean = grad", aliases=("gradient_for_the_mean",)),
    KnownMistake("first_moment_not_kept", "The first moment is computed but not stored: there is no momentum.", UPDATE, KEPT_FIRST, "pass"),
    KnownMistake("second_moment_not_kept", "The second moment is computed but not stored.", UPDATE, KEPT_SECOND, "pass"),
    KnownMistake("corrected_first_moment_stored", "The bias-corrected first moment is stored in place of the moment itself, and is corrected again at the next step.",
        UPDATE, KEPT_FIRST, "self.first[place] = mean", aliases=("corrected_mean_kept",)),
    KnownMistake("corrected_second_moment_stored", "The bias-corrected second moment is stored in place of the moment itself, and is corrected again at the next step.",
        UPDATE, KEPT_SECOND, "self.second[place] = second / correction_2", aliases=("corrected_square_kept",)),
    KnownMistake("second_moment_in_bfloat16", "The second moment is stored in bfloat16: with beta_2 = 0.999 its changes soon round to nothing.",
        UPDATE, KEPT_SECOND, "self.second[place] = second.bfloat16().to(second.dtype)"),
    KnownMistake("always_amsgrad", "The step divides by the largest second moment so far (AMSGrad). AdamW divides by the current one.",
        UPDATE, ROOT, 'most = self.__dict__.setdefault("most", {})\nmost[place] = torch.maximum(most.get(place, second), second)\n'
        "root = torch.sqrt(most[place] / correction_2)"),
    KnownMistake("moments_shared_by_all_optimisers", "All optimisers share one set of moments (a mutable default, a class attribute): a second optimiser continues from the first one's.",
        adamw.__init__, FIRST_MADE,
        "self.first = adamw.__init__.__dict__.setdefault(str([p.shape for p in self.params]), [torch.zeros_like(p) for p in self.params])", aliases=("moments_of_all_optimisers",)),
    # the root and eps
    KnownMistake("eps_inside_the_root", "eps is added inside the root: 1e-8 then acts like 1e-4, and parameters with small gradients hardly move.",
        UPDATE, DIRECTION, "direction = mean / torch.sqrt(second / correction_2 + eps)"),
    KnownMistake("eps_forgotten", "eps is not added: a gradient of zero gives 0 / 0.", UPDATE, DIRECTION, "direction = mean / root"),
    KnownMistake("eps_fixed_at_1e_8", "eps is fixed at 1e-8. It is an argument.", UPDATE, EPS, "eps = 1e-8", aliases=("epsilon_ignored",)),
    KnownMistake("eps_fixed_at_1e_6", "eps is fixed at 1e-6. It is an argument.", UPDATE, EPS, "eps = 1e-6"),
    KnownMistake("eps_as_a_floor", "eps is used as a lower bound of the root. It must be added to the root.", UPDATE, DIRECTION, "direction = mean / root.clamp(min=eps)"),
    KnownMistake("root_forgotten", "The mean is divided by the second moment. It must be divided by its square root.", UPDATE, ROOT, "root = second / correction_2"),
    # the step
    KnownMistake("wrong_direction", "The step is added, so the loss rises. It must be subtracted.", UPDATE, MOVED, "moved = decayed + lr * direction"),
    KnownMistake("lr_forgotten", "The step is not multiplied by the learning rate.", UPDATE, MOVED, "moved = decayed - direction", aliases=("rate_forgotten",)),
    KnownMistake("lr_of_the_first_group", "The learning rate of the first group is used for all groups.", UPDATE, LR, 'lr = self.groups[0]["lr"]', aliases=("rate_of_the_first_group",)),
    KnownMistake("set_lr_changes_first_group_only", "set_lr() changes the learning rate of the first group only.",
        adamw.set_lr, 'group["lr"] = lr', 'group["lr"] = lr\nbreak', aliases=("new_rate_for_the_first_group",)),
    KnownMistake("lr_cached_across_steps", "The learning rate of the first step is cached and reused: a schedule has no effect.",
        UPDATE, LR, 'lr = self.__dict__.setdefault("rates", {}).setdefault(place, group["lr"])', aliases=("first_rate_kept",)),
    KnownMistake("step_clipped_to_parameter_norm", "A step longer than the parameter's norm is shortened: a limit of 1 is hard-coded where the argument says no limit.",
        UPDATE, DIRECTION, "direction = mean / (root + eps)\ndirection = direction * (param.norm() / direction.norm()).clamp(max=1.0)",
        seen_in=("bitsandbytes-foundation/bitsandbytes@f2233a670e45a4564009e92a6c8d8c3ee97edac3",), aliases=("step_limited_by_the_norm",)),
    # decay
    KnownMistake("coupled_decay", "The decay is added to the gradient (L2 regularisation) and passes through the moments. Multiply the parameter itself by 1 - lr * weight_decay.",
        UPDATE, PARAM, "param = self.params[place]\ngrad = grad + weight_decay * param", also=(Edit(UPDATE, DECAYED, "decayed = param"),),
        seen_in=("bitsandbytes-foundation/bitsandbytes@ab9709a589e3ab9ee5fb89811ee2820f636dce0c",)),
    KnownMistake("decay_coupled_and_decoupled", "The decay is added to the gradient and also subtracted from the parameter: it counts twice.",
        UPDATE, PARAM, "param = self.params[place]\ngrad = grad + weight_decay * param", aliases=("decayed_both_ways",)),
    KnownMistake("decayed_after_the_step", "The parameter is decayed after the step. The decay applies to the old parameter. The two differ by a term in lr**2.",
        UPDATE, MOVED, "moved = (param - lr * direction) * (1 - lr * weight_decay)", seen_in=("rohitg00/ai-engineering-from-scratch#17",)),
    KnownMistake("decay_forgotten", "There is no weight decay.", UPDATE, DECAYED, "decayed = param"),
    KnownMistake("decay_added", "The decay is added, so parameters grow. It must be subtracted.", UPDATE, DECAYED, "decayed = param + lr * weight_decay * param", aliases=("decay_grows",)),
    KnownMistake("decay_times_lr_squared", "The decay is multiplied by the learning rate twice.", UPDATE, DECAYED, "decayed = param - lr * lr * weight_decay * param", aliases=("decay_with_the_rate_twice",)),
    KnownMistake("decay_halved", "The decay is half of what it must be: the factor 1/2 of an L2 penalty does not belong here.",
        UPDATE, DECAYED, "decayed = param - 0.5 * lr * weight_decay * param"),
    KnownMistake("l1_decay", "The decay subtracts the sign of the parameter (an L1 penalty). It must be proportional to the parameter.",
        UPDATE, DECAYED, "decayed = param - lr * weight_decay * param.sign()", aliases=("decay_of_the_sign",)),
    KnownMistake("decay_not_times_the_parameter", "lr * weight_decay itself is subtracted. It must be multiplied by the parameter first.",
        UPDATE, DECAYED, "decayed = param - lr * weight_decay", aliases=("decay_of_a_constant",)),
    KnownMistake("decay_of_the_first_group", "The weight decay of the first group is used for all groups.", UPDATE, DECAY, 'weight_decay = self.groups[0]["weight_decay"]'),
    KnownMistake("only_matrices_decayed", "Parameters with one dimension are not decayed. The parameter groups decide which parameters decay.",
        UPDATE, DECAY, 'weight_decay = group["weight_decay"] if param.dim() > 1 else 0.0', aliases=("decay_of_matrices_alone",)),
    KnownMistake("no_decay_where_gradient_is_zero", "Weights with a zero gradient are not decayed. Decay does not depend on the gradient.",
        UPDATE, DECAYED, "decayed = torch.where(grad != 0, param - lr * weight_decay * param, param)", aliases=("zeros_not_decayed",)),
    # 16-bit parameters
    KnownMistake("bias_correction_in_the_parameter_dtype", "The bias corrections are computed in the dtype of the parameters: in bfloat16 0.999 is 1, so the second moment is divided by 0 and nothing moves. Compute them in float32 or as Python numbers.",
        UPDATE, STEPS, "steps = torch.tensor(float(count), dtype=self.dtypes[place], device=param.device)"),
    KnownMistake("decay_factor_in_the_parameter_dtype", "1 - lr * weight_decay is computed in the dtype of the parameters: in bfloat16 1 - 1e-5 is 1, and nothing decays. Decay the float32 copy by a Python number.",
        UPDATE, DECAYED, "decayed = param * torch.tensor(1 - lr * weight_decay, dtype=self.dtypes[place]).to(param.dtype)"),
    # missing gradients
    KnownMistake("missing_gradient_is_zero", "A missing gradient is treated as zeros: momentum and decay change a parameter that took no part.",
        STEP, MISSING, "if grad is None:\n    grad = torch.zeros_like(self.params[place])"),
    KnownMistake("missing_gradient_decays", "A parameter without a gradient is decayed. It must stay unchanged.",
        STEP, MISSING, 'if grad is None:\n    self.params[place] = self.params[place] * (1 - group["lr"] * group["weight_decay"])\n    continue'),
    KnownMistake("step_without_gradient_counted", "A step without a gradient increments the counter: the next bias correction is one step ahead.",
        STEP, MISSING, "if grad is None:\n    self.counts[place] += 1\n    continue", looks_like=("one_counter_for_all_parameters",), aliases=("missing_gradient_counts",)),
    KnownMistake("missing_gradient_ends_the_step", "The loop ends at the first parameter without a gradient: the parameters after it are not updated.",
        STEP, MISSING, "if grad is None:\n    break"),
    KnownMistake("missing_gradient_raises", "A missing gradient (None) is not skipped, and step() raises an error.", STEP, MISSING, "", aliases=("missing_gradient_read",)),
    # the state
    KnownMistake("counter_not_saved", "The saved state has no step counter: a resumed run starts bias correction again, and its first steps are wrong.",
        adamw.state, SAVED, 'return {"first": first, "second": second, "counts": [0 for _ in self.counts]}'),
    KnownMistake("second_moment_not_saved", "The saved state has no second moment: the first steps of a resumed run are far too long.",
        adamw.state, SAVED, 'return {"first": first, "second": [torch.zeros_like(v) for v in second], "counts": list(self.counts)}'),
    KnownMistake("first_moment_not_loaded", "load() leaves the first moment at zero.", adamw.load,
        'self.first = [m.detach().to(dtype, copy=True) for m, dtype in zip(state["first"], dtypes, strict=True)]', "pass"),
    KnownMistake("nothing_loaded", "load() checks the state but loads none of it.", adamw.load, 'self.counts = list(state["counts"])',
        "self.counts = [0 for _ in self.params]\nself.first, self.second = ([torch.zeros_like(p) for p in self.params] for _ in range(2))"),
)
