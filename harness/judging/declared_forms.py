"""Declared forms of arguments: the implementation is given them as it wants them, the reference as is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from harness.core.case import Call
from harness.core.contract import Contract
from harness.core.implementation import Answer, Implementation, Offer, Request

Given = Mapping[str, Callable[[Mapping[str, Any]], Any]]
"""Name of an argument -> from all arguments of a call to that argument in the form that is wanted."""
Back = Mapping[str, Callable[[Mapping[str, Any], Any], Any]]
"""Last name of a learned tensor -> from a call's arguments and its gradient to the gradient in the contract's form."""


class InDeclaredForms:
    """The same implementation, given arguments in the forms that were declared of it. ``variants``: by component."""

    def __init__(
        self, implementation: Implementation, contracts: Mapping[str, Contract], variants: Mapping[str, str]
    ) -> None:
        self.implementation, self.name, self.components = implementation, implementation.name, implementation.components
        forms = {name: contracts[name].legal.in_text(text) for name, text in variants.items() if name in contracts}
        self.given: dict[str, Given] = {
            name: {argument: make for form in declared for argument, make in form.given.items()}
            for name, declared in forms.items()
        }
        self.back: dict[str, Back] = {
            name: {tensor: turn for form in declared for tensor, turn in form.gradients.items()}
            for name, declared in forms.items()
        }

    def offers(self, component: str) -> Offer | None:
        """As the implementation itself."""
        return self.implementation.offers(component)

    def run(self, request: Request) -> Answer:
        """The answer to the request with its arguments in the declared forms."""
        given = self.given.get(request.component)
        if not given:
            return self.implementation.run(request)

        def converted(call: Call) -> Call:
            changed = {name: make(call.arguments) for name, make in given.items() if name in call.arguments}
            return call.with_arguments({**call.arguments, **changed})

        case = request.case
        calls = tuple(converted(call) for call in case.calls)
        answer = self.implementation.run(request.of(type(case)(calls, case.dimensions, case.family)))
        back, arguments = self.back[request.component], case.calls[0].arguments

        def turned(label: str, gradient: Any) -> Any:
            turn = back.get(label.rpartition(".")[2])
            return gradient if turn is None or gradient is None else turn(arguments, gradient)

        return replace(answer, gradients={name: turned(name, value) for name, value in answer.gradients.items()})
