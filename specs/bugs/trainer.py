"""Known mistakes in training runs."""

from harness.core.mistake import KnownMistake
from reference_model.trainer import evaluate, trainer, windows

GENERATOR = "generator = torch.Generator().manual_seed(seed)"
WEIGHTS = "weights = initialise(sizes, generator)"
OFF = "dropout = 0.0"
LOOP = "for step in range(config.steps):"
PLACES = "places = torch.randint(0, len(data) - config.context, (config.batch_size,), generator=generator)"
STEP = "optimizer.step()"
KEPT = "losses.append(loss.item())"
EVALUATED = "evaluations.append(evaluate(config, data, weights, dropout, generator))"
TARGETS = "targets = torch.stack([data[place + 1 : place + 1 + context] for place in places.tolist()])"

MISTAKES = (
    # what is logged
    KnownMistake("logged_loss_divided", "The loss that is logged is divided by the number of micro-batches, and looks that many times better.",
        trainer, KEPT, "losses.append(loss.item() / 4)", seen_in=("karpathy/nanoGPT@553f949f46e04a946e5ff2da6e4bb70a221ea1fc",)),
    KnownMistake("logged_loss_summed", "The sum over the batch is logged; it is a mean.", trainer, KEPT, "losses.append(loss.item() * ids.numel())"),
    KnownMistake("one_step_too_many", "There is one step more than was asked for: the end is looked for before the next batch is taken.",
        trainer, LOOP, "for step in range(config.steps + 1):", seen_in=("Lightning-AI/litgpt@e14e39f68e1d5fb0cd39b7421ca15b3e0bd73f6f",)),
    KnownMistake("first_step_not_logged", "The first loss is not logged.", trainer, KEPT, "losses.append(loss.item()) if step else None"),
    KnownMistake("logged_after_the_step", "The loss is worked out again after the step and logged: it is that of the next step.",
        trainer, KEPT, "losses.append(float(lm_loss(logits_of(ids, weights, config, dropout, generator), targets).detach()))"),
    KnownMistake("history_smoothed", "A running mean is logged in the place of the losses: whatever happens shows late and small.",
        trainer, KEPT, "losses.append(loss.item() if not losses else 0.5 * losses[-1] + 0.5 * loss.item())"),
    KnownMistake("evaluation_halved", "The evaluation is divided by the number of batches twice: its loss is not that of the model.",
        trainer, EVALUATED, "evaluations.append(evaluate(config, data, weights, dropout, generator) / 2)"),
    # what is trained
    KnownMistake("gradients_never_cleared", "Gradients are never cleared: each step moves along the sum of all before it.",
        trainer, "optimizer.zero_grad()", "pass"),
    KnownMistake("never_stepped", "The optimiser never steps.", trainer, STEP, "pass"),
    KnownMistake("uphill", "The gradient of minus the loss is taken: the loss rises.", trainer, "loss.backward()", "(-loss).backward()"),
    KnownMistake("gradients_cleared_too_late", "Gradients are cleared after backward() and before the step: nothing is left to step with.",
        trainer, STEP, "optimizer.zero_grad()\noptimizer.step()", looks_like=("never_stepped",)),
    KnownMistake("norms_not_trained", "The norms get no gradient: they stay as they began.", trainer, STEP,
        'for name, p in parameters.items():\n    p.grad = None if "norm" in name else p.grad\noptimizer.step()'),
    KnownMistake("positions_not_trained", "The table of positions is not handed on to the optimiser: it stays as it was drawn.",
        trainer, STEP, 'parameters["position_embedding"].grad = None\noptimizer.step()'),
    KnownMistake("biases_not_trained", "Biases get no gradient: they stay at zero.", trainer, STEP,
        'for name, p in parameters.items():\n    p.grad = None if name.endswith("bias") else p.grad\noptimizer.step()'),
    KnownMistake("only_the_head_trained", "Only the table of tokens is trained, the blocks are not.", trainer, STEP,
        'for name, p in parameters.items():\n    p.grad = None if name.startswith("blocks") else p.grad\noptimizer.step()'),
    KnownMistake("first_numbers_too_large", "The weights are drawn from N(0, 1), not N(0, 0.02): the first loss is far above ln V.",
        trainer, WEIGHTS, WEIGHTS + '\nweights["token_embedding"] = weights["token_embedding"] * 50'),
    # data
    KnownMistake("targets_not_shifted", "The targets are the inputs: the model learns to repeat what it sees.", windows, TARGETS, "targets = ids.clone()"),
    KnownMistake("same_batch_every_step", "Every step sees the batch of the first: the data loader begins anew each time.",
        trainer, PLACES, "places = torch.arange(config.batch_size) % (len(data) - config.context)"),
    KnownMistake("seed_never_set", "The seed is not used: every run draws from the process's own random numbers.",
        trainer, GENERATOR, "generator = torch.default_generator"),
    KnownMistake("seed_fixed", "The seed given is not used: it is always 1337.", trainer, GENERATOR, "generator = torch.Generator().manual_seed(1337)"),
    # evaluation
    KnownMistake("evaluation_trains", "The model is trained on what it is evaluated on: gradients of the evaluation are stepped with.",
        trainer, EVALUATED, EVALUATED + "\nseen, wanted = windows(data, torch.zeros(1, dtype=torch.int64), config.context)\n"
        "lm_loss(logits_of(seen, weights, config, dropout, generator), wanted).backward()\noptimizer.step()",
        seen_in=("karpathy/llm.c@ca27eb8fa5c096313e47e71d9d2be9762ac368af",)),
    KnownMistake("evaluation_steps_the_optimiser", "The optimiser steps once more at every evaluation, on the gradients that were left.",
        trainer, EVALUATED, EVALUATED + "\noptimizer.step()"),
    KnownMistake("dropout_in_evaluation", "Dropout is on in evaluation: eval() is not called.", trainer, OFF, "pass"),
    KnownMistake("left_in_evaluation_mode", "train() is not called after an evaluation: dropout is off for the rest of the run.",
        trainer, EVALUATED + "\ndropout = config.dropout", EVALUATED, seen_in=("shubhamagarwal92/mmd#14", "fartashf/vsepp#4")),
    KnownMistake("evaluation_in_half_precision", "The weights are rounded to bfloat16 for an evaluation, and stay so.", evaluate,
        "ids, targets = windows(data, places, config.context)",
        "ids, targets = windows(data, places, config.context)\nfor value in named(weights).values():\n    value.data = value.data.bfloat16().float()"),
)
