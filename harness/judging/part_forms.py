"""A part that was found inside a model is judged in the form that it has there.

What is one form of several where a part stands alone may be the only one inside a model. What is declared of the model
holds for its parts too, where they have the same form.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.core.contract import Contract
from harness.core.note import Note, NoteCode
from harness.execution.session import Adapter
from harness.project.variants import Declared, merged


def with_forms_of_wholes(
    declared: Declared, contracts: Mapping[str, Contract], adapters: Mapping[str, Adapter]
) -> tuple[Declared, list[Note]]:
    """What is declared, with what it and the contract of a model say of the parts that were found inside it.

    What is declared of a part goes before both, what is declared of the model before its contract. A note says which
    form a part has that nobody declared.
    """
    found: dict[str, str] = {}
    notes = []
    for name, adapter in adapters.items():
        whole = contracts.get(getattr(adapter, "within", ""))
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
