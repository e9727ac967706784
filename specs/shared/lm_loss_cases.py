"""Cases of the language-model loss."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import seeds, tensors, token_ids

ORDERLY = ("normal", "small integers", "wide", "tiny spread", "one-hot")
USUAL = -100
"""What torch, and everybody after it, ignores. (Cases that ignore something name another number: code that takes no
ignore_index at all is judged without them.)"""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Batch, time and vocabulary all differ. In three of five cases some targets are ignored, most of one row in some:
    by a number outside the vocabulary, or by an id of its own, as a padding token has."""
    sizes = draw(distinct_sizes(vocab_size=(2, 9), batch=(1, 4), time=(1, 6)))
    shape, vocab_size = (sizes["batch"], sizes["time"]), sizes["vocab_size"]
    logits, family = draw(tensors((*shape, vocab_size), ORDERLY))
    targets = draw(token_ids(shape, vocab_size))
    index = draw(st.sampled_from((-1, USUAL, vocab_size - 1, USUAL, -7)))
    if index != USUAL:
        targets = _ignored(targets, index, draw(seeds), draw(st.booleans()))
        family += f", {int((targets == index).sum())} of {targets.numel()} ignored"
    return Case.of({"logits": logits, "targets": targets, "ignore_index": index}, family=family, **sizes)


def _ignored(targets: torch.Tensor, index: int, seed: int, at_the_end: bool) -> torch.Tensor:
    """Some targets ignored, unequally many per row (at the end of each, like padding, or anywhere); one is left."""
    generator = torch.Generator().manual_seed(seed)
    most = targets.shape[1]
    if at_the_end:
        kept = torch.randint(0, most + 1, (targets.shape[0], 1), generator=generator)
        hidden = torch.arange(most) >= kept
    else:
        hidden = torch.rand(targets.shape, generator=generator) < 0.4
    first = targets.reshape(-1)[0].clone()
    targets = targets.masked_fill(hidden, index)
    if bool((targets == index).all()):
        targets[0, 0] = first if first != index else 0
    return targets


@st.composite
def large_logits(draw: st.DrawFn) -> Case:
    """Logits of up to 1e4 on both sides: exponentials overflow, and the logarithm of a probability is that of 0."""
    sizes = draw(distinct_sizes(vocab_size=(2, 9), batch=(1, 3), time=(1, 5)))
    shape = (sizes["batch"], sizes["time"])
    logits, _ = draw(tensors((*shape, sizes["vocab_size"]), ("normal", "small integers"), overrides=False))
    size, level = draw(st.sampled_from((1e4, 1e2, 1e3))), draw(st.sampled_from((0.0, 1e4, -1e4)))
    targets = draw(token_ids(shape, sizes["vocab_size"]))
    arguments = {"logits": level + size / 2 * logits, "targets": targets, "ignore_index": USUAL}
    return Case.of(arguments, family=f"logits of {size:g} around {level:g}", **sizes)


@st.composite
def unknown_ids(draw: st.DrawFn) -> Case:
    """A target beyond the vocabulary."""
    sizes = draw(distinct_sizes(vocab_size=(2, 9), batch=(1, 3), time=(1, 5)))
    shape, vocab_size = (sizes["batch"], sizes["time"]), sizes["vocab_size"]
    logits, _ = draw(tensors((*shape, vocab_size), ("normal",), overrides=False))
    targets = draw(token_ids(shape, vocab_size))
    targets[-1, -1] = vocab_size + draw(st.sampled_from((0, 3)))
    return Case.of(
        {"logits": logits, "targets": targets, "ignore_index": USUAL}, family="an id beyond the vocabulary", **sizes
    )
