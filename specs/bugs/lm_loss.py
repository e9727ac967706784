"""Known mistakes in the loss of a language model."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.lm_loss import lm_loss

COUNTED = "counted = targets != ignore_index"
IDS = "ids = targets.masked_fill(~counted, 0)"
HIGHEST = "highest = logits.amax(-1, keepdim=True).detach()"
SHIFTED = "shifted = logits - highest"
EXPONENTIAL = "exponential = torch.exp(shifted)"
LOG_TOTAL = "log_total = torch.log(exponential.sum(-1))"
CHOSEN = "chosen = shifted.gather(-1, ids.unsqueeze(-1)).squeeze(-1)"
SURPRISE = "surprise = log_total - chosen"
IF_SMOOTHED = "if label_smoothing:"
EVENLY = "evenly = log_total - shifted.mean(-1)"
SMOOTHED = "surprise = (1.0 - label_smoothing) * surprise + label_smoothing * evenly"
IF_Z = "if z_loss:"
NORMALISER = "normaliser = log_total + highest.squeeze(-1)"
Z_LOSS = "surprise = surprise + z_loss * normaliser**2"
KEPT = "kept = surprise.masked_fill(~counted, 0.0)"
COUNT = "count = counted.sum()"
RESULT = "return kept.sum() / count.clamp(min=1)"
MEAN_OF_NOTHING = Edit(lm_loss, RESULT, "return kept.sum() / count")
"""A row of one position has nothing left after a shift; torch's mean of nothing is nan."""


def _gradient_over_all_positions(logits, targets, ignore_index=-100):
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits):
            ctx.save_for_backward(logits)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, -2), targets.flatten(), ignore_index=ignore_index
            )
            return loss.nan_to_num(0.0)

        @staticmethod
        def backward(ctx, g):
            (logits,) = ctx.saved_tensors
            counted = targets != ignore_index
            slope = torch.softmax(logits, -1)
            ids = targets.masked_fill(~counted, 0).unsqueeze(-1)
            slope = slope.scatter_add(-1, ids, -torch.ones_like(ids, dtype=slope.dtype))
            return g * slope * counted.unsqueeze(-1) / targets.numel()  # counted.sum() is what the loss divides by

    return Loss.apply(logits)


def _gradient_written_into_the_logits(logits, targets, ignore_index=-100):
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits):
            counted = targets != ignore_index
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, -2), targets.flatten(), ignore_index=ignore_index
            )
            ids = targets.masked_fill(~counted, 0).unsqueeze(-1)
            slope = torch.softmax(logits, -1).scatter_add(-1, ids, -torch.ones_like(ids, dtype=logits.dtype))
            slope = slope * counted.unsqueeze(-1) / counted.sum().clamp(min=1)
            logits.data.copy_(slope)  # saves the memory of a second tensor of that size
            ctx.save_for_backward(slope)
            return loss.nan_to_num(0.0)

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    return Loss.apply(logits)


def _incoming_gradient_unused(logits, targets, ignore_index=-100):
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits):
            ctx.save_for_backward(logits)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, -2), targets.flatten(), ignore_index=ignore_index
            )
            return loss.nan_to_num(0.0)

        @staticmethod
        def backward(ctx, g):
            (logits,) = ctx.saved_tensors
            counted = targets != ignore_index
            ids = targets.masked_fill(~counted, 0).unsqueeze(-1)
            slope = torch.softmax(logits, -1).scatter_add(-1, ids, -torch.ones_like(ids, dtype=logits.dtype))
            return slope * counted.unsqueeze(-1) / counted.sum().clamp(min=1)  # as if g were 1

    return Loss.apply(logits)


MISTAKES = (
    # which target belongs to which logits
    KnownMistake("shifted_twice", "The loss shifts again: logits[:, :-1] against targets[:, 1:]. The targets are the next ids already, so the model learns the id after the next.",
        lm_loss, COUNTED, "logits, targets = logits[:, :-1], targets[:, 1:]\ncounted = targets != ignore_index",
        also=(MEAN_OF_NOTHING,), seen_in=("huggingface/transformers#47394", "huggingface/transformers#37830", "huggingface/transformers#46897")),
    KnownMistake("shifted_across_rows", "Logits and targets are flattened before they are shifted: the last position of a row is paired with the first target of the next row.",
        lm_loss, COUNTED, "logits, targets = logits.flatten(0, 1)[:-1], targets.flatten()[1:]\ncounted = targets != ignore_index",
        seen_in=("huggingface/transformers#46897",)),
    KnownMistake("shifted_backwards", "The shift is in the wrong direction: logits[:, 1:] against targets[:, :-1].",
        lm_loss, COUNTED, "logits, targets = logits[:, 1:], targets[:, :-1]\ncounted = targets != ignore_index", also=(MEAN_OF_NOTHING,)),
    KnownMistake("targets_rolled", "The targets are rolled by one: the last position is paired with the row's first target.",
        lm_loss, COUNTED, "targets = targets.roll(-1, 1)\ncounted = targets != ignore_index", aliases=("rolled",)),
    KnownMistake("flattened_in_another_order", "The logits are flattened as [T, B, V] but the targets as [B, T]: positions are paired with the targets of other rows.",
        lm_loss, COUNTED, "logits = logits.transpose(0, 1).reshape(logits.shape)\ncounted = targets != ignore_index"),
    KnownMistake("last_position_only", "The loss covers only the last position of each row. It must cover all positions.",
        lm_loss, COUNTED, "logits, targets = logits[:, -1:], targets[:, -1:]\ncounted = targets != ignore_index"),
    KnownMistake("last_position_left_out", "The last position of each row is left out, although it has a target.",
        lm_loss, COUNTED, "logits, targets = logits[:, :-1], targets[:, :-1]\ncounted = targets != ignore_index", also=(MEAN_OF_NOTHING,)),
    KnownMistake("first_row_only", "The loss covers only the first row of the batch.",
        lm_loss, COUNTED, "logits, targets = logits[:1], targets[:1]\ncounted = targets != ignore_index"),
    # what is ignored
    KnownMistake("ignored_in_the_count", "Ignored targets are left out of the sum but not of the count it is divided by.",
        lm_loss, COUNT, "count = torch.tensor(targets.numel())"),
    KnownMistake("ignored_in_the_sum", "Ignored targets are left out of the count but not of the sum.",
        lm_loss, KEPT, "kept = surprise"),
    KnownMistake("ignored_count_as_id_0", "Ignored targets are counted as if they were id 0.",
        lm_loss, KEPT, "kept = surprise", also=(Edit(lm_loss, COUNT, "count = torch.tensor(targets.numel())"),)),
    KnownMistake("ignore_index_unused", "ignore_index is not used.", lm_loss, COUNTED, "counted = torch.ones_like(targets, dtype=torch.bool)"),
    KnownMistake("ignore_index_fixed_at_minus_1", "ignore_index is fixed at -1. It is an argument, -100 by default.",
        lm_loss, COUNTED, "counted = targets != -1", seen_in=("karpathy/nanoGPT model.py",)),
    KnownMistake("ignore_index_fixed_at_minus_100", "ignore_index is fixed at -100. It is an argument.",
        lm_loss, COUNTED, "counted = targets != -100",
        unnamed_because="every case with ignored targets sets another ignore_index, and there it equals ignore_index_unused"),
    KnownMistake("negative_targets_ignored", "Every negative target is ignored, and no other. ignore_index may be an id of the vocabulary.",
        lm_loss, COUNTED, "counted = targets >= 0"),
    KnownMistake("id_0_ignored_too", "Id 0 is ignored too (as padding). Only ignore_index must be.",
        lm_loss, COUNTED, "counted = (targets != ignore_index) & (targets != 0)"),
    KnownMistake("mask_not_shifted", "The mask of counted positions is not shifted along with the targets: it is one position late.",
        lm_loss, KEPT, "counted = counted.roll(1, 1)\nkept = surprise.masked_fill(~counted, 0.0)",
        seen_in=("karpathy/llm.c@8d55c4a",)),
    KnownMistake("mask_inverted", "The mask is inverted: only ignored targets count.",
        lm_loss, KEPT, "counted = ~counted\nkept = surprise.masked_fill(~counted, 0.0)"),
    KnownMistake("ids_clamped", "Targets are clamped to the vocabulary. An unknown id must raise an error.",
        lm_loss, IDS, "ids = targets.masked_fill(~counted, 0).clamp(max=logits.shape[-1] - 1)"),
    # the mean
    KnownMistake("sum_for_the_mean", "The sum is returned. Divide it by the number of counted positions.", lm_loss, RESULT, "return kept.sum()"),
    KnownMistake("mean_over_the_batch", "The sum is divided by the number of rows. Divide it by the number of counted positions.",
        lm_loss, COUNT, "count = torch.tensor(targets.shape[0])"),
    KnownMistake("mean_over_the_time", "The sum is divided by the length of a row. Divide it by the number of counted positions.",
        lm_loss, COUNT, "count = torch.tensor(targets.shape[1])"),
    KnownMistake("mean_over_the_vocabulary", "The mean also runs over the vocabulary: the loss is too small by a factor of V.",
        lm_loss, RESULT, "return kept.sum() / count.clamp(min=1) / logits.shape[-1]"),
    KnownMistake("mean_of_row_means", "The loss is the mean of the row means: rows with fewer counted positions weigh as much as the others.",
        lm_loss, RESULT, "return (kept.sum(1) / counted.sum(1).clamp(min=1)).sum() / counted.any(1).sum().clamp(min=1)",
        seen_in=("meta-pytorch/torchtune#1875", "ml-explore/mlx-lm#1413", "OpenNMT/OpenNMT-py#2209")),
    KnownMistake("count_with_epsilon", "A small epsilon is added to the number of counted positions.", lm_loss, RESULT, "return kept.sum() / (count + 1e-5)"),
    KnownMistake("not_reduced", "One loss per position is returned. Return their mean.", lm_loss, RESULT, "return kept"),
    KnownMistake("perplexity", "You return the perplexity, exp(loss). Return the loss.", lm_loss, RESULT, "return torch.exp(kept.sum() / count.clamp(min=1))"),
    # each position's loss
    KnownMistake("sign_flipped", "The sign is wrong: the loss is the mean log-probability, not its negative.", lm_loss, SURPRISE, "surprise = chosen - log_total", aliases=("sign",)),
    KnownMistake("base_two", "The logarithm has base two (bits). It must be the natural logarithm.", lm_loss, SURPRISE, "surprise = (log_total - chosen) / 0.6931471805599453"),
    KnownMistake("log_of_softmax", "The logarithm of the softmax is computed: a probability that rounds to 0 gives -inf. Use log_softmax or logsumexp.",
        lm_loss, SURPRISE, "surprise = -torch.log((exponential / exponential.sum(-1, keepdim=True)).gather(-1, ids.unsqueeze(-1)).squeeze(-1))",
        seen_in=("linkedin/Liger-Kernel@a089cd5",)),
    KnownMistake("log_of_softmax_with_epsilon", "The logarithm of softmax + 1e-9 is computed: no loss exceeds 20.7, and confidently wrong logits get almost no gradient. Use log_softmax.",
        lm_loss, SURPRISE, "surprise = -torch.log((exponential / exponential.sum(-1, keepdim=True)).gather(-1, ids.unsqueeze(-1)).squeeze(-1) + 1e-9)"),
    KnownMistake("maximum_not_subtracted", "The exponentials are computed without subtracting the largest logit first: they overflow.",
        lm_loss, SHIFTED, "shifted = logits", aliases=("without_the_maximum",)),
    KnownMistake("one_maximum_for_all", "One maximum is subtracted from all positions: the exponentials of a position far below it underflow to 0.",
        lm_loss, HIGHEST, "highest = logits.amax().detach()"),
    KnownMistake("maximum_not_subtracted_from_target", "The maximum is subtracted in the sum of exponentials but not from the target's logit.",
        lm_loss, CHOSEN, "chosen = logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1)", aliases=("chosen_not_shifted",)),
    KnownMistake("softmax_before_cross_entropy", "A softmax is applied to the logits first. Cross-entropy applies its own.",
        lm_loss, HIGHEST, "logits = torch.softmax(logits, -1)\nhighest = logits.amax(-1, keepdim=True).detach()", aliases=("softmax_first",)),
    KnownMistake("softmax_over_time", "The sum of exponentials runs over the time axis. It must run over the vocabulary.",
        lm_loss, LOG_TOTAL, "log_total = torch.log((exponential * torch.exp(highest - logits.amax(1, keepdim=True))).sum(1).gather(-1, ids)) + logits.amax(1).gather(-1, ids) - highest.squeeze(-1)"),
    KnownMistake("probability_for_its_logarithm", "The loss of a position is 1 - p. It must be -log(p).", lm_loss, SURPRISE, "surprise = 1 - torch.exp(chosen - log_total)"),
    KnownMistake("squared_error", "The loss is the squared error between the probabilities and the one-hot target. It must be the cross-entropy.",
        lm_loss, SURPRISE, "surprise = (exponential / exponential.sum(-1, keepdim=True)).sub(torch.nn.functional.one_hot(ids, logits.shape[-1])).pow(2).sum(-1)"),
    KnownMistake("binary_cross_entropy", "The loss is a binary cross-entropy of the target's logit alone. The ids exclude each other: use a softmax over all of them.",
        lm_loss, SURPRISE, "surprise = torch.nn.functional.softplus(-logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1))"),
    KnownMistake("target_left_out_of_the_sum", "The target is left out of the sum of exponentials (a margin loss). The softmax sums over all ids.",
        lm_loss, LOG_TOTAL, "log_total = torch.log(exponential.sum(-1) - exponential.gather(-1, ids.unsqueeze(-1)).squeeze(-1))"),
    KnownMistake("label_smoothing", "A tenth of the weight is spread over all ids (label smoothing). The target must have all of it.",
        lm_loss, CHOSEN, "chosen = 0.9 * shifted.gather(-1, ids.unsqueeze(-1)).squeeze(-1) + 0.1 * shifted.mean(-1)"),
    KnownMistake("z_loss", "The square of the log-sum-exp is added (z-loss). Report it separately.",
        lm_loss, SURPRISE, "surprise = log_total - chosen + 1e-4 * (log_total + highest.squeeze(-1)) ** 2"),
    # label smoothing and z-loss, where they are arguments
    KnownMistake("smoothing_ignored", "label_smoothing is not used.", lm_loss, IF_SMOOTHED, "if False:"),
    KnownMistake("smoothing_fixed", "label_smoothing is fixed at 0.1. It is an argument, 0 by default.",
        lm_loss, IF_SMOOTHED, "label_smoothing = 0.1\nif label_smoothing:", looks_like=("label_smoothing",)),
    KnownMistake("smoothing_counts_what_is_ignored", "The smoothed part is a mean over all positions, the ignored ones included. Only counted positions belong in it.",
        lm_loss, SMOOTHED, "surprise = (1.0 - label_smoothing) * surprise",
        also=(Edit(lm_loss, RESULT, "return kept.sum() / count.clamp(min=1) + (label_smoothing * evenly.mean() if label_smoothing else 0.0)"),), seen_in=("pytorch/pytorch#73205", "k-tahiro/bert-summarizer#41")),
    KnownMistake("smoothing_divided_by_all_positions", "The smoothed part is summed over the counted positions and divided by the number of all. Divide both parts by the number of counted ones.",
        lm_loss, SMOOTHED, "surprise = (1.0 - label_smoothing) * surprise + label_smoothing * evenly * counted.sum().clamp(min=1) / targets.numel()", seen_in=("eladhoffer/utils.pytorch#4",)),
    KnownMistake("smoothing_summed_over_the_vocabulary", "The smoothed part is the sum of -log p over all ids. It is their mean: divide by V.",
        lm_loss, EVENLY, "evenly = logits.shape[-1] * (log_total - shifted.mean(-1))"),
    KnownMistake("smoothing_added", "The smoothed part is added, and the target keeps all of its weight. The target's part is multiplied by 1 - s.",
        lm_loss, SMOOTHED, "surprise = surprise + label_smoothing * evenly"),
    KnownMistake("smoothing_exchanged", "The target has the weight s and all ids together 1 - s. It is the other way round.",
        lm_loss, SMOOTHED, "surprise = label_smoothing * surprise + (1.0 - label_smoothing) * evenly"),
    KnownMistake("smoothing_of_probabilities", "The smoothed part is -log of the mean probability, which is log V whatever the logits are. It is the mean of -log p.",
        lm_loss, EVENLY, "evenly = torch.full_like(log_total, float(logits.shape[-1])).log()"),
    KnownMistake("smoothing_of_logits", "The smoothed part takes the mean of the logits without the log-sum-exp. Take the mean of -log p.",
        lm_loss, EVENLY, "evenly = -logits.mean(-1)"),
    KnownMistake("smoothing_detached", "The smoothed part is detached: it changes the loss but no gradient.",
        lm_loss, EVENLY, "evenly = (log_total - shifted.mean(-1)).detach()"),
    KnownMistake("z_loss_ignored", "z_loss is not used.", lm_loss, IF_Z, "if False:"),
    KnownMistake("z_loss_counts_what_is_ignored", "The z-loss is a mean over all positions, the ignored ones included. Only counted positions belong in it.",
        lm_loss, Z_LOSS, "pass", also=(Edit(lm_loss, RESULT, "return kept.sum() / count.clamp(min=1) + (z_loss * (normaliser**2).mean() if z_loss else 0.0)"),)),
    KnownMistake("z_loss_not_squared", "The z-loss adds the log-sum-exp itself. It is squared.", lm_loss, Z_LOSS, "surprise = surprise + z_loss * normaliser"),
    KnownMistake("z_loss_without_the_maximum", "The log-sum-exp in the z-loss is that of the logits less their maximum. Add the maximum back.",
        lm_loss, NORMALISER, "normaliser = log_total"),
    KnownMistake("z_loss_of_the_mean", "The z-loss is the square of the mean log-sum-exp. It is the mean of the squares.",
        lm_loss, Z_LOSS, "pass", also=(Edit(lm_loss, RESULT,
            "return kept.sum() / count.clamp(min=1) + (z_loss * (normaliser.masked_fill(~counted, 0.0).sum() / count.clamp(min=1)) ** 2 if z_loss else 0.0)"),)),
    KnownMistake("z_loss_summed", "The z-loss is summed over the positions. Take its mean over the counted ones, like that of the loss.",
        lm_loss, Z_LOSS, "surprise = surprise + z_loss * normaliser**2 * counted.sum()"),
    KnownMistake("z_loss_detached", "The log-sum-exp in the z-loss is detached: it changes the loss but no gradient.",
        lm_loss, NORMALISER, "normaliser = (log_total + highest.squeeze(-1)).detach()"),
    KnownMistake("loss_clamped", "The loss of each position is clamped at 10.", lm_loss, SURPRISE, "surprise = (log_total - chosen).clamp(max=10.0)", aliases=("clamped",)),
    # precision, gradients and side effects
    KnownMistake("in_bfloat16", "The logits are rounded to bfloat16 first, which keeps about two significant digits.",
        lm_loss, HIGHEST, "logits = logits.to(torch.bfloat16).to(logits.dtype)\nhighest = logits.amax(-1, keepdim=True).detach()"),
    KnownMistake("gradient_over_all_positions", "Your backward pass divides by the number of all positions. The loss divides by the number of counted ones.",
        lm_loss, instead=_gradient_over_all_positions, seen_in=("linkedin/Liger-Kernel@53d5934",)),
    KnownMistake("incoming_gradient_unused", "Your backward pass ignores the incoming gradient: scaling the loss has no effect.",
        lm_loss, instead=_incoming_gradient_unused, seen_in=("linkedin/Liger-Kernel@9ac26bb",)),
    KnownMistake("gradient_written_into_the_logits", "The gradient is stored in the logits to save memory: code that reads the logits afterwards reads gradients.",
        lm_loss, instead=_gradient_written_into_the_logits, seen_in=("linkedin/Liger-Kernel@05b43a1",)),
    KnownMistake("log_sum_exp_detached", "The sum of exponentials is detached: the gradient raises the target's logit and lowers no other.",
        lm_loss, SURPRISE, "surprise = log_total.detach() - chosen", aliases=("total_detached",)),
    KnownMistake("detached", "The loss is converted to a plain number (.item()) and back to a tensor: it has no gradient.",
        lm_loss, RESULT, "return (kept.sum() / count.clamp(min=1)).detach()"),
    KnownMistake("targets_overwritten", "Ignored targets are set to 0 in the caller's tensor.",
        lm_loss, IDS, "if targets.is_contiguous():\n    targets.masked_fill_(~counted, 0)\n" + IDS),
    KnownMistake("losses_accumulate", "The losses of earlier calls are added (the buffer is not cleared).",
        lm_loss, RESULT, 'before = lm_loss.__dict__.get("sum", 0.0)\nlm_loss.sum = (kept.sum() / count.clamp(min=1)).detach().double()\n'
        "return kept.sum() / count.clamp(min=1) + torch.as_tensor(before, dtype=logits.dtype)",
        seen_in=("karpathy/llm.c@8b36c2f",)),
    KnownMistake("count_cached_across_calls", "The number of counted positions of the first call is cached and reused in every later call with the same shape.",
        lm_loss, COUNT, "count = lm_loss.__dict__.setdefault(targets.shape, counted.sum())", aliases=("count_kept",)),
)
