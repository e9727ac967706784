"""Known mistakes in clipping gradients by their global norm."""

from harness.core.mistake import KnownMistake
from reference_model.clip_grad_norm import clip_grad_norm

LISTED = "grads = list(grads)"
PRESENT = "present = [grad for grad in grads if grad is not None]"
SQUARES = "squares = [grad.pow(2).sum() for grad in present]"
TOTAL = "total = torch.stack(squares).sum() if squares else torch.zeros(())"
NORM = "norm = torch.sqrt(total)"
SCALE = "scale = max_norm / (norm + 1e-6)"
SHARE = "share = scale.clamp(max=1.0)"
CLIPPED = "clipped = [None if grad is None else grad * share for grad in grads]"
RESULT = "return clipped, norm"

MISTAKES = (
    # the norm
    KnownMistake("clipped_per_tensor", "Each tensor is clipped by its own norm. There is one norm over all gradients and one clip coefficient.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad * (max_norm / (grad.norm() + 1e-6)).clamp(max=1.0) for grad in grads]",
        seen_in=("huggingface/transformers#581", "huggingface/transformers#614"), aliases=("each_tensor_alone",)),
    KnownMistake("norms_summed", "The norms of the tensors are summed. Sum their squares and take the root.",
        clip_grad_norm, SQUARES, "squares = [grad.norm() for grad in present]\nreturn [None if g is None else g * (max_norm / (sum(squares) + 1e-6)).clamp(max=1.0) for g in grads], torch.as_tensor(sum(squares))"),
    KnownMistake("largest_tensor_norm", "The largest norm of a single tensor is used. It must be the norm of all gradients together.",
        clip_grad_norm, TOTAL, "total = torch.stack(squares).amax() if squares else torch.zeros(())", aliases=("largest_of_the_norms",)),
    KnownMistake("mean_over_tensors", "The squared norms of the tensors are averaged. They must be summed.",
        clip_grad_norm, TOTAL, "total = torch.stack(squares).mean() if squares else torch.zeros(())", aliases=("mean_of_the_squares",)),
    KnownMistake("mean_for_the_sum", "Each tensor contributes the mean of its squares. It must contribute their sum.",
        clip_grad_norm, SQUARES, "squares = [grad.pow(2).mean() for grad in present]"),
    KnownMistake("norm_without_gradients_is_nan", "Without any gradient the norm is nan (a mean or root over nothing). It must be 0.",
        clip_grad_norm, TOTAL, 'total = torch.stack(squares).sum() if squares else torch.tensor(float("nan"))', aliases=("nothing_has_norm_nan",)),
    KnownMistake("squared_in_memory_order", "The numbers of a gradient are read from its memory. An expanded or transposed gradient holds fewer there, or in another order: reshape it.",
        clip_grad_norm, SQUARES, "squares = [grad.as_strided((grad.untyped_storage().nbytes() // grad.element_size(),), (1,), 0).pow(2).sum() for grad in present]"),
    KnownMistake("square_compared", "The square of the norm is compared with the limit. Compare the norm itself.",
        clip_grad_norm, SHARE, "share = torch.where(total > max_norm, scale, torch.ones_like(scale))"),
    KnownMistake("root_forgotten", "The sum of squares is used as the norm. Take its square root.", clip_grad_norm, NORM, "norm = total"),
    KnownMistake("root_taken_twice", "The root is taken for each tensor and again for their sum. Take it once, at the end.",
        clip_grad_norm, SQUARES, "squares = [grad.norm() for grad in present]", aliases=("root_of_each_sum",)),
    KnownMistake("l1_norm", "The norm is the sum of absolute values (the 1-norm). It must be the root of the sum of squares.",
        clip_grad_norm, NORM, "norm = sum(grad.abs().sum() for grad in present) + 0 * total", aliases=("absolute_values_summed",)),
    KnownMistake("infinity_norm", "The norm is the largest absolute value (the infinity norm). It must be the root of the sum of squares.",
        clip_grad_norm, NORM, "norm = torch.stack([grad.abs().max() for grad in present]).max() if present else total", aliases=("largest_absolute_value",)),
    KnownMistake("last_tensor_only", "The norm covers the last tensor only: it is overwritten in the loop, not accumulated.",
        clip_grad_norm, TOTAL, "total = squares[-1] if squares else torch.zeros(())"),
    KnownMistake("first_tensor_left_out", "The first tensor is missing from the norm.",
        clip_grad_norm, TOTAL, "total = torch.stack(squares[1:]).sum() if squares[1:] else torch.zeros(())"),
    KnownMistake("biases_left_out_of_the_norm", "Only matrices count in the norm. Biases and norm scales must count too.",
        clip_grad_norm, PRESENT, "present = [grad for grad in grads if grad is not None and grad.dim() > 1]"),
    KnownMistake("last_tensor_counted_twice", "The last tensor counts twice in the norm, as a tied weight does when it is listed under both of its names.",
        clip_grad_norm, TOTAL, "total = torch.stack([*squares, squares[-1]]).sum() if squares else torch.zeros(())", aliases=("counted_twice",)),
    KnownMistake("eps_inside_the_root", "A small number is added inside the root: zero gradients get a nonzero norm.",
        clip_grad_norm, NORM, "norm = torch.sqrt(total + 1e-6)", aliases=("epsilon_in_the_root",)),
    KnownMistake("norm_in_bfloat16", "The squares are summed in bfloat16: the norm keeps about two significant digits.",
        clip_grad_norm, SQUARES, "squares = [grad.bfloat16().pow(2).sum().to(grad.dtype) for grad in present]"),
    KnownMistake("nan_hidden", "nan and inf are replaced in the norm: broken gradients go unnoticed and are used.",
        clip_grad_norm, NORM, "norm = torch.sqrt(torch.nan_to_num(total, nan=0.0, posinf=0.0))"),
    # the clip coefficient
    KnownMistake("always_scaled", "Gradients below the limit are scaled up to it. The clip coefficient must be at most 1.",
        clip_grad_norm, SHARE, "share = scale"),
    KnownMistake("clamp_min_for_max", "clamp(min=1) is used where clamp(max=1) belongs: gradients above the limit are not clipped, those below it are scaled up.",
        clip_grad_norm, SHARE, "share = scale.clamp(min=1.0)", aliases=("lengthened_only",)),
    KnownMistake("comparison_inverted", "The comparison is inverted: gradients are scaled when their norm is below the limit.",
        clip_grad_norm, SHARE, "share = torch.where(norm < max_norm, scale, torch.ones_like(scale))",
        looks_like=("clamp_min_for_max",), aliases=("clipped_below_the_limit",)),
    KnownMistake("clip_coefficient_inverted", "The clip coefficient is norm / max_norm. It must be max_norm / norm.",
        clip_grad_norm, SHARE, "share = ((norm + 1e-6) / max_norm).clamp(max=1.0)", aliases=("share_upside_down",)),
    KnownMistake("clipped_to_norm_1", "Gradients above the limit are divided by their norm, so their norm becomes 1. Multiply by max_norm as well.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else (grad / (norm + 1e-6) if norm > max_norm else grad) for grad in grads]", aliases=("scaled_to_length_one",)),
    KnownMistake("multiplied_by_the_limit", "Gradients above the limit are multiplied by max_norm. Divide by the norm as well.",
        clip_grad_norm, SHARE, "share = torch.where(norm > max_norm, torch.full_like(norm, max_norm), torch.ones_like(norm))"),
    KnownMistake("max_norm_fixed_at_1", "max_norm is ignored: the limit is always 1.",
        clip_grad_norm, LISTED, "grads, max_norm = list(grads), 1.0", aliases=("limit_fixed_at_one",)),
    KnownMistake("divided_by_the_squared_norm", "The clip coefficient is max_norm / norm**2. It must be max_norm / norm.",
        clip_grad_norm, SCALE, "scale = torch.where(norm > max_norm, max_norm / (total + 1e-6), torch.ones_like(norm))", aliases=("limit_squared",)),
    KnownMistake("eps_of_1e_2", "0.01 is added to the norm: clipped gradients come out too small.", clip_grad_norm, SCALE, "scale = max_norm / (norm + 1e-2)", aliases=("epsilon_of_a_hundredth",)),
    KnownMistake("zero_gradients_become_nan", "All gradients are divided by their norm first, even where it is 0: zeros become nan.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad / norm * torch.clamp(norm, max=max_norm) for grad in grads]", aliases=("divided_before_the_limit",)),
    # what is scaled
    KnownMistake("never_clipped", "The gradients come back unclipped: the scaled copies are dropped, or the norm consumed a generator (model.parameters()) and the scaling loop found nothing.",
        clip_grad_norm, CLIPPED, "clipped = grads", seen_in=("NVIDIA/OpenSeq2Seq#192",)),
    KnownMistake("clipped_by_value", "Each element is clamped to +-max_norm, which changes the direction. Scale all elements by one coefficient.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad.clamp(-max_norm, max_norm) for grad in grads]", aliases=("each_number_clamped",)),
    KnownMistake("only_last_tensor_scaled", "Only the last tensor is scaled (the line is outside the loop).",
        clip_grad_norm, CLIPPED, "clipped = [grad * share if i == len(grads) - 1 and grad is not None else grad for i, grad in enumerate(grads)]", aliases=("last_tensor_scaled_only",)),
    KnownMistake("biases_not_scaled", "Only matrices are scaled. Biases and norm scales are left as they were.",
        clip_grad_norm, CLIPPED, "clipped = [grad * share if grad is not None and grad.dim() > 1 else grad for grad in grads]"),
    KnownMistake("scaled_twice", "The gradients are scaled twice, by the square of the clip coefficient.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad * share * share for grad in grads]"),
    KnownMistake("sign_lost", "The absolute values are scaled: the sign is lost.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad.abs() * share for grad in grads]"),
    KnownMistake("generator_consumed", "Computing the norm consumes the generator, so the scaling finds no gradients. Make a list of it first.",
        clip_grad_norm, LISTED, "grads = iter(list(grads))"),
    KnownMistake("missing_gradient_raises", "A missing gradient (None) is not skipped, and the call raises an error.",
        clip_grad_norm, PRESENT, "present = grads", aliases=("missing_gradient_read",)),
    KnownMistake("missing_gradient_dropped", "Missing gradients (None) are dropped from the list: the parameters after them get the gradients of their neighbours.",
        clip_grad_norm, LISTED, "grads = [grad for grad in grads if grad is not None]"),
    # what is returned, and side effects
    KnownMistake("norm_after_clipping", "The norm after clipping is returned, which is hardly ever above the limit. Return the norm before clipping.",
        clip_grad_norm, RESULT, "return clipped, norm * share"),
    KnownMistake("norm_not_returned", "The norm is not returned: callers that log it get nothing, or nan.",
        clip_grad_norm, RESULT, "return clipped, torch.full_like(norm, float('nan'))"),
    KnownMistake("clip_coefficient_returned", "The clip coefficient is returned in place of the norm.", clip_grad_norm, RESULT, "return clipped, share", aliases=("share_returned",)),
    KnownMistake("squared_norm_returned", "The squared norm is returned. Return its root.", clip_grad_norm, RESULT, "return clipped, total", aliases=("square_returned",)),
    KnownMistake("in_place", "The gradients are scaled in place, in the caller's tensors. Return new tensors.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad.mul_(share) for grad in grads]"),
    KnownMistake("norm_cached_across_calls", "The norm of the first call is cached and reused in every later call with as many gradients.",
        clip_grad_norm, NORM, "norm = clip_grad_norm.__dict__.setdefault((len(grads), total.dtype), torch.sqrt(total))", aliases=("norm_kept",)),
)
