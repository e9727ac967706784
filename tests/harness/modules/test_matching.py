"""Which parameter is which: by name and shape, never by what the module computes, and refused where none can tell."""

from __future__ import annotations

import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from harness.core.case import Case
from harness.core.contract import Argument, Contract, Signature
from harness.modules.expected_parameters import shape_of, sizes, slots
from harness.modules.layouts import laid_out, ways
from harness.modules.matching import plan
from harness.modules.parameter_map import Basis
from harness.modules.parameter_values import values_for

WEIGHT = Argument("up_weight", "float[hidden, width]", "parameter", aliases=("up.weight", "fc.weight", "W_in"))
BIAS = Argument("up_bias", "float[hidden]", "parameter", optional=True, aliases=("up.bias", "fc.bias"))
SQUARE = Argument("out_weight", "float[width, width]", "parameter", aliases=("out.weight", "proj.weight", "wo"))
STACKED = Argument(
    "qkv_weight",
    "float[3*width, width]",
    "parameter",
    aliases=("qkv.weight",),
    slices={"query": ("q.weight", "W_Q"), "key": ("k.weight", "W_K"), "value": ("v.weight", "W_V")},
)
GAIN = Argument("norm_weight", "float[width]", "parameter", aliases=("norm.weight", "ln.weight"))
TABLE = Argument("table", "float[vocab_size, width]", "parameter", aliases=("wte.weight", "head.weight"))


def contract(*parameters: Argument) -> Contract:
    signature = Signature((Argument("x", "float[batch, width]"), *parameters), "float[batch, width]")
    return Contract("thing", "", {"call": signature}, reference=lambda x: x, cases=lambda: st.just(Case.of({})))


def arguments(*parameters: Argument, **dimensions: int) -> dict:
    """A call of the contract with counted numbers in every parameter."""
    given = {"x": torch.zeros(2, dimensions["width"], dtype=torch.float64)}
    for a in parameters:
        if a.fields:
            given[a.name] = [fields(a.fields, i, dimensions) for i in range(dimensions["layers"])]
        else:
            given.update(fields((a,), 0, dimensions))
    return given


def fields(parameters, start, dimensions):
    found = {}
    for a in parameters:
        shape = shape_of(a, dimensions)
        found[a.name] = (torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + 1000 * start).reshape(shape)
    return found


def module(**parameters: tuple[int, ...]) -> nn.Module:
    """A module with bare parameters; dots in names (written __) make submodules."""
    made = nn.Module()
    for name, shape in parameters.items():
        *owners, leaf = name.split("__")
        holder = made
        for owner in owners:
            if not hasattr(holder, owner):
                holder.add_module(owner, nn.Module())
            holder = getattr(holder, owner)
        holder.register_parameter(leaf, nn.Parameter(torch.zeros(shape)))
    return made


def matched(found) -> dict[str, str]:
    return {m.expected.label: m.found.pattern for m in found.matches}


SIZES = {"width": 3, "hidden": 5, "vocab_size": 7, "layers": 2}


# sizes and shapes ----------------------------------------------------------------------------------------------------


def test_sizes_are_read_off_the_call():
    """Those of parameters, and the last axis of inputs; how many rows there are is no property of a module."""
    given = arguments(WEIGHT, **SIZES)
    assert sizes(contract(WEIGHT), given) == {"width": 3, "hidden": 5}


def test_a_left_out_parameter_has_the_shape_of_its_kind():
    """A bias that a case leaves out is still one that the module may have."""
    given = {**arguments(WEIGHT, BIAS, **SIZES), "up_bias": None}
    assert {s.name: s.shape for s in slots(contract(WEIGHT, BIAS), given)} == {"up_weight": (5, 3), "up_bias": (5,)}


def test_products_of_sizes_are_understood():
    """``3*width`` is three times the width."""
    weight, bias = Argument("weight", "float[3*width, width]"), Argument("bias", "float[heads]")
    assert shape_of(weight, {"width": 4}) == (12, 4) and shape_of(bias, {}) is None


@pytest.mark.parametrize(
    ("theirs", "kind", "expected"),
    [
        ((6, 4), "as is", lambda w: w),
        ((4, 6), "transposed", lambda w: w.T),
        ((1, 4, 6), "transposed", lambda w: w.T[None]),
        ((6, 4, 1), "as is", lambda w: w[..., None]),
        ((2, 3, 4), "[piece, out, in]", lambda w: torch.stack([w[:3], w[3:]])),
        ((2, 4, 3), "[piece, in, out]", lambda w: torch.stack([w[:3].T, w[3:].T])),
        ((4, 2, 3), "[in, piece, out]", lambda w: w.T.reshape(4, 2, 3)),
        ((6, 2, 2), "[out, piece, in]", lambda w: w.reshape(6, 2, 2)),
        ((2, 2, 6), "[pieces of in, out]", lambda w: torch.stack([w[:, :2].T, w[:, 2:].T])),
        ((2, 6, 2), "[pieces of in: out, in]", lambda w: torch.stack([w[:, :2], w[:, 2:]])),
    ],
)
def test_a_matrix_is_laid_out_in_every_way_people_keep_it(theirs, kind, expected):
    """Turned, with axes of one, and cut in pieces (heads) along either side."""
    weight = torch.arange(24.0).reshape(6, 4)
    slot = slots(contract(Argument("w", "float[a, b]", "parameter")), {"w": weight})[0]
    way = next(way for way in ways(slot, theirs) if way.kind.value == kind)
    assert torch.equal(laid_out(weight, way, theirs), expected(weight))


def test_a_bias_is_laid_out_in_pieces():
    """[heads, size] for [heads * size]."""
    slot = slots(contract(Argument("b", "float[a]", "parameter")), {"b": torch.arange(6.0)})[0]
    (way,) = ways(slot, (2, 3))
    assert torch.equal(laid_out(torch.arange(6.0), way, (2, 3)), torch.arange(6.0).reshape(2, 3))


def test_another_size_is_never_squeezed_in():
    """As many numbers in another shape are another matrix."""
    slot = slots(contract(Argument("w", "float[a, b]", "parameter")), {"w": torch.zeros(6, 4)})[0]
    (way,) = ways(slot, (6, 4))
    with pytest.raises(ValueError, match="cannot be laid out"):
        laid_out(torch.zeros(8, 3), way, (6, 4))


def test_gradients_flow_back_through_the_layout():
    """To the contract's own tensor."""
    weight = torch.arange(24.0).reshape(6, 4).requires_grad_()
    slot = slots(contract(Argument("w", "float[a, b]", "parameter")), {"w": weight})[0]
    way = ways(slot, (2, 4, 3))[0]
    laid_out(weight, way, (2, 4, 3)).sum().backward()
    assert torch.equal(weight.grad, torch.ones(6, 4))


# names ---------------------------------------------------------------------------------------------------------------


def test_the_longest_fitting_name_decides():
    """``b.proj.weight`` is more than ``proj.weight``."""
    one = Argument("one", "float[width, width]", "parameter", aliases=("proj.weight",))
    two = Argument("two", "float[width, width]", "parameter", aliases=("b.proj.weight",))
    found = plan(
        contract(one, two), module(a__proj__weight=(3, 3), b__proj__weight=(3, 3)), arguments(one, two, **SIZES)
    )
    assert found.fine and matched(found) == {"one": "a.proj.weight", "two": "b.proj.weight"}


def test_capitals_matter_only_where_nothing_else_tells():
    """``UP.weight`` is found by ``up.weight``."""
    assert plan(contract(WEIGHT), module(UP__weight=(5, 3)), arguments(WEIGHT, **SIZES)).fine


def test_separate_parts_are_given_their_rows():
    """q, k and v apart, for one stacked tensor."""
    given = arguments(STACKED, **SIZES)
    mine = module(q__weight=(3, 3), k__weight=(3, 3), v__weight=(3, 3))
    values = values_for(plan(contract(STACKED), mine, given), mine, given)
    assert torch.equal(torch.cat([values["q.weight"], values["k.weight"], values["v.weight"]]), given["qkv_weight"])


def test_pieces_in_a_list_are_put_together():
    """A list of heads, each with rows of its own."""
    given = arguments(STACKED, width=4)
    mine = module(**{f"heads__{i}__{part}__weight": (2, 4) for i in range(2) for part in "qkv"})
    found = plan(contract(STACKED), mine, given)
    values = values_for(found, mine, given)
    assert found.fine and torch.equal(values["heads.1.k.weight"], given["qkv_weight"][6:8])


def test_layers_are_told_by_the_index_that_all_share():
    """Not by the first number in a name: a second index inside a layer is not the layer."""
    layers = Argument("blocks", "list[layers]", "parameter", fields=(replace_alias(WEIGHT, "net.0.weight"), GAIN))
    mine = module(
        **{f"h__{i}__net__0__weight": (5, 3) for i in range(2)}, **{f"h__{i}__norm__weight": (3,) for i in range(2)}
    )
    given = arguments(layers, **SIZES)
    found = plan(contract(layers), mine, given)
    values = values_for(found, mine, given)
    assert found.fine and torch.equal(values["h.1.net.0.weight"], given["blocks"][1]["up_weight"])


def replace_alias(argument, *aliases):
    return Argument(argument.name, argument.kind, argument.role, argument.optional, aliases)


@pytest.mark.parametrize("name", ["block{}", "layer_{}", "h__{}"])
@pytest.mark.parametrize("start", [0, 1])
def test_layers_may_be_numbered_in_their_name_and_from_one(name, start):
    """``block1`` and ``block2`` are layers too."""
    layers = Argument("blocks", "list[layers]", "parameter", fields=(GAIN,))
    mine = module(**{f"{name.format(i + start)}__norm__weight": (3,) for i in range(2)})
    given = arguments(layers, **SIZES)
    found = plan(contract(layers), mine, given)
    assert found.fine and torch.equal(
        values_for(found, mine, given)[[*dict(mine.named_parameters())][1]], given["blocks"][1]["norm_weight"]
    )


def test_ten_layers_are_in_the_order_of_their_numbers():
    """10 comes after 2."""
    layers = Argument("blocks", "list[layers]", "parameter", fields=(GAIN,))
    mine = module(**{f"h__{i}__norm__weight": (3,) for i in range(11)})
    given = arguments(layers, width=3, layers=11)
    values = values_for(plan(contract(layers), mine, given), mine, given)
    assert torch.equal(values["h.10.norm.weight"], given["blocks"][10]["norm_weight"])


def test_a_plan_holds_for_other_numbers_of_layers():
    """It is made once and used for every size."""
    layers = Argument("blocks", "list[layers]", "parameter", fields=(GAIN,))
    small, large = (module(**{f"h__{i}__norm__weight": (3,) for i in range(n)}) for n in (2, 4))
    found = plan(contract(layers), small, arguments(layers, width=3, layers=2))
    given = arguments(layers, width=3, layers=4)
    assert set(values_for(found, large, given)) == {f"h.{i}.norm.weight" for i in range(4)}


def test_a_tied_parameter_is_one():
    """Under two names, given once."""
    mine = module(wte__weight=(7, 3))
    mine.head = nn.Module()
    mine.head.weight = mine.wte.weight
    given = arguments(TABLE, **SIZES)
    found = plan(contract(TABLE), mine, given)
    assert found.fine and list(values_for(found, mine, given)) == ["wte.weight"]


def test_an_untied_copy_is_given_the_same_numbers_and_noted():
    """A head of its own for the embedding's numbers."""
    given = arguments(TABLE, **SIZES)
    mine = module(wte__weight=(7, 3), head__weight=(7, 3))
    found = plan(contract(TABLE), mine, given)
    values = values_for(found, mine, given)
    assert found.fine and torch.equal(values["head.weight"], values["wte.weight"]) and "two tensors" in found.notes[0]


def test_buffers_are_no_parameters():
    """A causal mask is not learned."""
    mine = module(up__weight=(5, 3))
    mine.register_buffer("mask", torch.ones(4, 4))
    assert plan(contract(WEIGHT), mine, arguments(WEIGHT, **SIZES)).fine


def test_a_mask_kept_as_a_fixed_parameter_is_passed_over():
    """Some keep it so; it does not ask for a gradient."""
    mine = module(up__weight=(5, 3), mask=(4, 4))
    mine.mask.requires_grad_(False)
    given = arguments(WEIGHT, **SIZES)
    found = plan(contract(WEIGHT), mine, given)
    assert found.fine and list(values_for(found, mine, given)) == ["up.weight"]


def test_an_absent_optional_bias_is_told():
    """And is no error: the component is judged without it."""
    found = plan(contract(WEIGHT, BIAS), module(up__weight=(5, 3)), arguments(WEIGHT, BIAS, **SIZES))
    assert found.fine and found.absent == ("up_bias",)


def test_a_bias_that_a_case_leaves_out_is_zero():
    """The module has it, the case does not."""
    mine = module(up__weight=(5, 3), up__bias=(5,))
    given = {**arguments(WEIGHT, BIAS, **SIZES), "up_bias": None}
    values = values_for(plan(contract(WEIGHT, BIAS), mine, given), mine, given)
    assert torch.equal(values["up.bias"].double(), torch.zeros(5, dtype=torch.float64))


def test_an_unknown_name_is_found_by_a_shape_that_nothing_else_has():
    """And its bias beside it."""
    found = plan(
        contract(WEIGHT, BIAS), module(strange__weight=(5, 3), strange__bias=(5,)), arguments(WEIGHT, BIAS, **SIZES)
    )
    assert found.fine and matched(found) == {"up_weight": "strange.weight", "up_bias": "strange.bias"}
    assert [m.basis for m in found.matches] == [Basis.SHAPE, Basis.NEIGHBOUR]


def test_the_order_decides_for_no_optional_gain_where_names_tell_something():
    """The norm of queries is no gain of the block, though the sizes of one case give it the same shape."""
    usual = Argument("post_weight", "float[width]", "parameter", aliases=("post.weight",), optional=True, default=1.0)
    queries = Argument("query_weight", "float[hidden]", "parameter", aliases=("q_norm.weight",), optional=True)
    given = arguments(GAIN, usual, queries, **SIZES)
    named = plan(contract(GAIN, usual, queries), module(q_norm__weight=(3,), last__weight=(3,)), given, by_order=True)
    assert "q_norm.weight" not in matched(named).values()
    nameless = plan(contract(GAIN, usual, queries), module(first__weight=(3,), last__weight=(3,)), given, by_order=True)
    assert matched(nameless) == {"norm_weight": "first.weight", "post_weight": "last.weight"}


def test_names_that_were_told_come_first():
    """``names=`` of @implements, in parts and in layers too."""
    mine = module(a=(3, 3), b=(3, 3), c=(3, 3))
    given = arguments(STACKED, **SIZES)
    values = values_for(plan(contract(STACKED), mine, given, {"qkv_weight": ("c", "a", "b")}), mine, given)
    assert torch.equal(values["c"], given["qkv_weight"][:3]) and torch.equal(values["b"], given["qkv_weight"][6:])


def test_a_told_name_that_does_not_exist_is_refused_with_the_nearest():
    """A slip there must not be a silence."""
    found = plan(contract(WEIGHT), module(up__weight=(5, 3)), arguments(WEIGHT, **SIZES), {"up_weight": "upp.weight"})
    assert not found.fine and "no parameter of that name (it has: up.weight)" in found.refusal()


# layouts of square matrices ------------------------------------------------------------------------------------------


class Conv1D(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*shape))


def way_of(found, name: str) -> str:
    return next(m.layout.kind.value for m in found.matches if m.expected.name == name)


def test_a_layer_of_torch_is_out_in():
    """nn.Linear, whatever the others are."""
    mine = nn.ModuleDict({"up": Conv1D(3, 5), "out": nn.Linear(3, 3, bias=False)})
    assert way_of(plan(contract(WEIGHT, SQUARE), mine, arguments(WEIGHT, SQUARE, **SIZES)), "out_weight") == "as is"


def test_a_layer_called_conv1d_is_in_out():
    """That of transformers."""
    mine = nn.ModuleDict({"out": Conv1D(3, 3)})
    assert way_of(plan(contract(SQUARE), mine, arguments(SQUARE, **SIZES)), "out_weight") == "transposed"


def test_a_square_matrix_follows_its_siblings():
    """A bare one beside a bare one that shows its layout."""
    found = plan(
        contract(WEIGHT, SQUARE), module(up__weight=(3, 5), out__weight=(3, 3)), arguments(WEIGHT, SQUARE, **SIZES)
    )
    assert way_of(found, "out_weight") == "transposed"


def test_a_declared_layout_is_followed():
    """Where nothing else tells."""
    mine = module(out__weight=(3, 3))
    assert (
        way_of(plan(contract(SQUARE), mine, arguments(SQUARE, **SIZES), layout="in_out"), "out_weight") == "transposed"
    )


def test_a_guessed_layout_is_noted_with_how_to_declare_it():
    """Never silently."""
    found = plan(contract(SQUARE), module(out__weight=(3, 3)), arguments(SQUARE, **SIZES))
    assert way_of(found, "out_weight") == "as is" and 'layout="in_out"' in found.notes[0]


# refusals ------------------------------------------------------------------------------------------------------------


def test_a_missing_parameter_is_refused_with_the_line_that_would_fix_it():
    """Two of one shape: names alone can tell, and are asked for."""
    one = Argument("one", "float[width]", "parameter", aliases=("one",))
    two = Argument("two", "float[width]", "parameter", aliases=("two",))
    found = plan(contract(one, two), module(first=(3,), second=(3,)), arguments(one, two, **SIZES))
    text = found.refusal()
    assert '@implements("thing", names={"one": ..., "two": ...})' in text and "without a match: first, second" in text


def test_the_only_parameter_that_fits_is_proposed():
    """By its shape; a person still has to say so, for it is named like nothing known."""
    one = Argument("one", "float[width]", "parameter", optional=True, aliases=("one",))
    found = plan(contract(WEIGHT, one), module(up__weight=(5, 3), strange=(3,)), arguments(WEIGHT, one, **SIZES))
    assert not found.fine and """names={"one": 'strange'}""" in found.refusal()
    assert "optional; not found" in found.refusal()


def test_a_surplus_parameter_is_refused():
    """The module computes something that the component does not."""
    found = plan(contract(WEIGHT), module(up__weight=(5, 3), temperature=(1,)), arguments(WEIGHT, **SIZES))
    assert not found.fine and "temperature" in found.refusal() and "buffer" in found.refusal()


def test_a_stray_gain_is_not_taken_for_a_bias():
    """A shape alone never makes an optional parameter."""
    found = plan(contract(WEIGHT, BIAS), module(up__weight=(5, 3), gamma=(5,)), arguments(WEIGHT, BIAS, **SIZES))
    assert not found.fine and [t.pattern for t in found.surplus] == ["gamma"]


def test_a_parameter_of_another_size_is_named_with_both_shapes():
    """And with the sizes that it must be built with."""
    found = plan(contract(WEIGHT), module(up__weight=(12, 3)), arguments(WEIGHT, **SIZES))
    assert "up.weight is named like up_weight, but is [12, 3] where that is [5, 3]" in found.refusal()
    assert "config.hidden" in found.refusal()


def test_one_part_of_a_stacked_tensor_alone_is_refused():
    """A key without its query."""
    found = plan(contract(STACKED), module(q__weight=(3, 3), v__weight=(3, 3)), arguments(STACKED, **SIZES))
    assert not found.fine and "qkv_weight (key)" in found.refusal()


def test_two_of_one_name_are_not_told_apart_by_chance():
    """Which of two norms is which is not guessed."""
    found = plan(contract(GAIN), module(a__norm__weight=(3,), b__norm__weight=(3,)), arguments(GAIN, **SIZES))
    assert not found.fine


def test_the_bias_of_a_layer_is_not_taken_for_a_gain():
    """A block with one norm has none of the second, whatever else has its size."""
    layer = module(layer__weight=(5, 3), layer__strange=(3,))
    found = plan(contract(WEIGHT, GAIN), layer, arguments(WEIGHT, GAIN, **SIZES))
    assert "norm_weight" not in [match.expected.name for match in found.matches]
