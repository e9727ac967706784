"""Known mistakes in training runs."""

from harness.core.mistake import KnownMistake
from reference_model.trainer import evaluate, trainer, windows

GENERATOR = "generator = torch.Generator().manual_seed(seed)"
WEIGHTS = "weights = initialise(sizes, generator)"
OFF = "dropout = 0.0"
LOOP = "for step in range(config.steps):"
PLACES = "places = torch.randint(0, len(data) - config.context, (config.batch_size,), generator=generator)"
STEP = "optimizer.step()"
CLIP = "torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)"
KEPT = "losses.append(loss.item())"
EVALUATED = "evaluations.append(evaluate(config, data, weights, dropout, generator))"
TARGETS = "targets = torch.stack([data[place + 1 : place + 1 + context] for place in places.tolist()])"

MISTAKES = (
    # logging
    KnownMistake("logged_loss_divided", "The logged loss is divided by the number of micro-batches, so it looks too small.",
        trainer, KEPT, "losses.append(loss.item() / 4)", seen_in=("karpathy/nanoGPT@553f949f46e04a946e5ff2da6e4bb70a221ea1fc",)),
    KnownMistake("logged_loss_summed", "The logged loss is the sum over the batch. It must be the mean.", trainer, KEPT, "losses.append(loss.item() * ids.numel())"),
    KnownMistake("one_step_too_many", "Training runs one step more than requested: the stop condition is checked before the next batch is taken.",
        trainer, LOOP, "for step in range(config.steps + 1):", seen_in=("Lightning-AI/litgpt@e14e39f68e1d5fb0cd39b7421ca15b3e0bd73f6f",)),
    KnownMistake("first_step_not_logged", "The loss of the first step is not logged.", trainer, KEPT, "losses.append(loss.item()) if step else None"),
    KnownMistake("logged_after_the_step", "The loss is computed again after the step and logged. Log the loss from before the step.",
        trainer, KEPT, "losses.append(float(lm_loss(logits_of(ids, weights, config, dropout, generator), targets).detach()))"),
    KnownMistake("loss_history_smoothed", "A running mean is logged, not the losses themselves: every change shows late and small.",
        trainer, KEPT, "losses.append(loss.item() if not losses else 0.5 * losses[-1] + 0.5 * loss.item())", aliases=("history_smoothed",)),
    KnownMistake("evaluation_loss_divided_twice", "The evaluation loss is divided by the number of batches twice.",
        trainer, EVALUATED, "evaluations.append(evaluate(config, data, weights, dropout, generator) / 2)", aliases=("evaluation_halved",)),
    # training
    KnownMistake("gradients_never_cleared", "Gradients are never cleared: each step uses the sum of all gradients so far.",
        trainer, "optimizer.zero_grad()", "pass"),
    KnownMistake("optimiser_never_steps", "The optimiser never steps.", trainer, STEP, "pass", aliases=("never_stepped",)),
    KnownMistake("gradient_ascent", "The gradient of the negative loss is used: the loss rises.", trainer, "loss.backward()", "(-loss).backward()", aliases=("uphill",)),
    KnownMistake("gradients_cleared_before_the_step", "Gradients are cleared between backward() and step(): the optimiser has no gradient.",
        trainer, STEP, "optimizer.zero_grad()\noptimizer.step()", looks_like=("optimiser_never_steps",), aliases=("gradients_cleared_too_late",)),
    KnownMistake("norms_not_trained", "The norms receive no gradient: they keep their initial values.", trainer, STEP,
        'for name, p in parameters.items():\n    p.grad = None if "norm" in name else p.grad\noptimizer.step()'),
    KnownMistake("positions_not_trained", "The position embedding is not passed to the optimiser: it keeps its initial values.",
        trainer, STEP, 'parameters["position_embedding"].grad = None\noptimizer.step()'),
    KnownMistake("biases_not_trained", "The biases receive no gradient: they stay at zero.", trainer, STEP,
        'for name, p in parameters.items():\n    p.grad = None if name.endswith("bias") else p.grad\noptimizer.step()'),
    KnownMistake("blocks_not_trained", "The blocks receive no gradient: only the parameters outside them are trained.", trainer, STEP,
        'for name, p in parameters.items():\n    p.grad = None if name.startswith("blocks") else p.grad\noptimizer.step()', aliases=("only_the_head_trained",)),
    KnownMistake("initial_weights_too_large", "The weights are initialised from N(0, 1), not N(0, 0.02): the initial loss is far above ln V.",
        trainer, WEIGHTS, WEIGHTS + '\nweights["token_embedding"] = weights["token_embedding"] * 50', aliases=("first_numbers_too_large",)),
    KnownMistake("clipped_after_the_step", "The gradients are clipped when the step has been taken, and cleared then: nothing is clipped. Clip between backward() and step().",
        trainer, CLIP + "\n" + STEP, STEP + "\n" + CLIP),
    KnownMistake("clipped_before_backward", "The gradients are clipped before backward() has computed them: nothing is clipped. Clip between backward() and step().",
        trainer, "loss.backward()\n" + CLIP, CLIP + "\nloss.backward()"),
    # data
    KnownMistake("targets_not_shifted", "The targets are the inputs, not the next ids: the model learns to copy its input.", windows, TARGETS, "targets = ids.clone()"),
    KnownMistake("same_batch_every_step", "Every step uses the first batch: the data loader restarts in each step.",
        trainer, PLACES, "places = torch.arange(config.batch_size) % (len(data) - config.context)"),
    KnownMistake("seed_ignored", "The seed is ignored: every run uses the global random state of the process.",
        trainer, GENERATOR, "generator = torch.default_generator", aliases=("seed_never_set",)),
    KnownMistake("seed_fixed", "The seed argument is ignored: it is always 1337.", trainer, GENERATOR, "generator = torch.Generator().manual_seed(1337)"),
    # evaluation
    KnownMistake("evaluation_trains", "The model is trained on the evaluation data: evaluation computes gradients and the optimiser steps.",
        trainer, EVALUATED, EVALUATED + "\nseen, wanted = windows(data, torch.zeros(1, dtype=torch.int64), config.context)\n"
        "lm_loss(logits_of(seen, weights, config, dropout, generator), wanted).backward()\noptimizer.step()",
        seen_in=("karpathy/llm.c@ca27eb8fa5c096313e47e71d9d2be9762ac368af",)),
    KnownMistake("evaluation_steps_the_optimiser", "The optimiser steps once more in every evaluation, with the remaining gradients.",
        trainer, EVALUATED, EVALUATED + "\noptimizer.step()"),
    KnownMistake("dropout_in_evaluation", "Dropout is active in evaluation: eval() is not called.", trainer, OFF, "pass"),
    KnownMistake("left_in_evaluation_mode", "train() is not called after an evaluation: dropout stays off for the rest of the run.",
        trainer, EVALUATED + "\ndropout = config.dropout", EVALUATED, seen_in=("shubhamagarwal92/mmd#14", "fartashf/vsepp#4")),
    KnownMistake("evaluation_in_half_precision", "The weights are rounded to bfloat16 for an evaluation and stay rounded.", evaluate,
        "ids, targets = windows(data, places, config.context)",
        "ids, targets = windows(data, places, config.context)\nfor value in named(weights).values():\n    value.data = value.data.bfloat16().float()"),
)
