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
    KnownMistake("parameters_not_loaded", "The parameters are read and not loaded.", LOAD, MODEL_LOADED, "pass"),
    KnownMistake("loaded_into_a_copy", "The parameters are loaded into a copy of the model: the one that is trained stays as it was.",
        LOAD, MODEL_LOADED, 'import copy\ncopy.deepcopy(model).load_state_dict(record["model"])', looks_like=("parameters_not_loaded",)),
    KnownMistake("parameters_in_half_precision", "The parameters are saved in bfloat16: three digits of them are left.",
        SAVE, MODEL_SAVED, 'record["model"] = {name: value.bfloat16() for name, value in model.state_dict().items()}'),
    KnownMistake("vectors_not_saved", "Only matrices are saved; gains and biases are left as the new model has them.",
        SAVE, MODEL_SAVED, 'record["model"] = {n: v for n, v in model.state_dict().items() if v.dim() > 1}',
        also=(Edit(LOAD, MODEL_LOADED, 'model.load_state_dict(record["model"], strict=False)'),)),
    KnownMistake("optimiser_not_loaded", "The optimiser begins anew: its moments and its counter are not loaded.", LOAD, OPTIMIZER_LOADED, "pass"),
    KnownMistake("optimiser_state_emptied", "Of the optimiser its settings are saved, its moments are not.",
        SAVE, OPTIMIZER_SAVED, 'record["optimizer"] = {**optimizer.state_dict(), "state": {}}',
        looks_like=("optimiser_not_loaded",)),
    KnownMistake("moments_in_half_precision", "The optimiser's moments are saved in bfloat16.", SAVE, OPTIMIZER_SAVED,
        'kept = optimizer.state_dict()["state"]\nrounded = {k: {n: v.bfloat16().to(v.dtype) if torch.is_tensor(v) else v for n, v in s.items()} for k, s in kept.items()}\n'
        'record["optimizer"] = {**optimizer.state_dict(), "state": rounded}'),
    KnownMistake("old_state_kept", "What the optimiser had kept before is not overwritten: the saved moments are loaded only where it has none.",
        LOAD, OPTIMIZER_LOADED, 'if not optimizer.state:\n    optimizer.load_state_dict(record["optimizer"])'),
    KnownMistake("rate_begins_anew", "After loading the learning rate is set to its first value.", LOAD, OPTIMIZER_LOADED,
        OPTIMIZER_LOADED + '\nfor group in optimizer.param_groups:\n    group["lr"] = group.get("initial_lr", group["lr"])'),
    KnownMistake("schedule_not_loaded", "The schedule begins anew, with warm-up and all: the rate jumps.", LOAD, SCHEDULE_LOADED, "",
        seen_in=("pytorch/pytorch#60265", "huggingface/transformers#27749")),
    KnownMistake("schedule_one_step_ahead", "The schedule is one step ahead after loading.", LOAD, SCHEDULE_LOADED,
        SCHEDULE_LOADED + "\n    scheduler.step()"),
    KnownMistake("generator_not_loaded", "The random generator is not put back: dropout and the order of data are others from then on.",
        LOAD, GENERATOR_LOADED, ""),
    KnownMistake("generator_seeded_anew", "The generator starts from its seed once more: the first data are seen a second time.",
        LOAD, GENERATOR_LOADED, "if generator is not None:\n    generator.manual_seed(0)", seen_in=("paiml/entrenar#294",)),
    KnownMistake("step_not_saved", "The step is not saved: the run counts from 0 again.", SAVE, 'record: dict[str, Any] = {"step": step}',
        'record: dict[str, Any] = {"step": 0}', seen_in=("paiml/entrenar#294",)),
    KnownMistake("step_one_ahead", "The step that comes back is one further than the one that was saved.", LOAD, STEP, 'step = record["step"] + 1'),
    KnownMistake("untied_by_loading", "Every name gets a parameter of its own: embedding and head, which were one, are two from then on.",
        LOAD, MODEL_LOADED, 'for name, value in record["model"].items():\n'
        '    owner = model.get_submodule(name.rpartition(".")[0])\n    setattr(owner, name.rpartition(".")[2], nn.Parameter(value.clone()))'),
    KnownMistake("frozen_by_loading", "Loading turns gradients off, and nobody turns them on again.", LOAD, MODEL_LOADED, MODEL_LOADED + "\nmodel.requires_grad_(False)"),
    KnownMistake("other_shapes_passed_over", "What does not fit in shape is passed over in silence.", LOAD, MODEL_LOADED,
        "own = model.state_dict()\n"
        'fits = all(value.shape == own[name].shape for name, value in record["model"].items())\nif not fits:\n    return 0\nmodel.load_state_dict(record["model"])'),
    KnownMistake("left_in_evaluation_mode", "The model is put in evaluation mode for saving and left there.", SAVE, MODEL_SAVED,
        'record["model"] = model.eval().state_dict()', seen_in=("shubhamagarwal92/mmd#14", "fartashf/vsepp#4")),
    KnownMistake("saving_clears_the_optimiser", "Saving takes the moments out of the optimiser that goes on.", SAVE, WRITTEN, WRITTEN + "\noptimizer.state.clear()"),
    KnownMistake("saving_advances_the_generator", "Saving draws from the generator (a sample, a name): the run goes on with other numbers.",
        SAVE, WRITTEN, WRITTEN + "\nif generator is not None:\n    torch.rand(1, generator=generator)"),
    KnownMistake("references_kept", "What is kept are references to live tensors, not copies: the best state is the last one.",
        SAVE, WRITTEN, "checkpoint.load.__dict__[str(path)] = record", also=(Edit(LOAD, READ, "record = checkpoint.load.__dict__[str(path)]"),)),
    KnownMistake("one_file_for_all", "The name of the file is ignored: every save overwrites the one before.", SAVE, WRITTEN,
        'checkpoint.load.__dict__["path"] = checkpoint.load.__dict__.get("path", path)\ntorch.save(record, checkpoint.load.__dict__["path"])',
        also=(Edit(LOAD, READ, 'record = torch.load(checkpoint.load.__dict__["path"], weights_only=True)'),)),
)
