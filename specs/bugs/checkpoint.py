"""Known mistakes in saving and loading a training run."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.checkpoint import checkpoint

SAVE, LOAD = checkpoint.save, checkpoint.load
MODEL_SAVED = 'record["model"] = model.state_dict()'
OPTIMIZER_SAVED = 'record["optimizer"] = optimizer.state_dict()'
WRITTEN = "torch.save(record, path)"
READ = "record = torch.load(path, weights_only=True)"
MODEL_LOADED = 'model.load_state_dict(record["model"])'
OPTIMIZER_LOADED = 'optimizer.load_state_dict(record["optimizer"])'
SCHEDULE_LOADED = 'if scheduler is not None:\n    scheduler.load_state_dict(record["scheduler"])'
GENERATOR_LOADED = 'if generator is not None:\n    generator.set_state(record["generator"])'
STEP = 'step = record["step"]'

MISTAKES = (
    KnownMistake("parameters_not_loaded", "The parameters are read from the file but not loaded into the model.", LOAD, MODEL_LOADED, "pass"),
    KnownMistake("loaded_into_a_copy", "The parameters are loaded into a copy of the model. The model being trained stays unchanged.",
        LOAD, MODEL_LOADED, 'import copy\ncopy.deepcopy(model).load_state_dict(record["model"])', looks_like=("parameters_not_loaded",)),
    KnownMistake("parameters_in_half_precision", "The parameters are saved in bfloat16, which keeps two to three significant digits.",
        SAVE, MODEL_SAVED, 'record["model"] = {name: value.bfloat16() for name, value in model.state_dict().items()}'),
    KnownMistake("vectors_not_saved", "Only matrices are saved. Norm scales and biases keep the values of the new model.",
        SAVE, MODEL_SAVED, 'record["model"] = {n: v for n, v in model.state_dict().items() if v.dim() > 1}',
        also=(Edit(LOAD, MODEL_LOADED, 'model.load_state_dict(record["model"], strict=False)'),)),
    KnownMistake("optimiser_not_loaded", "The optimiser state is not loaded: its moments and step counter start again from zero.", LOAD, OPTIMIZER_LOADED, "pass"),
    KnownMistake("optimiser_moments_not_saved", "The optimiser's settings are saved but its moments are not.",
        SAVE, OPTIMIZER_SAVED, 'record["optimizer"] = {**optimizer.state_dict(), "state": {}}',
        looks_like=("optimiser_not_loaded",), aliases=("optimiser_state_emptied",)),
    KnownMistake("moments_in_half_precision", "The optimiser's moments are saved in bfloat16.", SAVE, OPTIMIZER_SAVED,
        'kept = optimizer.state_dict()["state"]\nrounded = {k: {n: v.bfloat16().to(v.dtype) if torch.is_tensor(v) else v for n, v in s.items()} for k, s in kept.items()}\n'
        'record["optimizer"] = {**optimizer.state_dict(), "state": rounded}'),
    KnownMistake("existing_moments_not_overwritten", "Existing optimiser moments are not overwritten: the saved ones are loaded only where there are none.",
        LOAD, OPTIMIZER_LOADED, 'if not optimizer.state:\n    optimizer.load_state_dict(record["optimizer"])', aliases=("old_state_kept",)),
    KnownMistake("lr_reset_to_initial", "The learning rate is reset to its initial value after loading.", LOAD, OPTIMIZER_LOADED,
        OPTIMIZER_LOADED + '\nfor group in optimizer.param_groups:\n    group["lr"] = group.get("initial_lr", group["lr"])', aliases=("rate_begins_anew",)),
    KnownMistake("schedule_not_loaded", "The schedule is not loaded: it starts again with the warm-up, and the learning rate jumps.", LOAD, SCHEDULE_LOADED, "",
        seen_in=("pytorch/pytorch#60265", "huggingface/transformers#27749")),
    KnownMistake("schedule_one_step_ahead", "The schedule is one step ahead after loading.", LOAD, SCHEDULE_LOADED,
        SCHEDULE_LOADED + "\n    scheduler.step()"),
    KnownMistake("generator_not_loaded", "The random generator is not restored: dropout and the data order differ from then on.",
        LOAD, GENERATOR_LOADED, ""),
    KnownMistake("generator_reseeded", "Loading seeds the generator again: the first batches are seen a second time.",
        LOAD, GENERATOR_LOADED, "if generator is not None:\n    generator.manual_seed(0)", seen_in=("paiml/entrenar#294",), aliases=("generator_seeded_anew",)),
    KnownMistake("step_not_saved", "The step is not saved: the run counts from 0 again.", SAVE, 'record: dict[str, Any] = {"step": step}',
        'record: dict[str, Any] = {"step": 0}', seen_in=("paiml/entrenar#294",)),
    KnownMistake("step_one_ahead", "The loaded step is one more than the saved one.", LOAD, STEP, 'step = record["step"] + 1'),
    KnownMistake("weights_untied_by_loading", "Loading gives every name its own parameter: the tied embedding and head are two parameters from then on.",
        LOAD, MODEL_LOADED, 'for name, value in record["model"].items():\n'
        '    owner = model.get_submodule(name.rpartition(".")[0])\n    setattr(owner, name.rpartition(".")[2], nn.Parameter(value.clone()))', aliases=("untied_by_loading",)),
    KnownMistake("frozen_by_loading", "Loading sets requires_grad to False, and nothing sets it back.", LOAD, MODEL_LOADED, MODEL_LOADED + "\nmodel.requires_grad_(False)"),
    KnownMistake("shape_mismatch_ignored", "A file whose shapes do not match the model is silently skipped. Raise an error.", LOAD, MODEL_LOADED,
        "own = model.state_dict()\n"
        'fits = all(value.shape == own[name].shape for name, value in record["model"].items())\nif not fits:\n    return 0\nmodel.load_state_dict(record["model"])', aliases=("other_shapes_passed_over",)),
    KnownMistake("left_in_evaluation_mode", "save() puts the model into evaluation mode and leaves it there.", SAVE, MODEL_SAVED,
        'record["model"] = model.eval().state_dict()', seen_in=("shubhamagarwal92/mmd#14", "fartashf/vsepp#4")),
    KnownMistake("saving_clears_the_optimiser", "save() clears the moments of the optimiser, which then continues without them.", SAVE, WRITTEN, WRITTEN + "\noptimizer.state.clear()"),
    KnownMistake("saving_advances_the_generator", "save() draws from the generator (for a sample or a file name): the run continues with different random numbers.",
        SAVE, WRITTEN, WRITTEN + "\nif generator is not None:\n    torch.rand(1, generator=generator)"),
    KnownMistake("references_saved_not_copies", "The checkpoint holds references to live tensors, not copies: the best state becomes the last one.",
        SAVE, WRITTEN, "checkpoint.load.__dict__[str(path)] = record", also=(Edit(LOAD, READ, "record = checkpoint.load.__dict__[str(path)]"),), aliases=("references_kept",)),
    KnownMistake("path_ignored", "The path is ignored: every save overwrites the one before.", SAVE, WRITTEN,
        'checkpoint.load.__dict__["path"] = checkpoint.load.__dict__.get("path", path)\ntorch.save(record, checkpoint.load.__dict__["path"])',
        also=(Edit(LOAD, READ, 'record = torch.load(checkpoint.load.__dict__["path"], weights_only=True)'),), aliases=("one_file_for_all",)),
)
