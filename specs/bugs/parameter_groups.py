"""Known mistakes in building the optimiser's parameter groups."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.parameter_groups import parameter_groups

LOOP = "for _, parameter in model.named_parameters():"
NAMED = "for name, parameter in model.named_parameters():"
FROZEN = "if not parameter.requires_grad:\n    continue"
RULE = "is_matrix = parameter.dim() >= 2"
GROUP = "group = matrices if is_matrix else vectors"
APPEND = "group.append(parameter)"
DECAYED = 'decayed = {"params": matrices, "weight_decay": weight_decay}'
PLAIN = 'plain = {"params": vectors, "weight_decay": 0.0}'
RESULT = "return [decayed, plain]"


def by_name(rule: str) -> tuple[Edit, ...]:
    return (Edit(parameter_groups, RULE, f"is_matrix = {rule}"),)


MISTAKES = (
    KnownMistake("everything_decayed", "Weight decay applies to every parameter, also to norm scales and biases.", parameter_groups, PLAIN,
        'plain = {"params": vectors, "weight_decay": weight_decay}'),
    KnownMistake("vector_decay_not_set", "The group of vectors sets no weight_decay, so the optimiser's default applies. Set it to 0.0.",
        parameter_groups, PLAIN, 'plain = {"params": vectors}', looks_like=("everything_decayed",), aliases=("decay_left_to_the_optimiser",)),
    KnownMistake("nothing_decayed", "Weight decay applies to no parameter.", parameter_groups, DECAYED, 'decayed = {"params": matrices, "weight_decay": 0.0}'),
    KnownMistake("groups_exchanged", "The groups are exchanged: vectors are decayed and matrices are not.",
        parameter_groups, GROUP, "group = vectors if is_matrix else matrices"),
    KnownMistake("weight_decay_fixed", "The weight_decay argument is ignored: it is always 0.1.", parameter_groups, DECAYED, 'decayed = {"params": matrices, "weight_decay": 0.1}', aliases=("decay_fixed",)),
    KnownMistake("decayed_by_the_name_weight", "Every parameter whose name ends with \"weight\" is decayed. Norm scales have that name too.",
        parameter_groups, LOOP, NAMED, also=by_name('name.endswith("weight")'), aliases=("weights_by_name",)),
    KnownMistake("dimension_threshold_too_low", "Every parameter with at least one dimension is decayed. Biases and norm scales have one dimension; matrices have two.",
        parameter_groups, RULE, "is_matrix = parameter.dim() >= 1", looks_like=("everything_decayed",), aliases=("biases_by_dimension",)),
    KnownMistake("dimension_threshold_too_high", "Only parameters with more than two dimensions are decayed, and there are none.",
        parameter_groups, RULE, "is_matrix = parameter.dim() > 2", looks_like=("nothing_decayed",), aliases=("three_axes_asked_for",)),
    KnownMistake("only_biases_exempt", "Only parameters named \"bias\" are exempt from weight decay. Norm scales have other names and are decayed.",
        parameter_groups, LOOP, NAMED, also=by_name('not name.endswith("bias")'), looks_like=("decayed_by_the_name_weight",), aliases=("norms_not_recognised",)),
    KnownMistake("biases_decayed", "Biases are decayed. Only the norm scales are exempt.",
        parameter_groups, LOOP, NAMED, also=by_name('not name.endswith("LayerNorm.weight")')),
    KnownMistake("norm_biases_decayed", "The biases of the norms are decayed.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 or name.endswith("LayerNorm.bias")'), aliases=("only_linear_biases_spared",)),
    KnownMistake("positions_not_decayed", "The position embedding is not decayed, although it is a matrix like the token embedding.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 and "wpe" not in name')),
    KnownMistake("head_not_decayed", "The output head is not decayed. It is a matrix like any other projection.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 and "lm_head" not in name')),
    KnownMistake("attention_not_decayed", "The attention projections are not decayed.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 and "attn" not in name')),
    KnownMistake("tied_parameter_listed_twice", "A tied parameter is listed under both of its names. torch raises an error; other optimisers update it twice.",
        parameter_groups, LOOP, "for _, parameter in model.named_parameters(remove_duplicate=False):", aliases=("tied_parameter_twice",)),
    KnownMistake("frozen_included", "Frozen parameters are included.", parameter_groups, FROZEN, ""),
    KnownMistake("vectors_left_out", "The group of vectors is built but not returned: norm scales and biases are never trained.",
        parameter_groups, RESULT, "return [decayed]"),
    KnownMistake("biases_left_out", "Biases are in no group: they are never trained.",
        parameter_groups, LOOP, NAMED + '\n    if name.endswith("bias"):\n        continue'),
    KnownMistake("embeddings_left_out", "Embeddings are in no group: they are never trained.",
        parameter_groups, LOOP, NAMED + '\n    if "embedding" in name:\n        continue'),
    KnownMistake("head_left_out", "The output head is skipped as if it were tied. In this model it is not tied.",
        parameter_groups, LOOP, NAMED + '\n    if "lm_head" in name:\n        continue'),
    KnownMistake("positions_left_out", "The position embedding is in no group: it is never trained.",
        parameter_groups, LOOP, NAMED + '\n    if "wpe" in name:\n        continue'),
    KnownMistake("norms_left_out", "The norms are in no group: they are never trained.",
        parameter_groups, LOOP, NAMED + '\n    if "LayerNorm" in name:\n        continue'),
    KnownMistake("parameters_copied", "The groups hold copies of the parameters (.data, detach, clone). The optimiser updates the copies, and the model never changes.",
        parameter_groups, APPEND, "group.append(parameter.detach())", aliases=("copies",)),
    KnownMistake("every_parameter_listed_twice", "Every parameter is listed twice (a loop over modules meets each parameter at every level).",
        parameter_groups, APPEND, "group.extend([parameter, parameter])", aliases=("everything_twice",)),
)
