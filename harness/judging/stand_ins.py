"""Components that are judged in the place of another one: what is missing is included in what is there.

A general form at some of its settings is the plain component. Somebody who wrote the general one need not write the
plain one beside it: what is declared of the plain one, or selected by its name, means the general one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.core.contract import Contract
from harness.core.note import Note, NoteCode
from harness.project.variants import Declared, merged


def stand_ins(contracts: Mapping[str, Contract], components: Collection[str]) -> dict[str, str]:
    """The components that are missing among ``components``, each with the one that is judged in its place."""
    present = (contracts[name] for name in contracts if name in components)
    return {c.includes: c.name for c in present if c.includes and c.includes not in components}


def with_forms_of_missing(
    declared: Declared, contracts: Mapping[str, Contract], components: Collection[str]
) -> Declared:
    """With the forms that are declared of a missing component for the one in its place, where it has them too."""
    found = {}
    for missing, name in stand_ins(contracts, components).items():
        legal = contracts[name].legal
        forms = contracts[missing].legal.in_text(declared.variants.get(missing, ""))
        shared = [form for f in forms if (form := legal.named(f.name)) is not None]
        if shared:
            found[name] = legal.text_of(shared)
    return merged(contracts, declared, Declared(found))


def notes_of(contracts: Mapping[str, Contract], components: Collection[str]) -> list[Note]:
    """What is judged in the place of what, in words."""
    return [
        Note(name, NoteCode.STANDS_IN, f"{missing} is judged as {name}, which includes it")
        for missing, name in stand_ins(contracts, components).items()
    ]
