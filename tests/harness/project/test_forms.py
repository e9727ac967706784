"""What a declaration of legal forms means: by component, by axis, by both; and what contradicts itself."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.contract import Contract, NumberForm, Signature, Variant
from harness.core.errors import UsageError
from harness.core.mistake import Edit, applied, fits
from harness.project.forms import axes_of, edits_of_forms, forms_from, that_fit
from harness.project.variants import Declared, in_one_line, merged


def left(x: float) -> float:
    """A reference with a line for each axis."""
    turned = x
    base = 10.0
    capped = turned
    return capped + 0.0 * base


def right(x: float) -> float:
    """Another component with one of them."""
    turned = x
    return turned


def contract(
    name: str, reference: Any, variants: tuple[Variant, ...], numbers: tuple[NumberForm, ...] = ()
) -> Contract:
    calls = {"call": Signature((), "float")}
    return Contract(name, name, calls, reference, lambda: st.just(Case.of({})), variants=variants, numbers=numbers)


def positions(reference: Any) -> tuple[Variant, ...]:
    return (
        Variant("none", "Not turned.", (), axis="positions", is_default=True),
        Variant("turned", "Turned.", (Edit(reference, "turned = x", "turned = -x"),), axis="positions"),
        Variant(
            "turned_twice",
            "Turned by a table.",
            (Edit(reference, "turned = x", "table = 3.0\nturned = x * table"),),
            axis="positions",
            aliases=("twice",),
        ),
    )


CAP = NumberForm(
    "cap", "At most {}.", lambda n: (Edit(left, "capped = turned", f"capped = min(turned, {n})"),), (2.0, 5.0)
)
TABLE = NumberForm(
    "table", "The table is {}.", lambda n: (Edit(left, "table = 3.0", f"table = {n}"),), (4.0,), whole=True
)
CONTRACTS: Mapping[str, Contract] = {
    "left": contract("left", left, positions(left), (CAP, TABLE)),
    "right": contract("right", right, positions(right)),
    "plain": contract("plain", right, (Variant("one", "One.", ()), Variant("other", "Other.", ()))),
}


def declared(text: str) -> Mapping[str, str]:
    return in_one_line(text, CONTRACTS).variants


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("left=turned", {"left": "turned"}),
        ("positions=turned", {"left": "turned", "right": "turned"}),
        ("positions=twice", {"left": "turned_twice", "right": "turned_twice"}),
        ("cap=5,positions=turned", {"left": "turned+cap=5", "right": "turned"}),
        ("cap=5e+0", {"left": "cap=5"}),
        ("left=cap=5+turned", {"left": "turned+cap=5"}),
        ("left.cap=2.5", {"left": "cap=2.5"}),
        ("left.positions=turned", {"left": "turned"}),
        ("positions=turned,right=none", {"left": "turned", "right": "none"}),
        ("right.positions=none, positions=turned", {"left": "turned", "right": "none"}),
        ("plain=other,cap=2,cap=2.0", {"plain": "other", "left": "cap=2"}),
    ],
)
def test_a_line_is_read(text: str, expected: Mapping[str, str]) -> None:
    """An axis holds for every component that has the value; what names the component goes first; and what is printed
    is read as it was."""
    assert declared(text) == expected
    assert in_one_line(str(Declared(expected)), CONTRACTS).variants == expected


def test_a_table_may_hold_numbers_lists_and_tables() -> None:
    """As TOML has them."""
    table = {"left": {"positions": "turned", "cap": 5}, "right": ["turned"], "plain": "one"}
    assert forms_from(table.items(), CONTRACTS, "here") == {"left": "turned+cap=5", "right": "turned", "plain": "one"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("position=turned", "no key 'position'; did you mean positions?"),
        ("positions=turnd", "positions has no value 'turnd'; did you mean turned"),
        ("left=turnd", "left has no variant 'turnd'; did you mean turned"),
        ("left.position=turned", "left has no axis 'position'; did you mean positions?"),
        ("right.cap=5", "right has no axis 'cap'; it has: positions"),
        ("cap=much", "cap is a number above 0, not 'much' (example: cap=2)"),
        ("cap=-1", "cap is a number above 0, not '-1'"),
        ("table=2.5", "table is a whole number above 0"),
        ("left=cap=-1", "left has no variant 'cap=-1'"),
        ("positions=turned,positions=none", "positions=turned and positions=none contradict each other in left"),
        ("left=turned,left.positions=none", "left=turned and left.positions=none contradict each other"),
        ("plain=one,plain=other", "plain=one and plain=other contradict each other"),
        ("cap=2,cap=5", "cap=2 and cap=5 contradict each other"),
        ("turned", "takes component=variant or axis=value"),
    ],
)
def test_what_is_wrong_names_the_nearest(text: str, told: str) -> None:
    """And contradictions are told, not settled."""
    with pytest.raises(UsageError) as caught:
        declared(text)
    assert told in str(caught.value)


def test_forms_on_different_axes_are_in_force_together() -> None:
    """In the order of the sheet, so that one may change a line that another brings."""
    variants = that_fit(declared("left=table=4+cap=5,positions=twice"), CONTRACTS, "here")
    assert variants == {"left": "turned_twice+cap=5+table=4", "right": "turned_twice"}
    with applied(edits_of_forms(variants, CONTRACTS)):
        assert (left(1.0), left(2.0), right(2.0)) == (4.0, 5.0, 6.0)


def test_a_form_without_a_place_is_told() -> None:
    """A number of a table that no declared form has."""
    with pytest.raises(UsageError, match="table=4 changes something that left does not have as declared"):
        that_fit(declared("table=4"), CONTRACTS, "here")


def test_the_first_goes_before_the_others_axis_by_axis() -> None:
    """What one leaves open is taken from the next."""
    both = merged(CONTRACTS, Declared({"left": "cap=5"}), Declared({"left": "turned+cap=2", "right": "none"}, 1e-6))
    assert both == Declared({"left": "turned+cap=5", "right": "none"}, 1e-6)


def test_no_axis_is_called_like_a_component_and_names_are_unique() -> None:
    """Of the real sheets: a key is one thing, and a name of a component one form."""
    from harness.judging.catalogue import load_catalogue

    contracts = load_catalogue().contracts
    assert not set(axes_of(contracts)) & set(contracts)
    for one in contracts.values():
        names = [name for v in one.variants for name in (v.name, *v.aliases)]
        assert len(names) == len(set(names)), one.name
        for form in one.legal.variants:
            assert one.legal.named(form.name) == form


def test_the_document_names_every_axis_with_its_values_and_components() -> None:
    """docs/FORMS.md is written by hand; no axis may be missing in it."""
    from harness.judging.catalogue import load_catalogue

    document = Path(__file__).parents[3] / "docs" / "FORMS.md"
    rows = {line.split("`")[1]: line for line in document.read_text().splitlines() if line.startswith("| `")}
    for component, contract in load_catalogue().contracts.items():
        for axis, names in contract.legal.axes.items():
            assert axis in rows, f"docs/FORMS.md does not name the axis {axis}"
            components = rows[axis].split("|")[-2]
            assert component in components.replace(",", " ").split(), (
                f"docs/FORMS.md: {axis} is an axis of {component} too"
            )
            assert all(f"`{name}`" in rows[axis] for name in names), (axis, names)


def test_every_two_axes_combine() -> None:
    """Whatever two values on different axes are declared: their edits fit beside each other, in all components."""
    from harness.judging.catalogue import load_catalogue

    contracts = load_catalogue().contracts
    values = {(axis, name) for axis, names in axes_of(contracts).items() for name in names}
    values |= {(n.axis, str(n.candidates[0])) for c in contracts.values() for n in c.numbers if n.candidates}
    for one, other in itertools.combinations(sorted(values), 2):
        declared = forms_from([one, other], contracts, "here") if one[0] != other[0] else {}
        with contextlib.suppress(UsageError):  # one that goes with a third only, such as a base of rotation
            assert fits(edits_of_forms(that_fit(declared, contracts, "here"), contracts)), (one, other)
