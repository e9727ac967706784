"""Gradient clipping that does not clip the gradients that are used."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "clip_after_step",
        "llmc",
        "The gradients are clipped after the step has used them.",
        edits(
            ("    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)\n", ""),
            (
                "    optimizer.step()\n",
                "    optimizer.step()\n    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)\n",
            ),
        ),
        ("clip_after_step",),
        ("norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)",),
        seen_in=(
            "https://github.com/VGraphRNN/VGRNN/issues/4",
            "https://github.com/awslabs/graphstorm/issues/1366",
        ),
    ),
    ScriptMistake(
        "clip_before_backward",
        "lit_llama",
        "The gradients are clipped before backward makes them.",
        edits(
            ("                nn.utils.clip_grad_norm_(module.parameters(), self.gradient_clip_val)\n", ""),
            (
                '                out["loss"].backward()\n',
                '                nn.utils.clip_grad_norm_(module.parameters(), self.gradient_clip_val)\n                out["loss"].backward()\n',
            ),
        ),
        ("clip_before_backward", "clip_of_nothing"),
        ("nn.utils.clip_grad_norm_(module.parameters(), self.gradient_clip_val)",),
        seen_in=("https://github.com/jongwook/onsets-and-frames/issues/24",),
    ),
    ScriptMistake(
        "clip_of_an_exhausted_generator",
        "hf_no_trainer",
        "model.parameters() is kept as a generator. It is empty from the second clip on.",
        edits(
            ("    completed_steps = 0\n", "    completed_steps, parameters = 0, model.parameters()\n"),
            ("clip_grad_norm_(model.parameters(), args", "clip_grad_norm_(parameters, args"),
        ),
        ("clip_of_exhausted_generator", "clip_of_nothing"),
        (
            "torch.nn.utils.clip_grad_norm_(parameters, args.max_grad_norm)",
            "completed_steps, parameters = 0, model.parameters()",
        ),
        seen_in=(
            "https://github.com/ShusenTang/Dive-into-DL-PyTorch/issues/101",
            "https://github.com/pytorch/pytorch/pull/151529",
        ),
    ),
    ScriptMistake(
        "clip_before_unscale",
        "nanogpt",
        "The gradients are clipped while they are still multiplied by the loss scale. All are clipped to almost nothing.",
        edits(("        scaler.unscale_(optimizer)\n", "")),
        ("clip_before_unscale",),
        ("torch.nn.utils.clip_grad_norm_(model.parameters(), grad_clip)",),
        seen_in=(
            "https://github.com/pytorch/examples/issues/1196",
            "https://github.com/milesial/Pytorch-UNet/issues/468",
            "https://github.com/Lightning-AI/pytorch-lightning/issues/9599",
        ),
    ),
    ScriptMistake(
        "clip_of_another_model",
        "ema_llama",
        "The parameters of the averaged copy are clipped. They have no gradients.",
        edits(("clip_grad_norm_(model.parameters()", "clip_grad_norm_(ema.parameters()")),
        ("clip_of_other_parameters", "clip_of_nothing"),
        ('grad_norm = nn.utils.clip_grad_norm_(ema.parameters(), TRAIN["clip"])',),
    ),
    ScriptMistake(
        "clip_of_some_parameters",
        "llmc",
        "Only the blocks are clipped. The gradients of the embeddings and the last norm are used as they are.",
        edits(("clip_grad_norm_(model.parameters(), args", "clip_grad_norm_(model.h.parameters(), args")),
        ("clip_of_some_parameters",),
        ("norm = torch.nn.utils.clip_grad_norm_(model.h.parameters(), args.grad_clip)",),
    ),
    ScriptMistake(
        "clip_in_every_micro_step",
        "build_nanogpt",
        "The gradients are clipped after every micro-batch, and more is added to what was clipped.",
        edits(
            (
                "    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)\n",
                "        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)\n",
            )
        ),
        ("clip_before_all_gradients",),
        ("norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)",),
        seen_in=("https://github.com/huggingface/transformers/issues/1563",),
    ),
)
