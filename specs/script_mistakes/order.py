"""The calls of a step in the wrong order, missing, or on the wrong object."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "zero_grad_named_not_called",
        "llmc",
        "zero_grad is named without parentheses. The gradients of all steps add up.",
        edits(("    optimizer.zero_grad(set_to_none=True)", "    optimizer.zero_grad")),
        ("zero_grad_missing",),
        ("optimizer.zero_grad",),
        seen_in=("https://github.com/yastrebksv/TennisCourtDetector/issues/7",),
    ),
    ScriptMistake(
        "zero_grad_missing",
        "sft",
        "The gradients are never cleared. Each step uses the sum of all gradients so far.",
        edits(("            optimizer.zero_grad()\n", "")),
        ("zero_grad_missing",),
        ("loss.backward()", "optimizer.step()"),
        seen_in=(
            "https://github.com/wenet-e2e/wekws/issues/72",
            "https://github.com/snakers4/silero-vad/pull/699",
        ),
    ),
    ScriptMistake(
        "zero_grad_missing_by_hand",
        "own_adamw",
        "The gradients of the tensors are never set to None. Each step uses the sum of all gradients so far.",
        edits(("    for t in params.values():\n        t.grad = None\n    idx", "    idx")),
        ("zero_grad_missing",),
        ("loss.backward()", "adamw(params, step, lr)", "total = clip(params, 1.0)"),
        seen_in=("https://github.com/jcjohnson/pytorch-examples/issues/31",),
    ),
    ScriptMistake(
        "zero_grad_after_backward",
        "lit_llama",
        "The gradients are cleared between backward and step. The optimiser has no gradient to use.",
        edits(
            ("                optimizer.zero_grad()\n", ""),
            (
                '                out["loss"].backward()\n',
                '                out["loss"].backward()\n                optimizer.zero_grad()\n',
            ),
        ),
        ("gradients_cleared_before_step",),
        ("optimizer.zero_grad()",),
        seen_in=("https://github.com/lucidrains/byol-pytorch/issues/93",),
    ),
    ScriptMistake(
        "zero_grad_in_every_micro_step",
        "build_nanogpt",
        "The gradients are cleared in every micro-step. Only the last micro-batch reaches the step.",
        edits(
            ("    optimizer.zero_grad()\n    loss_accum", "    loss_accum"),
            (
                "        x, y = train_loader.next_batch()\n",
                "        x, y = train_loader.next_batch()\n        optimizer.zero_grad()\n",
            ),
        ),
        ("gradients_cleared_before_step",),
        ("optimizer.zero_grad()",),
        seen_in=("https://github.com/meta-pytorch/opacus/issues/93",),
    ),
    ScriptMistake(
        "zero_grad_of_another_model",
        "ema_llama",
        "The gradients of the averaged copy are cleared, not those of the model.",
        edits(("        optimizer.zero_grad()\n", "        ema.zero_grad()\n")),
        ("zero_grad_of_other_parameters",),
        ("ema.zero_grad()",),
        seen_in=("https://github.com/Hsintien-Ng/idinvert_pytorch-reproduced/issues/1",),
    ),
    ScriptMistake(
        "zero_grad_once_per_epoch",
        "hf_no_trainer",
        "The gradients are cleared once per epoch. Each step uses the sum of all gradients of the epoch so far.",
        edits(
            ("            optimizer.zero_grad()\n", ""),
            (
                "        model.train()\n        batches",
                "        model.train()\n        optimizer.zero_grad()\n        batches",
            ),
        ),
        ("zero_grad_not_in_every_step", "zero_grad_missing"),
        ("optimizer.zero_grad()",),
        seen_in=("https://github.com/pytorch/pytorch/issues/47175",),
    ),
    ScriptMistake(
        "step_before_backward",
        "resume",
        "step is called before backward, on gradients that were just cleared. Nothing is updated.",
        edits(
            ("        optimizer.step()\n", ""),
            ("        loss.backward()\n", "        optimizer.step()\n        loss.backward()\n"),
        ),
        ("step_before_backward",),
        ("optimizer.step()",),
    ),
    ScriptMistake(
        "backward_named_not_called",
        "llmc",
        "backward is named without parentheses. No parameter gets a gradient.",
        edits(("    loss.backward()\n", "    loss.backward\n")),
        ("backward_missing",),
        ("loss.backward",),
    ),
    ScriptMistake(
        "step_named_not_called",
        "mingpt",
        "step is named without parentheses. The parameters keep their initial values.",
        edits(("            self.optimizer.step()\n", "            self.optimizer.step\n")),
        ("step_missing",),
        ("self.optimizer.step",),
    ),
    ScriptMistake(
        "backward_twice",
        "mingpt",
        "backward is called twice for one loss. Each gradient is twice as large as it should be.",
        edits(
            (
                "            self.loss.backward()\n",
                "            self.loss.backward(retain_graph=True)\n            self.loss.backward()\n",
            )
        ),
        ("backward_twice",),
        ("self.loss.backward(retain_graph=True)", "self.loss.backward()"),
    ),
    ScriptMistake(
        "gradient_ascent",
        "word_lm",
        "The gradient is added to the parameters. The loss rises.",
        edits(("alpha=-lr)", "alpha=lr)")),
        ("gradient_ascent",),
        ("p.add_(p.grad, alpha=lr)",),
    ),
    ScriptMistake(
        "loss_negated",
        "build_nanogpt",
        "The negative loss is minimised. The loss rises.",
        edits(("        loss.backward()", "        (-loss).backward()")),
        ("gradient_ascent",),
        ("(-loss).backward()",),
    ),
)
