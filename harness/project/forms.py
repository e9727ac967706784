"""Declarations of legal forms become the forms of each component: ``gelu=erf``, ``softcap=50``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from harness.core.contract import Contract
from harness.core.errors import UsageError, did_you_mean
from harness.core.forms import Variant, as_number, names_in, number_text
from harness.core.mistake import Edit, fits

Contracts = Mapping[str, Contract]


class _Chosen(NamedTuple):
    """A form of one component, and whether its key names the component: then it goes before what an axis says."""

    form: Variant
    names_component: bool
    said: str


def forms_from(
    pairs: Iterable[tuple[str, Any]], contracts: Contracts, where: str, known: Iterable[str] = ()
) -> dict[str, str]:
    """The forms of each component, as one text each, from declarations ``key, value``.

    A key is a component, an axis (every component that has this value on it), or ``component.axis``. A value is a
    name, a number, several names joined by ``+``, a list of these, or a table of values by axis. What names the
    component goes before what an axis says of all. ``known``: further keys, for the hint. Raises UsageError that
    names the nearest key or value, and where two declarations contradict each other.
    """
    chosen: dict[tuple[str, str], _Chosen] = {}
    for key, value in pairs:
        for name in _values(key, value, where):
            said = f"{name[0]}={_shown(name[1])}"
            for component, form in _meant(*name, contracts, where, tuple(known)):
                _put(chosen, component, _Chosen(form, name[0] not in axes_of(contracts), said), where)
    by_component: dict[str, list[Variant]] = {}
    for (component, _), choice in chosen.items():
        by_component.setdefault(component, []).append(choice.form)
    return {component: contracts[component].legal.text_of(forms) for component, forms in by_component.items()}


def axes_of(contracts: Contracts) -> dict[str, list[str]]:
    """The axes of all components, with the names on each, every one once."""
    found: dict[str, list[str]] = {}
    for contract in contracts.values():
        for axis, names in contract.legal.axes.items():
            here = found.setdefault(axis, [])
            here += [name for name in names if name not in here]
    return found


def declared_as(component: str, form: Variant) -> str:
    """How a form of a component is declared, as ``key=value``: by its axis where it stands on one."""
    if not form.axis:
        return f"{component}={form.name}"
    return form.name if form.name.startswith(f"{form.axis}=") else f"{form.axis}={form.name_on_axis}"


def edits_of_forms(variants: Mapping[str, str], contracts: Contracts) -> tuple[Edit, ...]:
    """The edits of all declared forms, each once: components that have a form in common share its edits.

    Where two components write one form of one axis differently at the same place, the first one's edit stands. A form
    of an argument has none: where it is declared, the implementation is given the argument in that form.

    Raises KeyError where a component or a form is unknown.
    """
    edits: list[Edit] = []
    places: dict[tuple[Any, str], tuple[str, str]] = {}
    for component, text in variants.items():
        if component not in contracts:
            there = ", ".join(contracts)
            raise KeyError(f"a variant is declared for {component!r}, which is no component; there are: {there}")
        for form in contracts[component].legal.in_text(text):
            if form.given:
                continue
            meant = (form.axis, form.name_on_axis)
            shared = [edit for edit in form.edits if form.axis and places.get((edit.of, edit.right)) == meant]
            edits += [edit for edit in form.edits if edit not in shared]
            places.update({(edit.of, edit.right): meant for edit in form.edits})
    return tuple(dict.fromkeys(edits))


def that_fit(variants: Mapping[str, str], contracts: Contracts, where: str) -> dict[str, str]:
    """Without the forms that have no place in their component beside its other forms, where they have one elsewhere.

    (A base of rotary positions has none in a component without rotary positions.) Raises UsageError where a form has
    a place nowhere.
    """
    kept: dict[str, list[str]] = {}
    left: dict[str, list[str]] = {}
    for component, text in variants.items():
        edits: tuple[Edit, ...] = ()
        for form in contracts[component].legal.in_text(text):
            own = () if form.given else form.edits
            if fits((*edits, *own)):
                edits = (*edits, *own)
                kept.setdefault(component, []).append(form.name)
            else:
                left.setdefault(form.name, []).append(component)
    for name, components in left.items():
        if not any(name in names for names in kept.values()):
            which = " and ".join(components)
            raise UsageError(
                f"{where}: {name} changes something that {which} does not have as declared "
                f"(`plumbline explain {components[0]}` says what it goes with)"
            )
    return {component: "+".join(names) for component, names in kept.items()}


def _values(key: str, value: Any, where: str) -> list[tuple[str, Any]]:
    """A declaration as pairs of a key and one name or number."""
    if isinstance(value, Mapping):
        return [pair for axis, inner in value.items() for pair in _values(f"{key}.{axis}", inner, where)]
    if isinstance(value, (list, tuple)):
        return [pair for inner in value for pair in _values(key, inner, where)]
    if isinstance(value, str) and (names := names_in(value)):
        return [(key, name) for name in names]
    return [(key, value)]


def _meant(key: str, value: Any, contracts: Contracts, where: str, known: tuple[str, ...]) -> list[tuple[str, Variant]]:
    """The components that a key and a value concern, with the form that each has then."""
    component, dot, axis = key.partition(".")
    if component in contracts:
        return [(component, _of_component(contracts[component], axis if dot else None, value, where))]
    axes = axes_of(contracts)
    if key not in axes:
        having = [name for name, contract in contracts.items() if contract.legal]
        near = did_you_mean(key, [*known, *having, *axes]) or did_you_mean(key, contracts)
        there = f"there are the keys: {', '.join([*known, *having, *axes])}"
        raise UsageError(f"{where}: there is no key {key!r}; {near or there}")
    found = [(name, f) for name, contract in contracts.items() if (f := contract.legal.on(key, value)) is not None]
    if not found:
        raise UsageError(f"{where}: {_no_value(key, value, axes[key], contracts.values())}")
    return found


def _of_component(contract: Contract, axis: str | None, value: Any, where: str) -> Variant:
    legal = contract.legal
    if not legal:
        raise UsageError(f"{where}: {contract.name} has no legal variants")
    if axis is not None and axis not in legal.axes:
        hint = did_you_mean(axis, legal.axes) or f"it has: {', '.join(legal.axes) or 'none'}"
        raise UsageError(f"{where}: {contract.name} has no axis {axis!r}; {hint}")
    if axis is not None:
        form = legal.on(axis, value)
        if form is None:
            raise UsageError(f"{where}: {_no_value(axis, value, legal.axes[axis], [contract])}")
        return form
    form = legal.named(value) if isinstance(value, str) else None
    if form is None:
        names = [
            *(v.name for v in sorted(legal.variants, key=lambda v: v.is_default)),
            *(f"{n.axis}={number_text(n.candidates[0])}" for n in legal.numbers if n.candidates),
        ]
        hint = did_you_mean(str(value), names)
        raise UsageError(
            f"{where}: {contract.name} has no variant {value!r}; {hint + ' ' if hint else ''}"
            f'legal variants: {legal} (write {contract.name} = "{names[0]}")'
        )
    return form


def _no_value(axis: str, value: Any, names: Iterable[str], contracts: Iterable[Contract]) -> str:
    """That an axis has no such value, and what it takes."""
    numbers = [form for contract in contracts for form in contract.numbers if form.axis == axis]
    if numbers and (as_number(value) is not None or not list(names)):
        example = f" (example: {axis}={number_text(numbers[0].candidates[0])})" if numbers[0].candidates else ""
        return f"{axis} is {numbers[0].allowed}, not {value!r}{example}"
    hint = did_you_mean(str(value), names)
    return f"{axis} has no value {value!r}; {hint + ' ' if hint else ''}legal values: {', '.join(names)}"


def _put(chosen: dict[tuple[str, str], _Chosen], component: str, new: _Chosen, where: str) -> None:
    """Note a form of a component; what names the component replaces what an axis says. Raises UsageError where two
    declarations of the same rank contradict each other."""
    place = (component, new.form.axis)
    old = chosen.get(place)
    if old is None or (new.names_component and not old.names_component):
        chosen[place] = new
    elif old.form.name != new.form.name and old.names_component == new.names_component:
        raise UsageError(f"{where}: {old.said} and {new.said} contradict each other in {component}; declare one")


def _shown(value: Any) -> str:
    return number_text(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
