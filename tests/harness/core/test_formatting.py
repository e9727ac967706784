"""How a component is written down."""

from harness.core.contract import Argument, Contract, Signature
from harness.core.formatting import signature_line


def test_functions_and_classes() -> None:
    """A function by its arguments; a class by its methods, optional ones left out."""
    one = Signature((Argument("x", "float[...]"), Argument("eps", "float")), "float[...]")
    function = Contract("gelu", "", {"call": one}, print, print)
    assert signature_line(function) == "def gelu(x, eps)"
    calls = {"build": Signature((Argument("ranks", "dict"),), "it"), "encode": one, "extra": one}
    made = Contract("tokenizer", "", calls, print, print, optional_methods=frozenset({"extra"}))
    assert signature_line(made) == "class tokenizer with __init__(ranks), encode(x, eps)"
