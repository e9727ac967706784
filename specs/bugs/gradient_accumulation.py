"""Known mistakes in accumulating gradients."""

from harness.core.mistake import KnownMistake
from reference_model.gradient_accumulation import gradient_accumulation

COUNTS = "counts = [int((targets != ignore_index).sum()) for _, targets in micro_batches]"
LOOP = "for (ids, targets), count in zip(micro_batches, counts, strict=True):"
MEAN = "mean = lm_loss(model(ids), targets, ignore_index)"
WEIGHT = "weight = count / max(1, total)"
BACKWARD = "share.backward()"
KEPT = "losses.append(share.detach())"
LOSS = "loss = torch.stack(losses).sum()"

MISTAKES = (
    KnownMistake("mean_of_means", "The micro-batches' means are averaged: micro-batches with few targets weigh too much. Divide the sum over all targets by the number of targets in all micro-batches.", gradient_accumulation, WEIGHT, "weight = 1 / len(micro_batches)",
        seen_in=("meta-pytorch/torchtune#1875", "ml-explore/mlx-lm#1413", "OpenNMT/OpenNMT-py#2209", "huggingface/blog#2414")),
    KnownMistake("means_summed", "The micro-batches' means are summed but not divided: k micro-batches make the gradient k times too large.",
        gradient_accumulation, WEIGHT, "weight = 1.0"),
    KnownMistake("normalised_twice", "The sum is divided by the number of targets and again by the number of micro-batches.",
        gradient_accumulation, WEIGHT, "weight = count / max(1, total) / len(micro_batches)", seen_in=("unslothai/unsloth-zoo#1023",)),
    KnownMistake("never_normalised", "The sum over the targets is not divided by their number.", gradient_accumulation, WEIGHT, "weight = float(count)"),
    KnownMistake("weighted_by_all_targets", "Micro-batches are weighted by all their targets. Ignored targets must not count.",
        gradient_accumulation, COUNTS, "counts = [targets.numel() for _, targets in micro_batches]", aliases=("weighted_by_size",)),
    KnownMistake("weighted_by_rows", "Micro-batches are weighted by their number of rows. Weight them by their number of targets.",
        gradient_accumulation, COUNTS, "counts = [len(targets) for _, targets in micro_batches]"),
    KnownMistake("first_target_count_for_all", "The number of targets in the first micro-batch is used for all of them.",
        gradient_accumulation, WEIGHT, "weight = counts[0] / max(1, total)", aliases=("count_of_the_first",)),
    KnownMistake("divided_by_the_largest_count", "The sum is divided as if every micro-batch had as many targets as the largest one.",
        gradient_accumulation, WEIGHT, "weight = count / max(1, max(counts) * len(counts))", aliases=("divided_by_the_largest",)),
    KnownMistake("last_micro_batch_dropped", "The last micro-batch is dropped: an incomplete accumulation window is never used.",
        gradient_accumulation, LOOP, "for (ids, targets), count in list(zip(micro_batches, counts, strict=True))[:-1] or zip(micro_batches, counts):",
        seen_in=("tracel-ai/burn#5695", "NVIDIA-NeMo/Automodel#2257", "huggingface/transformers#39659"), aliases=("last_one_dropped",)),
    KnownMistake("zero_grad_in_the_loop", "The gradients are cleared before every micro-batch: only the last one counts.",
        gradient_accumulation, MEAN, "model.zero_grad()\n" + MEAN, aliases=("cleared_in_the_loop",)),
    KnownMistake("zero_grad_after_the_first", "The gradients are cleared after the first backward pass: the first micro-batch is lost.",
        gradient_accumulation, BACKWARD, "share.backward()\nif not losses:\n    model.zero_grad()", aliases=("first_one_cleared",)),
    KnownMistake("backward_on_the_last_only", "backward() runs for the last micro-batch only: it is outside the loop.",
        gradient_accumulation, BACKWARD, "share.backward() if len(losses) == len(micro_batches) - 1 else None",
        looks_like=("zero_grad_in_the_loop",), aliases=("backward_on_the_last_alone",)),
    KnownMistake("ignored_count_as_id_0", "Ignored targets are counted as if they were id 0.",
        gradient_accumulation, MEAN, "mean = lm_loss(model(ids), targets.clamp(min=0), ignore_index)", aliases=("ignored_targets_count",)),
    KnownMistake("empty_micro_batch_gives_nan", "A micro-batch without counted targets has a mean of 0 / 0: nan times 0 is nan, so the loss is nan.",
        gradient_accumulation, MEAN, "mean = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), ignore_index=ignore_index)", aliases=("empty_gives_nan",)),
    KnownMistake("cropped_to_the_shortest", "All micro-batches are cropped to the length of the shortest one.",
        gradient_accumulation, MEAN, "least = min(x.shape[1] for x, _ in micro_batches)\n"
        "mean = lm_loss(model(ids)[:, :least], targets[:, :least], ignore_index)", aliases=("cut_to_the_shortest",)),
    KnownMistake("shifted_twice", "The targets are shifted by one a second time. They are the next ids already.",
        gradient_accumulation, MEAN, "mean = lm_loss(model(ids)[:, :-1], targets[:, 1:], ignore_index)", aliases=("shifted_once_more",)),
    KnownMistake("wrong_sign", "The gradient of the negative loss is computed.", gradient_accumulation, BACKWARD, "(-share).backward()"),
    KnownMistake("loss_of_the_last_micro_batch", "The returned loss is the weighted loss of the last micro-batch. It must be the sum over all micro-batches.",
        gradient_accumulation, LOSS, "loss = losses[-1]", aliases=("loss_of_the_last",)),
    KnownMistake("loss_divided_again", "The returned loss is divided by the number of micro-batches. The weighted losses sum to the mean already.",
        gradient_accumulation, LOSS, "loss = torch.stack(losses).mean()",
        seen_in=("karpathy/nanoGPT@553f949f46e04a946e5ff2da6e4bb70a221ea1fc",)),
    KnownMistake("unweighted_losses_summed", "The returned loss is the sum of the micro-batches' means. The means must be weighted by their number of targets.",
        gradient_accumulation, KEPT, "losses.append(mean.detach())", aliases=("losses_summed",)),
    KnownMistake("returned_loss_is_a_mean_of_means", "The returned loss is the mean of the micro-batches' means. The gradients are right.",
        gradient_accumulation, KEPT, "losses.append(mean.detach() / len(micro_batches))", aliases=("loss_is_a_mean_of_means",)),
)
