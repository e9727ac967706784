"""The notation of a contract's arguments and results is read in one place."""

import pytest

from harness.core.contract import Argument, Signature

NONE = frozenset[str]()
FORMS = ("is_float_tensor", "holds_integers", "holds_arrays", "has_elements", "is_modifiable", "is_list")
RESULTS = ("returns_nothing", "returns_only_nothing", "returns_tensor", "returns_number", "returns_several")


@pytest.mark.parametrize(
    ("kind", "forms", "axes"),
    [
        (
            "float[3*width, width]",
            {"is_float_tensor", "holds_arrays", "has_elements", "is_modifiable"},
            ("3*width", "width"),
        ),
        ("int[batch, time]", {"holds_integers", "holds_arrays", "has_elements", "is_modifiable"}, ("batch", "time")),
        ("int8[...]", {"holds_integers", "has_elements", "is_modifiable"}, ("...",)),
        ("bool[queries, keys]", {"has_elements", "is_modifiable"}, ("queries", "keys")),
        ("list[float[...]]", {"holds_arrays", "has_elements", "is_modifiable", "is_list"}, ("float[...]",)),
        ("list[layers]", {"has_elements", "is_modifiable", "is_list"}, ("layers",)),
        ("list of kinds", NONE, ()),
        ("int", {"holds_integers"}, ()),
        ("weights", {"is_modifiable"}, ()),
        ("float", NONE, ()),
        ("text", NONE, ()),
    ],
)
def test_arguments(kind: str, forms: set[str], axes: tuple[str, ...]) -> None:
    argument = Argument("x", kind)
    assert {form for form in FORMS if getattr(argument, form)} == forms and argument.axes == axes


def test_a_record_of_arrays_and_the_names_of_axes() -> None:
    record = Argument("weights", "weights", fields=(Argument("bias", "float[3*width, width, 2*rank]"),))
    assert record.holds_arrays and record.fields[0].axis_names == ("width", "rank")


@pytest.mark.parametrize(
    ("result", "forms"),
    [
        ("nothing", {"returns_nothing", "returns_only_nothing"}),
        ("nothing, or the step", {"returns_nothing"}),
        ("float[batch]", {"returns_tensor"}),
        ("int8[...]", {"returns_tensor"}),
        ("uint8[...]", NONE),
        ("list[float[...]]", NONE),
        ("float", {"returns_number"}),
        ("(low, high)", {"returns_several"}),
        ("{a: float[rank]}", {"returns_several"}),
    ],
)
def test_results(result: str, forms: set[str]) -> None:
    signature = Signature((), result)
    assert {form for form in RESULTS if getattr(signature, form)} == forms
