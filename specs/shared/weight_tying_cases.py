"""Cases of weight tying, and what it saves in models of well-known sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.core.contract import Argument
from harness.core.measurement import Measurement
from harness.core.values import Settings
from harness.strategies.tensors import seeds, token_ids
from reference_model.config import GPT2_LARGE, GPT2_MEDIUM, GPT2_SMALL, GPT2_XL, Config, parameter_count
from specs.shared.model_forms import HOW_TO_UNTIE, UNTIED

CONFIG = (
    *(Argument(name, "int", role="setting") for name in ("vocab_size", "context", "width", "heads", "layers")),
    Argument("norm_eps", "float", role="setting", optional=True, default=1e-5),
)
SHARED = Call("shared", {})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """All sizes differ, but in one of four the vocabulary is as large as the width: a transposed tie has that shape."""
    width = draw(st.sampled_from((8, 12)))
    vocab_size = width if draw(st.integers(0, 3)) == 3 else draw(st.sampled_from((11, 17)))
    config = Settings(vocab_size=vocab_size, context=7, width=width, heads=2, layers=draw(st.sampled_from((1, 3))))
    ids, targets = draw(token_ids((3, 5), vocab_size)), draw(token_ids((3, 5), vocab_size))
    batch = {"ids": ids, "targets": targets}
    calls = (Call("build", {"config": config, "seed": draw(seeds)}), Call("gradients", batch))
    return Case(calls, config.as_dict(), f"{vocab_size} ids, width {width}")


def after(trial: Trial, *calls: Call) -> Any:
    """What the last of these calls returned, made on one new object."""
    return trial.run(replace(trial.case, calls=(trial.case.calls[0], *calls)), fresh=True).value


def batch_of(trial: Trial) -> dict[str, Any]:
    return dict(trial.case.calls[1].arguments)


def skip_if_untied(trial: Trial) -> None:
    if trial.has_form(UNTIED):
        trial.not_applicable()


DECLARE = f"If a separate head is intended, declare it: {HOW_TO_UNTIE}"
SEPARATE_HEAD = f"the head is a separate tensor; GPT-2 ties it to the token embedding. {DECLARE}"


def require_tied(trial: Trial, when: str, *calls: Call) -> None:
    """The two are one parameter after these calls. If they never were, the message says so, whatever the calls do."""
    skip_if_untied(trial)
    found, at_first = after(trial, *calls, SHARED), after(trial, SHARED)
    if at_first["memories"] > 1:
        raise Violation(SEPARATE_HEAD, form=UNTIED)
    if at_first["parameters"] > 1:
        raise Violation(
            "head and embedding share storage but are two parameters (only .data was assigned): each has its own "
            "gradient and optimizer state. Assign the parameter itself: head.weight = embedding.weight"
        )
    if found["parameters"] > 1 or found["memories"] > 1:
        raise Violation(f"{when} head and embedding are no longer tied")


def same_logits(trial: Trial, when: str, call: Call) -> None:
    ask = Call("logits", {"ids": batch_of(trial)["ids"]})
    before, then = after(trial, ask), after(trial, call, ask)
    atol = 1e-5 * float(before.abs().max())
    if before.shape != then.shape or not torch.allclose(before, then, rtol=1e-5, atol=atol):
        raise Violation(f"{when} the logits differ")


GPT3 = {"GPT-3 6.7B": (4096, 32, 32), "GPT-3 13B": (5120, 40, 40), "GPT-3 175B": (12288, 96, 96)}
SIZES = {
    "GPT-2 small": GPT2_SMALL,
    "GPT-2 medium": GPT2_MEDIUM,
    "GPT-2 large": GPT2_LARGE,
    "GPT-2 XL": GPT2_XL,
    **{
        name: Config(context=2048, width=width, heads=heads, layers=layers)
        for name, (width, heads, layers) in GPT3.items()
    },
}


def share_saved(trial: Trial) -> Measurement | None:
    """At published sizes, by the formula of GPT-2's parameter count."""
    if trial.has_form(UNTIED) or after(trial, SHARED)["memories"] > 1:
        return None
    shares = {name: 100 * c.vocab_size * c.width / parameter_count(c) for name, c in SIZES.items()}
    small, largest = shares["GPT-2 small"], shares["GPT-3 175B"]
    return Measurement(
        f"a head of its own would add {small:.0f} % to the parameters of GPT-2 small, {shares['GPT-2 XL']:.1f} % to "
        f"GPT-2 XL and {largest:.1f} % at 175 billion: tying saves a large share in small models alone",
        "V D over V D + C D + L (12 D^2 + 13 D) + 2 D, for a model whose head was verified to be its embedding",
        value=round(small, 2),
        unit="% of the parameters",
        series={name: round(share, 2) for name, share in shares.items()},
    )
