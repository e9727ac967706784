"""Known mistakes in clipping by the norm of all gradients."""

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
    KnownMistake("each_tensor_alone", "Each tensor is clipped by its own norm; there is one norm, of all gradients together, and one share.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad * (max_norm / (grad.norm() + 1e-6)).clamp(max=1.0) for grad in grads]",
        seen_in=("huggingface/transformers#581", "huggingface/transformers#614")),
    KnownMistake("norms_summed", "The norms of the tensors are added; their squares must be, and the root taken of the sum.",
        clip_grad_norm, SQUARES, "squares = [grad.norm() for grad in present]\nreturn [None if g is None else g * (max_norm / (sum(squares) + 1e-6)).clamp(max=1.0) for g in grads], torch.as_tensor(sum(squares))"),
    KnownMistake("largest_of_the_norms", "The largest norm of a single tensor is taken for that of all together.",
        clip_grad_norm, TOTAL, "total = torch.stack(squares).amax() if squares else torch.zeros(())"),
    KnownMistake("mean_of_the_squares", "The squares of the tensors' norms are averaged over the tensors; they must be summed.",
        clip_grad_norm, TOTAL, "total = torch.stack(squares).mean() if squares else torch.zeros(())"),
    KnownMistake("mean_for_the_sum", "The mean of the squares is taken in each tensor; it must be their sum.",
        clip_grad_norm, SQUARES, "squares = [grad.pow(2).mean() for grad in present]"),
    KnownMistake("nothing_has_norm_nan", "Where there is no gradient at all the norm is nan (the mean or the root of nothing); it is 0.",
        clip_grad_norm, TOTAL, 'total = torch.stack(squares).sum() if squares else torch.tensor(float("nan"))'),
    KnownMistake("root_forgotten", "The sum of the squares is taken for the norm; it is its root.", clip_grad_norm, NORM, "norm = total"),
    KnownMistake("root_of_each_sum", "The root is taken in each tensor and once more of their sum; it must be taken once, at the end.",
        clip_grad_norm, SQUARES, "squares = [grad.norm() for grad in present]"),
    KnownMistake("absolute_values_summed", "The absolute values are summed (the 1-norm); it is the root of the sum of squares.",
        clip_grad_norm, NORM, "norm = sum(grad.abs().sum() for grad in present) + 0 * total"),
    KnownMistake("largest_absolute_value", "The largest absolute value is taken for the norm; it is the root of the sum of squares.",
        clip_grad_norm, NORM, "norm = torch.stack([grad.abs().max() for grad in present]).max() if present else total"),
    KnownMistake("last_tensor_only", "The norm is that of the last tensor alone: it is overwritten in the loop and not added to.",
        clip_grad_norm, TOTAL, "total = squares[-1] if squares else torch.zeros(())"),
    KnownMistake("first_tensor_left_out", "The first tensor is missing in the norm.",
        clip_grad_norm, TOTAL, "total = torch.stack(squares[1:]).sum() if squares[1:] else torch.zeros(())"),
    KnownMistake("biases_left_out_of_the_norm", "Only matrices count in the norm; biases and gains do too.",
        clip_grad_norm, PRESENT, "present = [grad for grad in grads if grad is not None and grad.dim() > 1]"),
    KnownMistake("counted_twice", "The last tensor counts twice in the norm, as a tied weight does that is met under both of its names.",
        clip_grad_norm, TOTAL, "total = torch.stack([*squares, squares[-1]]).sum() if squares else torch.zeros(())"),
    KnownMistake("epsilon_in_the_root", "A small number is added under the root: zeros have a norm.",
        clip_grad_norm, NORM, "norm = torch.sqrt(total + 1e-6)"),
    KnownMistake("norm_in_bfloat16", "The squares are summed in bfloat16: two digits of the norm are left.",
        clip_grad_norm, SQUARES, "squares = [grad.bfloat16().pow(2).sum().to(grad.dtype) for grad in present]"),
    KnownMistake("nan_hidden", "nan and inf are replaced in the norm: nobody notices that the gradients are spoiled, and they are used.",
        clip_grad_norm, NORM, "norm = torch.sqrt(torch.nan_to_num(total, nan=0.0, posinf=0.0))"),
    # the share
    KnownMistake("always_scaled", "Gradients below the limit are made longer, up to it: the share must be 1 at the most.",
        clip_grad_norm, SHARE, "share = scale"),
    KnownMistake("lengthened_only", "min and max are exchanged: what is too long is left, what is below the limit is made longer.",
        clip_grad_norm, SHARE, "share = scale.clamp(min=1.0)"),
    KnownMistake("clipped_below_the_limit", "The comparison is the wrong way round: gradients are scaled where they are shorter than the limit.",
        clip_grad_norm, SHARE, "share = torch.where(norm < max_norm, scale, torch.ones_like(scale))",
        looks_like=("lengthened_only",)),
    KnownMistake("share_upside_down", "The share is norm / max_norm; it is max_norm / norm.",
        clip_grad_norm, SHARE, "share = ((norm + 1e-6) / max_norm).clamp(max=1.0)"),
    KnownMistake("scaled_to_length_one", "What is too long is divided by the norm and has length 1 then; multiply by max_norm.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else (grad / (norm + 1e-6) if norm > max_norm else grad) for grad in grads]"),
    KnownMistake("multiplied_by_the_limit", "What is too long is multiplied by max_norm; divide by the norm as well.",
        clip_grad_norm, SHARE, "share = torch.where(norm > max_norm, torch.full_like(norm, max_norm), torch.ones_like(norm))"),
    KnownMistake("limit_fixed_at_one", "max_norm is not used: the limit is always 1.",
        clip_grad_norm, LISTED, "grads, max_norm = list(grads), 1.0"),
    KnownMistake("limit_squared", "The norm is compared with max_norm but the squares divide: max_norm / norm**2.",
        clip_grad_norm, SCALE, "scale = torch.where(norm > max_norm, max_norm / (total + 1e-6), torch.ones_like(norm))"),
    KnownMistake("epsilon_of_a_hundredth", "0.01 is added to the norm: gradients come back too short.", clip_grad_norm, SCALE, "scale = max_norm / (norm + 1e-2)"),
    KnownMistake("divided_before_the_limit", "Everything is divided by its norm first, 0 too: zeros become nan.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad / norm * torch.clamp(norm, max=max_norm) for grad in grads]"),
    # what is scaled
    KnownMistake("never_clipped", "The gradients come back as they were: what was scaled is thrown away, or, where a generator (model.parameters()) was "
        "given, the norm had consumed it and the loop that scales found nothing.",
        clip_grad_norm, CLIPPED, "clipped = grads", seen_in=("NVIDIA/OpenSeq2Seq#192",)),
    KnownMistake("each_number_clamped", "Each number is clamped to +-max_norm; that bends the direction. All are scaled by one share.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad.clamp(-max_norm, max_norm) for grad in grads]"),
    KnownMistake("last_tensor_scaled_only", "Only the last tensor is scaled (the line stands outside of the loop).",
        clip_grad_norm, CLIPPED, "clipped = [grad * share if i == len(grads) - 1 and grad is not None else grad for i, grad in enumerate(grads)]"),
    KnownMistake("biases_not_scaled", "Only matrices are scaled; biases and gains are left as they were.",
        clip_grad_norm, CLIPPED, "clipped = [grad * share if grad is not None and grad.dim() > 1 else grad for grad in grads]"),
    KnownMistake("scaled_twice", "The gradients are scaled twice, by the share squared.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad * share * share for grad in grads]"),
    KnownMistake("sign_lost", "The absolute values are scaled: the sign is lost.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad.abs() * share for grad in grads]"),
    KnownMistake("generator_consumed", "The norm consumes the generator; what scales afterwards finds no gradient. Make a list of it first.",
        clip_grad_norm, LISTED, "grads = iter(list(grads))"),
    KnownMistake("missing_gradient_read", "A parameter without a gradient is not passed over: None has no norm, and the call ends in an error.",
        clip_grad_norm, PRESENT, "present = grads"),
    KnownMistake("missing_gradient_dropped", "Parameters without a gradient are dropped from the list: those after them get their neighbours' gradients.",
        clip_grad_norm, LISTED, "grads = [grad for grad in grads if grad is not None]"),
    # what is returned, and side effects
    KnownMistake("norm_after_clipping", "The norm after clipping is returned, which is hardly ever more than the limit; log the one before.",
        clip_grad_norm, RESULT, "return clipped, norm * share"),
    KnownMistake("norm_not_returned", "The norm is not returned; whoever logs it gets nothing, or nan.",
        clip_grad_norm, RESULT, "return clipped, torch.full_like(norm, float('nan'))"),
    KnownMistake("share_returned", "The share is returned in place of the norm.", clip_grad_norm, RESULT, "return clipped, share"),
    KnownMistake("square_returned", "The square of the norm is returned; its root is the norm.", clip_grad_norm, RESULT, "return clipped, total"),
    KnownMistake("in_place", "The gradients are scaled in the caller's own tensors; new ones are promised.",
        clip_grad_norm, CLIPPED, "clipped = [None if grad is None else grad.mul_(share) for grad in grads]"),
    KnownMistake("norm_kept", "The norm of the first call is kept for every later one with as many gradients.",
        clip_grad_norm, NORM, "norm = clip_grad_norm.__dict__.setdefault((len(grads), total.dtype), torch.sqrt(total))"),
)
