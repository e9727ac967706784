"""Somebody's function is called by name where its names are the contract's, by position otherwise."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy
import pytest
import torch

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Argument, Signature
from harness.core.values import Settings, TrackedSettings
from harness.execution.arguments import bound, untaken

SIGNATURE = Signature(
    (
        Argument("x", "float[n]"),
        Argument("weight", "float[n]", "parameter"),
        Argument("eps", "float", "setting", optional=True, default=1e-5),
    ),
    "float[n]",
)
GIVEN = {"x": 1, "weight": 2, "eps": 1e-3}


def test_names_of_the_contract_in_any_order():
    """By keyword."""
    assert bound(lambda eps, weight, x: (x, weight, eps), SIGNATURE, GIVEN)() == (1, 2, 1e-3)


def test_names_of_their_own_in_the_contracts_order():
    """By position."""
    assert bound(lambda a, b, c: (a, b, c), SIGNATURE, GIVEN)() == (1, 2, 1e-3)


def test_keyword_only_names():
    """As some insist on."""

    def function(*, x, weight, eps):
        return x, weight, eps

    assert bound(function, SIGNATURE, GIVEN)() == (1, 2, 1e-3)


def test_any_keywords_and_any_arguments():
    """Wrappers take what comes."""
    assert bound(lambda **given: given, SIGNATURE, GIVEN)() == GIVEN
    assert bound(lambda *given: given, SIGNATURE, GIVEN)() == (1, 2, 1e-3)


def test_builtins_without_a_signature():
    """torch's own functions have none."""
    x = torch.ones(2)
    assert torch.equal(bound(torch.add, Signature(SIGNATURE.arguments[:2], ""), {"x": x, "weight": x})(), 2 * x)


def test_an_optional_argument_at_its_default_may_be_missing():
    """Leaving it out means the same."""
    assert bound(lambda x, weight: (x, weight), SIGNATURE, {**GIVEN, "eps": 1e-5})() == (1, 2)


def test_an_optional_argument_of_another_value_is_not_offered():
    """Their function has no such knob: nothing is wrong, nothing can be said."""
    with pytest.raises(NotSupported, match="eps"):
        bound(lambda x, weight: (x, weight), SIGNATURE, GIVEN)()


def test_too_few_parameters_are_refused_with_both_signatures():
    """FoundParameter and the contract's."""
    with pytest.raises(Misfit, match=r"\(x\) cannot be called as the contract says.*\(x, weight, eps\)"):
        bound(lambda x: x, SIGNATURE, {**GIVEN, "eps": 1e-5})()


def test_settings_know_what_was_read():
    """Attribute by attribute, or all at once."""
    watched = TrackedSettings(Settings(width=3, norm_eps=1e-3))
    assert watched.width == 3 and watched.read == {"width"}
    optional = (Argument("norm_eps", "float", "setting", optional=True, default=1e-5),)
    assert untaken(optional, watched.known(), watched.read) == ["norm_eps"]
    watched.as_dict()
    assert untaken(optional, watched.known(), watched.read) == []


@pytest.mark.parametrize("library", [torch.tensor, numpy.array])
def test_an_optional_array_that_was_not_read_is_untaken(library):
    """NumPy compares arrays entry by entry, with None too."""
    optional = (Argument("position_ids", "int[batch, time]", optional=True, by_name=True),)
    assert untaken(optional, {"position_ids": library([[0, 1], [0, 1]])}, set()) == ["position_ids"]
    assert untaken(optional, {"position_ids": library([[0, 1], [0, 1]])}, {"position_ids"}) == []
    assert untaken(optional, {"position_ids": None}, set()) == untaken(optional, {}, set()) == []


def test_watched_settings_can_be_copied():
    """People deep-copy their configuration."""
    assert copy.deepcopy(TrackedSettings(Settings(width=3))).width == 3


def test_a_missing_argument_in_the_middle_shifts_no_other():
    """Who has eps but no scale is not given the scale as eps."""
    scale, eps = (Argument(name, "float", "setting", optional=True, default=0.0) for name in ("scale", "eps"))
    signature = Signature((Argument("x", "float[width]"), scale, eps), "float[width]")
    with pytest.raises(NotSupported, match="scale"):
        bound(lambda x, eps=0.0: (x, eps), signature, {"x": 1, "scale": 0.5, "eps": 0.0})()


WITH_MORE = Signature(
    (
        *SIGNATURE.arguments,
        Argument(
            "floor",
            "float",
            "setting",
            optional=True,
            aliases=("least",),
            by_name=True,
            other_forms={"depth": lambda floor: -floor},
        ),
    ),
    "float[n]",
)


def test_an_argument_by_name_goes_to_the_parameter_that_is_called_so():
    """By its own name or an alias, wherever it stands, in the form that the name says; left out at its default."""
    assert bound(lambda x, weight, eps, floor=0: floor, WITH_MORE, {**GIVEN, "floor": 3.0})() == 3.0
    assert bound(lambda a, least=0, b=0, c=0: (a, b, c, least), WITH_MORE, {**GIVEN, "floor": 3.0})() == (
        1,
        2,
        1e-3,
        3.0,
    )
    assert bound(lambda x, weight, eps, depth=0: depth, WITH_MORE, {**GIVEN, "floor": 3.0})() == -3.0
    assert bound(lambda a, b, c, least=7: least, WITH_MORE, {**GIVEN, "floor": None})() == 7


@pytest.mark.parametrize(
    "function",
    [lambda x, weight, eps, other=None: other, lambda *given: given, lambda **given: given, torch.add],
    ids=["another name", "any arguments", "any keywords", "a builtin"],
)
def test_an_argument_by_name_is_not_asked_of_code_that_does_not_name_it(function):
    """Neither by position nor as one of any keywords."""
    with pytest.raises(NotSupported, match="takes no floor"):
        bound(function, WITH_MORE, {**GIVEN, "floor": 3.0})
    assert bound(function, WITH_MORE, GIVEN) is not None


def test_other_arguments_never_go_to_the_parameter_of_an_argument_by_name():
    """By position they are given to the parameters around it."""
    assert bound(lambda a, floor=5, b=0, c=0: (a, floor, b, c), WITH_MORE, GIVEN)() == (1, 5, 2, 1e-3)


def test_an_argument_by_name_at_its_default_is_given_to_code_that_names_it():
    """Its own default may be another; nothing is left out for code without the name."""
    usual = replace(WITH_MORE.arguments[-1], default=3.0)
    signature = replace(WITH_MORE, arguments=(*WITH_MORE.arguments[:-1], usual))
    assert bound(lambda x, weight, eps, floor=7.0: floor, signature, {**GIVEN, "floor": 3.0})() == 3.0
    assert bound(lambda x, weight, eps: eps, signature, {**GIVEN, "floor": 3.0})() == 1e-3
