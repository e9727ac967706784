"""No argument is cut off: a ``detach``, ``.data`` or ``no_grad`` shows by a gradient that does not arrive."""

from typing import Any

from harness.claims._sabotage import Arguments, Call
from harness.core.case import is_float
from harness.core.claim import About, Claim, Trial, Violation
from harness.core.implementation import Request


def every_argument_receives_a_gradient(trial: Trial) -> None:
    expected = trial.expect(gradients=True).gradients
    answer = trial.run(gradients=True)
    cut_off = [name for name, value in expected.items() if value is not None and answer.gradients.get(name) is None]
    surplus = [
        n
        for n, v in answer.gradients.items()
        if v is not None and n in expected and expected[n] is None and bool((v != 0).any())
    ]
    if cut_off:
        by_hand = trial.offer.by_hand
        why = f"{by_hand[0]} returns none" if by_hand else "a detach, .data, .item() or no_grad cuts it off"
        raise Violation(f"no gradient reaches {', '.join(cut_off)}: {why}")
    if surplus:
        raise Violation(f"{', '.join(surplus)} receives a gradient; it must not")


def cuts_off(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    names = [name for name, value in arguments.items() if is_float(value) and value.requires_grad]
    if names:
        return call({**arguments, names[0]: arguments[names[0]].detach()})
    return call(
        {
            n: [b.detach() if is_float(b) else b for b in v]
            if isinstance(v, list)
            else {k: w.detach() if is_float(w) else w for k, w in v.items()}
            if isinstance(v, dict)
            else v
            for n, v in arguments.items()
        }
    )


CLAIM = Claim(
    "every_argument_receives_a_gradient",
    "every input and parameter that affects the output receives a gradient",
    every_argument_receives_a_gradient,
    needs=lambda contract: contract.differentiable,
    sabotage=cuts_off,
    about=frozenset({About.GRADIENT, About.FORM}),
)
