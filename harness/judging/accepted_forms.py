"""The legal form in which a component is judged that is called as a published project calls it.

A project's rules may differ from the contract's: Stanford's CS336 decays the weights after the step. Some projects
accept more forms than one. Then the form whose numbers the implementation gives is judged, or else the one that the
rules say. A form that is declared goes before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from harness.core.claim import ToDo
from harness.core.implementation import Implementation
from harness.judging.catalogue import Catalogue
from harness.judging.inspection import Inspection
from harness.judging.trial import RanOutOfTime
from harness.project.variants import Declared, merged

CASES = (3, 12, 48)
"""Cases that tell the forms of one project apart: more where several forms give the numbers of the first ones. With two
features a rotation of halves is one of neighbours."""


def with_accepted_forms(
    declared: Declared,
    accepted: Mapping[str, Sequence[str]],
    known: Catalogue,
    implementation: Implementation,
    seed: int,
) -> Declared:
    """What is declared, and the forms of other components. ``accepted``: forms by component, "" for the plain one."""
    chosen = {}
    for component in accepted.keys() - declared.variants.keys():
        forms = accepted[component]
        form = forms[0]
        if len(forms) > 1:
            form = _only_one(known, implementation, component, forms, seed)
        if form:
            chosen[component] = form
    return merged(known.contracts, declared, Declared(chosen))


def _only_one(known: Catalogue, implementation: Implementation, component: str, forms: Sequence[str], seed: int) -> str:
    """The form whose numbers the implementation gives; the first of them where no case tells them apart."""
    left = list(forms)
    for cases in CASES:
        agreeing = [form for form in left if _agrees(known, implementation, component, form, seed, cases)]
        left = agreeing or left
        if len(agreeing) < 2:
            break
    return left[0]


def _agrees(known: Catalogue, implementation: Implementation, component: str, form: str, seed: int, cases: int) -> bool:
    variants = {component: form} if form else {}
    with suppress(RanOutOfTime, ToDo):
        return Inspection(known, implementation, seed, cases, variants).agrees(component)
    return False
