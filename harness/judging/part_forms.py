"""A part that was found inside a model is judged in the form that it has there.

What is one form of several where a part stands alone may be the only one inside a model. What is declared of the model
holds for its parts too, where they have the same form.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.core.contract import Contract
from harness.core.mistake import Edit
from harness.core.note import Note, NoteCode
from harness.execution.discovered import FoundComponent
from harness.project.forms import edits_of_forms
from harness.project.variants import Declared, merged


def with_forms_of_wholes(
    declared: Declared, contracts: Mapping[str, Contract], components: Mapping[str, FoundComponent]
) -> tuple[Declared, list[Note]]:
    """What is declared, with what it and the contract of a model say of the parts that were found inside it.

    What is declared of a part goes before both, what is declared of the model before its contract. A note says which
    form a part has that nobody declared.
    """
    found: dict[str, str] = {}
    notes = []
    for name, component in components.items():
        whole = contracts.get(component.within)
        if whole is None or not (legal := contracts[name].legal):
            continue
        implied = {form.axis: form for form in legal.in_text(whole.part_forms.get(name, ""))}
        of_whole = whole.legal.in_text(declared.variants.get(whole.name, ""))
        shared = {form.axis: form for f in of_whole if (form := legal.named(f.name)) is not None}
        own = {form.axis for form in legal.in_text(declared.variants.get(name, ""))}
        new = {axis: form for axis, form in (implied | shared).items() if axis not in own}
        if new:
            found[name] = legal.text_of(new.values())
            text = f"{name} was found inside {whole.name}, and is judged in the form that it has there: {found[name]}"
            notes.append(Note(name, NoteCode.PART_FORM, text))
    return merged(contracts, declared, Declared(found)), notes


def replaced(
    components: Mapping[str, FoundComponent], declared: Declared, contracts: Mapping[str, Contract]
) -> tuple[frozenset[str], list[Note]]:
    """Parts found inside a model in whose place a declared form has something else: they are not judged.

    (The activation of a feed-forward layer, where ReLU is declared, is no GELU.) A note says so.
    """
    edits = edits_of_forms(declared.variants, contracts)
    found = {name for name, component in components.items() if component.within}
    gone = {
        part
        for contract in contracts.values()
        if (own := [edit for edit in edits if edit.of is contract.reference])
        for part in found.intersection(contract.parts)
        if 0 < _calls(contracts[part], contract) <= _taken(contracts[part], own)
    }
    text = "{} is not judged: the form that is declared has something else in its place"
    return frozenset(gone), [Note(name, NoteCode.PART_FORM, text.format(name)) for name in sorted(gone)]


def _calls(part: Contract, whole: Contract) -> int:
    """How often the reference of a whole names that of a part; 0 where a helper of it does."""
    return _names(textwrap.dedent(inspect.getsource(whole.reference)))[part.reference.__name__]


def _taken(part: Contract, edits: Iterable[Edit]) -> int:
    """How many of these calls edits of the whole take away."""
    name = part.reference.__name__
    return sum(_names(edit.right)[name] - _names(edit.wrong)[name] for edit in edits)


def _names(code: str) -> Counter[str]:
    """The names that a piece of code reads, counted; none of a piece that is no whole statement."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return Counter()
    return Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def undeclared(
    contracts: Mapping[str, Contract], declared: Mapping[str, str], components: Mapping[str, FoundComponent]
) -> dict[str, Contract]:
    """The contracts without the forms on axes on which something is declared.

    The form that a part has only because it was found inside a model is not declared: another one may be meant, and
    takes its place. ``declared``: all forms in force, by component.
    """
    taken: dict[str, set[str]] = {}
    implied: list[Edit] = []
    for name, contract in contracts.items():
        forms = contract.legal.in_text(declared.get(name, ""))
        whole = contracts.get(components[name].within) if name in components else None
        of_whole = whole.part_forms.get(name, "") if whole is not None else ""
        names = {form.name for form in contract.legal.in_text(of_whole)}
        taken[name] = {form.axis for form in forms if form.name not in names}
        implied += [edit for form in forms if form.name in names for edit in form.edits]
    open_forms = {name: _as_called(c.without_axes(taken[name]), components.get(name)) for name, c in contracts.items()}
    return {name: _in_place_of(contract, implied) for name, contract in open_forms.items()}


def _as_called(contract: Contract, component: FoundComponent | None) -> Contract:
    """The same contract without forms of other arguments, where a project says what its functions are called with."""
    accepted = None if component is None else component.called_in_forms
    if accepted is None:
        return contract
    return replace(contract, variants=tuple(v for v in contract.variants if not v.given or v.name in accepted))


def _in_place_of(contract: Contract, implied: list[Edit]) -> Contract:
    """The same contract, whose forms take back what these edits did at the places of their own."""
    back = {(edit.of, edit.right): Edit(edit.of, edit.wrong, edit.right) for edit in implied}
    variants = []
    for form in contract.variants:
        undone = [back[place] for edit in form.edits if (place := (edit.of, edit.right)) in back]
        if undone and all(edit in implied for edit in form.edits):
            continue  # it is in force
        variants.append(replace(form, edits=(*undone, *form.edits)))
    return replace(contract, variants=tuple(variants))
