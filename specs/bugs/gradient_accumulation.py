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
    KnownMistake("mean_of_means", "Each micro-batch's own mean is divided by their number: those with few targets weigh too much. Divide the sum over "
        "all targets by how many there are in all of them.", gradient_accumulation, WEIGHT, "weight = 1 / len(micro_batches)",
        seen_in=("meta-pytorch/torchtune#1875", "ml-explore/mlx-lm#1413", "OpenNMT/OpenNMT-py#2209", "huggingface/blog#2414")),
    KnownMistake("means_summed", "The micro-batches' means are added and not divided: k of them make a step k times too long.",
        gradient_accumulation, WEIGHT, "weight = 1.0"),
    KnownMistake("normalised_twice", "The sum is divided by the number of targets, and once more by that of micro-batches.",
        gradient_accumulation, WEIGHT, "weight = count / max(1, total) / len(micro_batches)", seen_in=("unslothai/unsloth-zoo#1023",)),
    KnownMistake("never_normalised", "The sum over targets is not divided at all.", gradient_accumulation, WEIGHT, "weight = float(count)"),
    KnownMistake("weighted_by_size", "Micro-batches weigh by all their targets; those that are ignored do not count.",
        gradient_accumulation, COUNTS, "counts = [targets.numel() for _, targets in micro_batches]"),
    KnownMistake("weighted_by_rows", "Micro-batches weigh by their rows; what counts are targets.",
        gradient_accumulation, COUNTS, "counts = [len(targets) for _, targets in micro_batches]"),
    KnownMistake("count_of_the_first", "The number of targets of the first micro-batch serves for all.",
        gradient_accumulation, WEIGHT, "weight = counts[0] / max(1, total)"),
    KnownMistake("divided_by_the_largest", "Everything is divided as if all micro-batches were as full as the fullest.",
        gradient_accumulation, WEIGHT, "weight = count / max(1, max(counts) * len(counts))"),
    KnownMistake("last_one_dropped", "The last micro-batch is left out: an incomplete window is never used.",
        gradient_accumulation, LOOP, "for (ids, targets), count in list(zip(micro_batches, counts, strict=True))[:-1] or zip(micro_batches, counts):",
        seen_in=("tracel-ai/burn#5695", "NVIDIA-NeMo/Automodel#2257", "huggingface/transformers#39659")),
    KnownMistake("cleared_in_the_loop", "Gradients are cleared before every micro-batch: only the last one is left.",
        gradient_accumulation, MEAN, "model.zero_grad()\n" + MEAN),
    KnownMistake("first_one_cleared", "Gradients are cleared after the first backward pass: the first micro-batch is lost.",
        gradient_accumulation, BACKWARD, "share.backward()\nif not losses:\n    model.zero_grad()"),
    KnownMistake("backward_on_the_last_alone", "backward() runs for the last micro-batch alone: it stands outside of the loop.",
        gradient_accumulation, BACKWARD, "share.backward() if len(losses) == len(micro_batches) - 1 else None",
        looks_like=("cleared_in_the_loop",)),
    KnownMistake("ignored_targets_count", "Ignored targets count as id 0.",
        gradient_accumulation, MEAN, "mean = lm_loss(model(ids), targets.clamp(min=0), ignore_index)"),
    KnownMistake("empty_gives_nan", "A micro-batch in which no target counts has a mean of 0 / 0: nan times 0 is nan, and spoils the loss.",
        gradient_accumulation, MEAN, "mean = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), ignore_index=ignore_index)"),
    KnownMistake("cut_to_the_shortest", "All micro-batches are cut to the length of the shortest.",
        gradient_accumulation, MEAN, "least = min(x.shape[1] for x, _ in micro_batches)\n"
        "mean = lm_loss(model(ids)[:, :least], targets[:, :least], ignore_index)"),
    KnownMistake("shifted_once_more", "Targets are shifted by one a second time: they are the next ids already.",
        gradient_accumulation, MEAN, "mean = lm_loss(model(ids)[:, :-1], targets[:, 1:], ignore_index)"),
    KnownMistake("wrong_sign", "The gradient of minus the loss is taken.", gradient_accumulation, BACKWARD, "(-share).backward()"),
    KnownMistake("loss_of_the_last", "The loss that is returned is the last micro-batch's share; it is the sum of all shares.",
        gradient_accumulation, LOSS, "loss = losses[-1]"),
    KnownMistake("loss_divided_again", "The loss that is returned is divided by the number of micro-batches, of which it is the sum already.",
        gradient_accumulation, LOSS, "loss = torch.stack(losses).mean()",
        seen_in=("karpathy/nanoGPT@553f949f46e04a946e5ff2da6e4bb70a221ea1fc",)),
    KnownMistake("losses_summed", "The loss that is returned is the sum of the micro-batches' means.",
        gradient_accumulation, KEPT, "losses.append(mean.detach())"),
    KnownMistake("loss_is_a_mean_of_means", "The loss that is returned is the mean of the micro-batches' means; the gradients are right.",
        gradient_accumulation, KEPT, "losses.append(mean.detach() / len(micro_batches))"),
)
