"""Known mistakes in labels for fine-tuning on answers."""

from harness.core.mistake import KnownMistake
from reference_model.sft_labels import sft_labels

INPUTS = "inputs = tokens[:-1]"
TARGETS = "targets = tokens[1:]"
FIRST = "first = prompt_length - 1"
HIDDEN = "hidden = [ignore] * first"
LABELS = "labels = hidden + targets[first:]"
IF_PADDED = "if pad_id is not None:"
RESULT = "return inputs, labels"


def _bug(name, sentence, right, wrong, *also, **more):
    return KnownMistake(name, sentence, sft_labels, right, wrong, also=tuple(also), **more)


MISTAKES = (
    _bug("first_answer_token_ignored", "The first token of the answer is ignored too. Labels are shifted by one: ignore prompt_length - 1 of them.",
         FIRST, "first = min(prompt_length, len(targets))"),
    _bug("last_prompt_token_counted", "The last token of the prompt is counted. Ignore prompt_length - 1 labels, not fewer.",
         FIRST, "first = max(prompt_length - 2, 0)"),
    _bug("prompt_counted", "The prompt is counted: the model learns to write questions. Set the labels of the prompt to the ignored number.",
         FIRST, "first = 0"),
    _bug("answer_ignored", "The answer is ignored and the prompt is counted. It is the other way round.",
         LABELS, "labels = targets[:first] + [ignore] * (len(targets) - first)"),
    _bug("labels_not_shifted", "The label of a position is its own token. It must be the token after it.",
         TARGETS, "targets = tokens[:-1]"),
    _bug("shifted_twice", "The labels are shifted twice: the label of a position is the token after the next.",
         TARGETS, "targets = tokens[2:] + [ignore]"),
    _bug("end_token_ignored", "The last token of the answer is ignored: the model never learns to end.",
         RESULT, "return inputs, labels[:-1] + [ignore]", seen_in=("mll-lab-nu/RAGEN#59",)),
    _bug("prompt_set_to_zero", "The labels of the prompt are 0, which is an id. Set them to the number that the loss ignores.",
         HIDDEN, "hidden = [0] * first"),
    _bug("ignored_number_fixed", "The labels of the prompt are -100 whatever number is to be ignored.",
         HIDDEN, "hidden = [-100] * first"),
    _bug("prompt_dropped_from_the_labels", "The labels of the prompt are left out, not ignored: labels and inputs no longer stand side by side.",
         LABELS, "labels = targets[first:] + hidden"),
    _bug("inputs_masked_too", "The prompt is replaced in the inputs too. The model must read it.",
         RESULT, "return hidden + inputs[first:], labels"),
    _bug("prompt_tokens_ignored_everywhere", "Every token that occurs in the prompt is ignored, in the answer too. Ignore places, not ids.",
         LABELS, "labels = hidden + [ignore if token in tokens[:prompt_length] else token for token in targets[first:]]"),
    _bug("padding_counted", "Padding is counted: the model learns to write padding.", IF_PADDED, "if False:"),
    _bug("padding_zero_assumed", "Labels of 0 are ignored as padding. Ignore pad_id.",
         IF_PADDED, "pad_id = None if pad_id is None else 0\nif pad_id is not None:"),
    _bug("end_ignored_with_the_padding", "The token before the padding, the end of the answer, is ignored with it.",
         RESULT, "if pad_id is not None and pad_id in tokens:\n    labels[tokens.index(pad_id) - 2] = ignore\nreturn inputs, labels", seen_in=("huggingface/trl#6357", "mlabonne/llm-course#33", "huggingface/blog#1302")),
)
