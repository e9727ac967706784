"""Legal other forms of attention that show neither in the weights nor in the settings: each on an axis of its own.

Every reference says with which edits; what it is called, and which numbers published models have, stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.core.contract import NumberForm, Variant
from harness.core.mistake import Edit

POSITIONS, QK_NORM, SINKS = "positions", "qk_norm", "sinks"
SOFTCAP, ATTENTION_SCALE, WINDOW, ROPE_BASE = "softcap", "attention_scale", "window", "rope_base"
Edits = Callable[[float], tuple[Edit, ...]]

NO_POSITIONS = Variant("none", "Queries and keys do not depend on their position.", (), axis=POSITIONS, is_default=True)


def softcap(edits: Edits) -> NumberForm:
    """Scores are capped smoothly before the mask."""
    sentence = "The scores are capped at {0} before the mask: {0} * tanh(score / {0}), as in Gemma 2."
    return NumberForm(SOFTCAP, sentence, edits, (50.0, 30.0, 20.0), hints=("cap",))


def attention_scale(edits: Edits) -> NumberForm:
    """Scores are multiplied by one number, whatever the size of a head."""
    sentence = "The scores are multiplied by {0} whatever the head size (GPT-Neo: 1), in place of 1 / sqrt(K)."
    return NumberForm(
        ATTENTION_SCALE,
        sentence,
        edits,
        (1.0, 0.0625, 0.015625, 0.0078125),
        hints=("scal", "multiplier"),
        meant_by=_scales,
    )


def _scales(literal: float) -> tuple[float, ...]:
    """The number itself, what it divides by, and one over its root (Gemma's ``query_pre_attn_scalar``)."""
    return (literal, 1.0 / literal, literal**-0.5)


def window(edits: Edits) -> NumberForm:
    """A position sees the last few positions only."""
    sentence = "A position sees the last {} positions only, itself included (a sliding window, as in Mistral)."
    return NumberForm(WINDOW, sentence, edits, (4.0, 8.0, 16.0, 2.0, 3.0), whole=True, hints=("window",))


def rope_base(edits: Edits) -> NumberForm:
    """The base of rotary positions."""
    sentence = "Rotary positions have the base {0}; in the paper it is 10000."
    return NumberForm(
        ROPE_BASE, sentence, edits, (500000.0, 1000000.0, 100000.0, 1000.0), default=10000.0, hints=("base", "theta")
    )


NO_EPS = "norm_eps = torch.finfo(x.dtype).eps\n"
"""The epsilon of torch's rms_norm where none is given."""
NORMED = "{0} = {0} * torch.rsqrt({0}.pow(2).mean(-1, keepdim=True) + norm_eps)\n"


def qk_norm(reference: Callable[..., Any], line: str) -> Variant:
    """Queries ``q`` and keys ``k`` are normalised per head, without a gain, after ``line``."""
    normed = NO_EPS + "".join(map(NORMED.format, "qk"))
    sentence = "Queries and keys of each head are divided by their root mean square (QK-norm without a gain)."
    return Variant("rms", sentence, (Edit(reference, line, f"{line}\n{normed}"),), axis=QK_NORM)


def qk_norm_eps(reference: Callable[..., Any]) -> NumberForm:
    """The epsilon of that norm."""
    sentence = "The norm of queries and keys has the epsilon {}; by itself torch's is that of the dtype."
    edits = lambda number: (Edit(reference, NO_EPS.strip(), f"norm_eps = {number!r}"),)  # noqa: E731
    return NumberForm("qk_norm_eps", sentence, edits, (1e-6, 1e-5), hints=("eps",))


def sink_of_zero(edits: tuple[Any, ...]) -> Variant:
    """The softmax has one more key, of score 0 and without a value."""
    sentence = "1 is added to the denominator of the softmax (softmax1): a head may attend to nothing."
    return Variant("softmax_plus_one", sentence, edits, axis=SINKS)
