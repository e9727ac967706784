"""Known mistakes in dividing parameters into groups."""

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
    KnownMistake("everything_decayed", "Everything is decayed, gains and biases too.", parameter_groups, PLAIN,
        'plain = {"params": vectors, "weight_decay": weight_decay}'),
    KnownMistake("decay_left_to_the_optimiser", "The group of vectors names no decay, so the optimiser's own counts: name 0.0.",
        parameter_groups, PLAIN, 'plain = {"params": vectors}', looks_like=("everything_decayed",)),
    KnownMistake("nothing_decayed", "Nothing is decayed.", parameter_groups, DECAYED, 'decayed = {"params": matrices, "weight_decay": 0.0}'),
    KnownMistake("groups_exchanged", "Vectors are decayed and matrices are not: the groups are exchanged.",
        parameter_groups, GROUP, "group = vectors if is_matrix else matrices"),
    KnownMistake("decay_fixed", "The decay given is not used: it is always 0.1.", parameter_groups, DECAYED, 'decayed = {"params": matrices, "weight_decay": 0.1}'),
    KnownMistake("weights_by_name", "What is called weight is decayed, and so are the gains of norms, which are called so too.",
        parameter_groups, LOOP, NAMED, also=by_name('name.endswith("weight")')),
    KnownMistake("biases_by_dimension", "What has an axis at all is decayed: biases and gains have one. Matrices have two.",
        parameter_groups, RULE, "is_matrix = parameter.dim() >= 1", looks_like=("everything_decayed",)),
    KnownMistake("three_axes_asked_for", "Only what has more than two axes is decayed: nothing is.",
        parameter_groups, RULE, "is_matrix = parameter.dim() > 2", looks_like=("nothing_decayed",)),
    KnownMistake("norms_not_recognised", "Only what is called bias is spared; the gains of norms have other names in this model than the list says.",
        parameter_groups, LOOP, NAMED, also=by_name('not name.endswith("bias")'), looks_like=("weights_by_name",)),
    KnownMistake("biases_decayed", "Biases are decayed; only the gains of norms are spared.",
        parameter_groups, LOOP, NAMED, also=by_name('not name.endswith("LayerNorm.weight")')),
    KnownMistake("only_linear_biases_spared", "The biases of norms are decayed.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 or name.endswith("LayerNorm.bias")')),
    KnownMistake("positions_not_decayed", "The table of positions is not decayed, the one of tokens is.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 and "wpe" not in name')),
    KnownMistake("head_not_decayed", "The head is not decayed; it is a projection like any other.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 and "lm_head" not in name')),
    KnownMistake("attention_not_decayed", "The projections of attention are not decayed.",
        parameter_groups, LOOP, NAMED, also=by_name('parameter.dim() >= 2 and "attn" not in name')),
    KnownMistake("tied_parameter_twice", "A tied parameter stands in the groups under both of its names: torch refuses that, others step twice.",
        parameter_groups, LOOP, "for _, parameter in model.named_parameters(remove_duplicate=False):"),
    KnownMistake("frozen_included", "Frozen parameters are included.", parameter_groups, FROZEN, ""),
    KnownMistake("vectors_left_out", "The group of vectors is made and not returned: gains and biases are never trained.",
        parameter_groups, RESULT, "return [decayed]"),
    KnownMistake("biases_left_out", "Biases are in no group: they are never trained.",
        parameter_groups, LOOP, NAMED + '\n    if name.endswith("bias"):\n        continue'),
    KnownMistake("embeddings_left_out", "Embeddings are in no group: they are never trained.",
        parameter_groups, LOOP, NAMED + '\n    if "embedding" in name:\n        continue'),
    KnownMistake("head_left_out", "The head is passed over because it is tied; in this model it is not.",
        parameter_groups, LOOP, NAMED + '\n    if "lm_head" in name:\n        continue'),
    KnownMistake("positions_left_out", "The table of positions is in no group: it is never trained.",
        parameter_groups, LOOP, NAMED + '\n    if "wpe" in name:\n        continue'),
    KnownMistake("norms_left_out", "The norms are in no group: they are never trained.",
        parameter_groups, LOOP, NAMED + '\n    if "LayerNorm" in name:\n        continue'),
    KnownMistake("copies", "Copies of the parameters are handed out (.data, detach, clone): the optimiser trains those, and the model stays as it is.",
        parameter_groups, APPEND, "group.append(parameter.detach())"),
    KnownMistake("everything_twice", "Every parameter stands in a group twice (a walk over modules meets each of them at every level).",
        parameter_groups, APPEND, "group.extend([parameter, parameter])"),
)
