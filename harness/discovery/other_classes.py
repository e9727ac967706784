"""Several models in one file: the largest is judged; what another one has beside it is judged too, or named."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence

from harness.core.contract import Contract
from harness.core.note import NoteCode
from harness.discovery.module_classes import FoundClasses, find_in_classes
from harness.discovery.notes import FoundNote
from harness.discovery.resemblance import resemblance
from harness.execution.session import Adapter
from harness.modules.construction import names_in
from harness.modules.found_class import FoundModule, InsideOnly
from harness.stubs.classes import is_abstract
from harness.stubs.detection import code_of


def without_bases(classes: Sequence[type]) -> list[type]:
    """The classes without those that are merely a base: others beside it derive from it, and write what it does not."""

    def is_base(kind: type) -> bool:
        return is_abstract(kind) and any(other is not kind and issubclass(other, kind) for other in classes)

    return [kind for kind in classes if not is_base(kind)]


def find_others(
    classes: Sequence[type], found: Mapping[str, Adapter], contracts: Mapping[str, Contract], text: str, seconds: float
) -> FoundClasses:
    """What the classes have that are no part of what was found, and notes of what they have again.

    ``found``: every component that was found. ``text``: the option that named the file, which the notes complete.
    ``seconds``: processor seconds for one trial call.
    """
    adapters: dict[str, FoundModule | InsideOnly] = {}
    notes = []
    for kind in _others(classes, found, contracts):
        alone = find_in_classes([kind], contracts, (), seconds=seconds).adapters
        adapters |= {name: a for name, a in alone.items() if name not in found and name not in adapters}
        again = [name for name, own in alone.items() if isinstance(own, FoundModule) and _is_module(found, name)]
        if again:
            own = _owner(found[again[-1]])
            what = f"{kind.__name__} is not checked where it is {_listed(again)} too: that of {own} is"
            notes.append(FoundNote(f"{what}. To check it: {text}:{kind.__name__}", NoteCode.NOT_CHECKED, kind=kind))
    return FoundClasses(adapters, tuple(notes))


def _others(classes: Sequence[type], found: Mapping[str, Adapter], contracts: Mapping[str, Contract]) -> list[type]:
    """Classes that are named like a component, and are neither plugged in, nor a base or a part of one that is."""
    used = [adapter.source for adapter in found.values() if inspect.isclass(adapter.source)]
    parts = built_by(used, classes)
    named = [k for k in classes if any(resemblance(k, c) for c in contracts.values() if c.is_function)]
    return [kind for kind in named if kind not in parts and not any(issubclass(source, kind) for source in used)]


def built_by(used: Iterable[type], classes: Sequence[type]) -> set[type]:
    """The classes of ``used``, and those that their code names, directly or through another."""
    waiting, seen = list(used), set(used)
    while waiting:
        kind = waiting.pop()
        named = set()
        for method in vars(kind).values():
            code = code_of(method)
            named |= set(names_in(code)) if code is not None else set()
        for other in classes:
            if other not in seen and other.__name__ in named:
                seen.add(other)
                waiting.append(other)
    return seen


def _is_module(found: Mapping[str, Adapter], name: str) -> bool:
    return isinstance(found.get(name), FoundModule)


def _owner(adapter: Adapter) -> str:
    return str(getattr(adapter.source, "__name__", "the other one"))


def _listed(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
