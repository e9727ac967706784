"""Right ways to make labels for fine-tuning on answers; none of them may fail a claim."""

from itertools import pairwise

import torch


def refused(tokens, prompt_length):
    if not 1 <= prompt_length < len(tokens):
        raise ValueError("a prompt and an answer are needed")


def labels_place_by_place(tokens, prompt_length, ignore=-100, pad_id=None):
    """Each label is asked for by itself; tuples come back."""
    refused(tokens, prompt_length)

    def label(place):
        return ignore if place < prompt_length or tokens[place] == pad_id else tokens[place]

    return tuple(tokens[:-1]), tuple(label(place) for place in range(1, len(tokens)))


def labels_of_tensors(tokens, prompt_length, ignore=-100, pad_id=None):
    """A copy as long as the tokens is masked first and shifted last."""
    refused(tokens, prompt_length)
    ids = torch.tensor(tokens)
    hidden = torch.arange(len(ids)) < prompt_length
    if pad_id is not None:
        hidden |= ids == pad_id
    labels = ids.masked_fill(hidden, ignore)
    return ids[:-1].tolist(), labels[1:].tolist()


def labels_as_the_answer_is_reached(tokens, prompt_length, ignore=-100):
    """One pass over pairs of neighbours; it knows no padding."""
    refused(tokens, prompt_length)
    inputs, labels = [], []
    for place, (here, after) in enumerate(pairwise(tokens), start=1):
        inputs.append(here)
        labels.append(after if place >= prompt_length else ignore)
    return [inputs, labels]


_ALL = (labels_place_by_place, labels_of_tensors, labels_as_the_answer_is_reached)
VARIANTS = {f.__name__.replace("_", " "): {"sft_labels": f} for f in _ALL}
