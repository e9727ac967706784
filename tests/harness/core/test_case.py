"""Cases: keys, changes, casts, saving."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.serialize import from_json, to_json
from harness.core.values import Resource, Settings

leaf = st.one_of(
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(),
    st.binary(),
    st.floats(allow_nan=False),
    st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(lambda v: torch.tensor(v, dtype=torch.float64)),
    st.lists(st.integers(-9, 9), max_size=4).map(lambda v: torch.tensor(v, dtype=torch.int64)),
    st.text(alphabet="\ud800a\udfff", min_size=1),
    st.just(Settings(width=3, eps=1e-5)),
    st.just(Resource("a.b:c")),
)
value = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.binary()), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), value, max_size=3))
@settings(deadline=None, max_examples=150)
def test_a_saved_case_reads_back_the_same(arguments) -> None:
    """Whatever a script holds, its JSON gives a case with the same key."""
    import json

    case = Case((Call("build", arguments), Call("step", {})), {"width": 3}, "drawn")
    back = from_json(json.loads(json.dumps(to_json(case))))
    assert back.key == case.key
    assert (back.dimensions, back.family) == (case.dimensions, case.family)


def test_layout_is_part_of_a_case() -> None:
    """A transposed or expanded argument is another case than the same numbers in order, and is saved as such."""
    plain = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    turned = Case.of({"x": plain.t().contiguous().t()})
    spread = Case.of({"x": plain[:1].expand(2, 3)})
    assert Case.of({"x": plain}).key != turned.key
    for case in (turned, spread):
        back = from_json(to_json(case)).arguments["x"]
        assert torch.equal(back, case.arguments["x"]) and back.stride() == case.arguments["x"].stride()


def test_changing_a_case_leaves_the_original() -> None:
    """changed() and cast() return new cases."""
    case = Case.of({"x": torch.ones(2, dtype=torch.float64), "n": 3}, width=2)
    half = case.cast(torch.bfloat16).changed(n=4)
    assert case.arguments["x"].dtype == torch.float64 and case.arguments["n"] == 3
    assert half.arguments["x"].dtype == torch.bfloat16 and half.arguments["n"] == 4


def test_settings_name_what_they_know() -> None:
    """An unknown name lists the known ones; items and attributes are the same."""
    settings_ = Settings(width=4, heads=2)
    assert settings_.width == settings_["width"] == 4 and "heads" in settings_
    with pytest.raises(AttributeError, match="width, heads"):
        _ = settings_.n_embd
    with pytest.raises(KeyError):
        _ = settings_["n_embd"]


def test_an_unknown_kind_of_value_is_refused_by_name() -> None:
    """Saving something that is no argument says which."""
    with pytest.raises(TypeError, match="object"):
        to_json(Case.of({"x": object()}))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.bool])
def test_strides_of_an_axis_of_size_one_do_not_matter(dtype) -> None:
    """torch calls such a tensor contiguous whatever its strides say, and refuses to view its bytes."""
    wide = torch.arange(6).reshape(3, 2).to(dtype)
    narrow = wide[:, ::2]
    assert narrow.shape == (3, 1) and narrow.stride() == (2, 2)
    assert Case.of({"x": narrow}).key == Case.of({"x": narrow}).key
    assert Case.of({"x": narrow}).key != Case.of({"x": wide[:, 1::2]}).key
