"""An implementation whose answers are remembered: each case is run once, and shared by every claim."""

from __future__ import annotations

from collections import OrderedDict

from harness.core.implementation import Answer, Implementation, Offer, Request

KEPT = 30_000
"""Answers kept, the latest ones. The cases of one component need a few thousand; they are small."""


class CachingImplementation:
    """The same implementation; requests that are not ``fresh`` are answered from memory where possible."""

    def __init__(self, implementation: Implementation) -> None:
        self.implementation, self.name, self.components = implementation, implementation.name, implementation.components
        self.answers: OrderedDict[object, Answer] = OrderedDict()

    def offers(self, component: str) -> Offer | None:
        """As the implementation itself; not remembered."""
        return self.implementation.offers(component)

    def run(self, request: Request) -> Answer:
        """The answer to an equal request where there is one. Callers must not write to its tensors."""
        if request.fresh:
            return self.implementation.run(request)
        answer = self.answers.get(request.key)
        if answer is None:
            answer = self.answers[request.key] = self.implementation.run(request)
            if len(self.answers) > KEPT:
                self.answers.popitem(last=False)
        return answer
