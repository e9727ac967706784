"""What counts as not written yet, and what does not."""

# ruff: noqa: F841, F842, RUF059

from __future__ import annotations

import math
from typing import Any

import pytest
from torch import nn

from harness.core.contract import Argument, Contract, Signature
from harness.stubs.classes import reason
from harness.stubs.detection import unfinished


def only_docstring(x):
    """What it will do."""


def only_pass(x):
    pass


def only_dots(x): ...


def returns_none(x):
    return None


def bare_return(x):
    return


def placeholder(x):
    """As in many a course."""
    out = None
    # TODO: your code here
    pass
    # end of your code
    return out


def skeleton(x, w, b, param):
    """CS231n: sizes and settings are looked at, the results are None."""
    mode = param["mode"]
    eps = param.get("eps", 1e-5)
    N, D = x.shape
    out, cache = None, None
    if mode == "train" or mode == "test":
        pass
    else:
        raise ValueError(f"mode {mode}")
    cache = (x, w, b)
    return out, cache


def annotated(x):
    mean: Any = None
    std: Any
    return mean


def raises(x):
    raise NotImplementedError("soon")


def raises_otherwise(x):
    out = None
    raise RuntimeError("TODO: implement me")


def asserts(x):
    assert False, "write this"  # noqa: B011


def forgets_to_return(x):
    y = x * math.sqrt(2.0)
    y = y + 1


def in_place(x):
    x.mul_(2)


def identity(x):
    return x


def keeps(x):
    only_pass.kept = x


def assigned_after_all(x):
    dx = None
    dx = x * 2
    return dx


def returns_the_wrong_name(x):
    out = None
    result = x * 2
    return out


def raises_sometimes(x):
    if x is None:
        raise NotImplementedError
    return 2 * x


def returns_none_beside(x):
    return math.sqrt(x), None


def prints_instead(x):
    print(x * 2)


def checks(x):
    if x.dim() != 2:
        raise ValueError("x must have two axes")


def refuses(x):
    raise ValueError("x must be positive")


TO_DO = (
    only_docstring,
    only_pass,
    only_dots,
    returns_none,
    bare_return,
    placeholder,
    skeleton,
    annotated,
    raises,
    raises_otherwise,
    asserts,
)
WRITTEN = (
    forgets_to_return,
    in_place,
    identity,
    keeps,
    assigned_after_all,
    returns_the_wrong_name,
    raises_sometimes,
    returns_none_beside,
    prints_instead,
    checks,
    refuses,
    print,
    math.sqrt,
)


@pytest.mark.parametrize("function", TO_DO, ids=lambda f: f.__name__)
def test_it_is_to_do(function: Any) -> None:
    """Each with a reason."""
    assert unfinished(function)


@pytest.mark.parametrize("function", WRITTEN, ids=lambda f: f.__name__)
def test_it_is_written(function: Any) -> None:
    """Who computes and forgets to return made a mistake; who returns the argument, or refuses it, may mean it."""
    assert unfinished(function) == ""


def test_the_reason_says_what_stands_there() -> None:
    """In the person's own words where there are some."""
    assert unfinished(only_pass) == "only `pass`" and unfinished(only_dots) == "only `...`"
    assert unfinished(placeholder) == "it returns out, which is None" and unfinished(raises) == "soon"


def test_without_source_the_bytecode_tells() -> None:
    """As in an interactive session, and in a lambda."""
    scope: dict[str, Any] = {}
    exec(
        "def nothing(x):\n    out = None\n    return out\ndef raises(x):\n    raise NotImplementedError\n"
        "def twice(x):\n    y = x + x\ndef same(x):\n    return x\n",
        scope,
    )
    assert unfinished(scope["nothing"]) and unfinished(scope["raises"]) and unfinished(lambda x: None)
    assert not unfinished(scope["twice"]) and not unfinished(scope["same"]) and not unfinished(lambda x: x)


def class_contract(*methods: str, takes: bool = True) -> Contract:
    build = Signature((Argument("ranks", "dict"),) if takes else (), "it")
    calls = {"build": build, **{m: Signature((Argument("x", "str"),), "str") for m in methods}}
    return Contract("thing", "A thing.", calls, print, print)


def test_classes() -> None:
    """All methods to do, or an __init__ that keeps nothing; one method among others is no reason for the whole."""

    class Nothing:
        def __init__(self, ranks): ...

    class Keeps:
        def __init__(self, ranks):
            self.ranks = ranks

        def encode(self, x):
            pass

        def decode(self, x):
            raise NotImplementedError

    class Half(Keeps):
        def encode(self, x):
            return x

    class Quiet:
        def __init__(self):
            pass

        def encode(self, x):
            return x

    assert "__init__ is to do" in reason(Nothing, class_contract("encode"))
    assert "encode() and decode() are to do" in reason(Keeps, class_contract("encode", "decode"))
    assert reason(Half, class_contract("encode", "decode")) == ""
    assert "no encode()" in reason(type("Empty", (), {}), class_contract("encode"))
    assert reason(Quiet, class_contract("encode", takes=False)) == ""


def test_modules() -> None:
    """A module without a forward, or with one that is to do."""

    class Bare(nn.Module):
        pass

    class Begun(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear = nn.Linear(width, width)

        def forward(self, x):
            pass

    class Activation(nn.Module):
        def __init__(self, config):
            super().__init__()

        def forward(self, x):
            return x * 2

    assert "no forward()" in reason(Bare) and "forward() is to do" in reason(Begun) and reason(Activation) == ""


def test_a_method_that_may_be_empty_is_written() -> None:
    """train() of a layer without dropout has nothing to do; a forward() of nothing is to do."""
    from harness.core.case import Call, Case
    from harness.core.implementation import Request
    from harness.execution.functions import ClassAdapter

    class Layer:
        def train(self):
            pass

        def forward(self, x):
            pass

    calls = {"build": Signature((), "it"), "train": Signature((), "nothing")}
    calls["forward"] = Signature((Argument("x", "str"),), "str")
    contract = Contract("thing", "A thing.", calls, print, print, optional_methods=frozenset({"train"}))
    session = ClassAdapter(Layer).session(contract, Request("thing", Case(())))
    session.call(Call("build", {}))
    assert session.call(Call("train", {})) is None
    with pytest.raises(NotImplementedError, match="only `pass`"):
        session.call(Call("forward", {"x": "a"}))
