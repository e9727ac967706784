"""Learning-rate schedules that are not applied, or at the wrong time."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "scheduler_before_optimizer",
        "hf_no_trainer",
        "The schedule moves on before the optimiser has used its first rate.",
        edits(
            ("            lr_scheduler.step()\n", ""),
            ("            optimizer.step()\n", "            lr_scheduler.step()\n            optimizer.step()\n"),
        ),
        ("scheduler_before_optimizer",),
        ("lr_scheduler.step()",),
        seen_in=("https://github.com/ThilinaRajapakse/pytorch-transformers-classification/issues/21",),
    ),
    ScriptMistake(
        "scheduler_in_every_micro_step",
        "hf_no_trainer",
        "The schedule moves on with every micro-batch, but its length is counted in optimiser steps.",
        edits(
            ("            lr_scheduler.step()\n", ""),
            (
                '                outputs["loss"].backward()\n',
                '                outputs["loss"].backward()\n                lr_scheduler.step()\n',
            ),
        ),
        ("scheduler_stepped_too_often", "scheduler_before_optimizer"),
        ("lr_scheduler.step()",),
        seen_in=("https://github.com/nvidia-cosmos/cosmos-rl/pull/207",),
    ),
    ScriptMistake(
        "scheduler_stepped_twice",
        "resume",
        "The schedule moves on twice in every step.",
        edits(("        scheduler.step()\n", "        scheduler.step()\n        scheduler.step()\n")),
        ("scheduler_stepped_too_often",),
        ("scheduler.step()",),
        seen_in=("https://github.com/aimagelab/meshed-memory-transformer/issues/71",),
    ),
    ScriptMistake(
        "scheduler_never_stepped",
        "sft",
        "The schedule is made and never moves on. The rate stays at its first value.",
        edits(("            schedule.step()\n", "")),
        ("scheduler_never_stepped",),
        (
            "schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=epochs * len(loader))",
            "optimizer.step()",
        ),
        seen_in=("https://github.com/tumurzakov/AnimateDiff/issues/11",),
    ),
    ScriptMistake(
        "scheduler_named_not_called",
        "lora",
        "The schedule's step is named without parentheses. The rate stays at its first value.",
        edits(("        scheduler.step()\n", "        scheduler.step\n")),
        ("scheduler_never_stepped",),
        ("scheduler.step",),
    ),
    ScriptMistake(
        "scheduler_once_per_epoch",
        "lit_llama",
        "The length of the schedule is counted in steps, but it moves on once per epoch.",
        edits(
            ("                scheduler.step()\n", ""),
            ("            module.eval()\n", "            scheduler.step()\n            module.eval()\n"),
        ),
        ("scheduler_per_epoch",),
        (
            "scheduler.step()",
            "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.lr, total_steps=self.max_steps)",
        ),
        seen_in=("https://github.com/galilai-group/stable-worldmodel/issues/280",),
    ),
    ScriptMistake(
        "schedule_counted_in_epochs",
        "lora",
        "The length of the schedule is that of three epochs, but it moves on with every step. The rate falls and rises again.",
        edits(("T_max=14", "T_max=3")),
        ("schedule_past_its_end",),
        ("scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)", "scheduler.step()"),
        seen_in=("https://github.com/crowsonkb/k-diffusion/issues/50",),
    ),
    ScriptMistake(
        "scheduler_of_another_optimizer",
        "lit_llama",
        "The schedule belongs to an optimiser that is thrown away. The rate of the one in use never changes.",
        edits(
            (
                "        return optimizer, scheduler\n",
                "        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=0.0), scheduler\n",
            )
        ),
        ("scheduler_of_other_optimizer",),
        (
            "return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=0.0), scheduler",
            "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.lr, total_steps=self.max_steps)",
            "scheduler.step()",
        ),
    ),
    ScriptMistake(
        "rate_under_a_wrong_key",
        "nanogpt",
        "The rate is stored under a key that the optimiser does not read.",
        edits(('        param_group["lr"] = lr\n', '        param_group["learning_rate"] = lr\n')),
        ("rate_not_applied",),
        ('param_group["learning_rate"] = lr',),
    ),
    ScriptMistake(
        "rate_of_the_first_group_only",
        "llmc",
        "Only the first parameter group follows the schedule. The rate of the second stays at its peak.",
        edits(
            (
                '    for param_group in optimizer.param_groups:\n        param_group["lr"] = lr\n',
                '    optimizer.param_groups[0]["lr"] = lr\n',
            )
        ),
        ("rate_of_some_groups_only",),
        ('optimizer.param_groups[0]["lr"] = lr',),
    ),
    ScriptMistake(
        "rate_set_after_the_step",
        "build_nanogpt",
        "The rate is set after the step. The first step uses the peak rate instead of the warm-up's.",
        edits(
            ("    optimizer.step()\n", ""),
            ("    lr = get_lr(step)\n", "    optimizer.step()\n    lr = get_lr(step)\n"),
        ),
        ("rate_set_after_step",),
        ("optimizer.step()", 'param_group["lr"] = lr'),
    ),
)
