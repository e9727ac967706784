"""Where a number comes from that an operation computes with."""

import ast

from harness.core.steps import Place
from harness.localisation.numbers import origins
from harness.localisation.sources import Source

TEXT = """
class Layer:
    def __init__(self, alpha, width):
        self.scaling = alpha
        self.register_buffer("mask", tril(ones(width, width)))

    def forward(self, x):
        y = x @ self.weight
        if self.bias is not None:
            y = y + self.bias
        scale = 1 / sqrt(width)
        y = y * scale
        z = self.mask[:3]
        return y * self.scaling
"""


def found(expression: str) -> list[int]:
    """The lines that give its numbers, where lines 8 and 12 computed tensors."""
    source = Source(TEXT)
    node = next(n for n in ast.walk(ast.parse(TEXT)) if isinstance(n, ast.expr) and ast.unparse(n) == expression)
    place = Place("x.py", node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0)
    return [one.lineno for one in origins(source, place, {8, 12})]


def test_a_number_is_followed_to_the_line_that_gives_it() -> None:
    """A local name, an attribute that the constructor sets, a buffer; no name that a traced line gave a tensor."""
    assert found("y * scale") == [11]
    assert found("y * self.scaling") == [4]
    assert found("self.mask[:3]") == [5]
    assert found("y + self.bias") == []
