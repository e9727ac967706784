"""A door that remembers: outputs and gradients are computed once per case and shared by every claim."""

from __future__ import annotations

from collections import OrderedDict

from harness.core.implementation import Answer, Offer, Request, Subject

KEPT = 30_000
"""Answers kept. One component's deck needs a few thousand; they are small."""


class Remembering:
    """The same subject; requests that are not ``fresh`` are answered from memory where possible."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.name, self.components = subject, subject.name, subject.components
        self.answers: OrderedDict[object, Answer] = OrderedDict()

    def offers(self, component: str) -> Offer | None:
        return self.subject.offers(component)

    def play(self, request: Request) -> Answer:
        if request.fresh:
            return self.subject.play(request)
        answer = self.answers.get(request.key)
        if answer is None:
            answer = self.answers[request.key] = self.subject.play(request)
            if len(self.answers) > KEPT:
                self.answers.popitem(last=False)
        return answer
