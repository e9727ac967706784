"""What is mistaken for what: operators, functions and settings that people exchange."""

from __future__ import annotations

import ast

OPERATORS: dict[type[ast.operator], tuple[str, ...]] = {
    ast.Add: ("-", "*"),
    ast.Sub: ("+",),
    ast.Mult: ("/", "@", "+", "**"),
    ast.Div: ("*", "//"),
    ast.FloorDiv: ("/", "%"),
    ast.Mod: ("//",),
    ast.Pow: ("*",),
    ast.MatMult: ("*",),
    ast.BitAnd: ("|",),
    ast.BitOr: ("&",),
}
"""Binary operators: what else may be meant, the likelier first."""
SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">", ">=", "!="),
    ast.LtE: ("<", ">=", ">", "=="),
    ast.Gt: (">=", "<", "<=", "!="),
    ast.GtE: (">", "<=", "<", "=="),
    ast.Eq: ("!=", "<=", ">="),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
FAMILIES: tuple[tuple[str, ...], ...] = (
    ("sqrt", "rsqrt"),
    ("sin", "cos"),
    ("tanh", "sigmoid", "relu", "gelu", "silu"),
    ("exp", "log", "log1p", "expm1"),
    ("mean", "sum"),
    ("max", "min"),
    ("amax", "amin", "max"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("var", "std"),
    ("softmax", "log_softmax", "sigmoid"),
    ("triu", "tril"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("floor", "ceil", "round", "trunc"),
    ("cumsum", "cumprod"),
    ("repeat_interleave", "repeat"),
    ("expand", "repeat"),
    ("reshape", "view"),
    ("ReLU", "GELU", "SiLU", "Tanh", "Sigmoid"),
    ("LayerNorm", "RMSNorm"),
    ("erf", "tanh"),
)
"""Functions of one kind: each may be meant where another stands."""
KEYWORDS: dict[str, tuple[str, ...]] = {
    "var": ("unbiased=False", "correction=0"),
    "std": ("unbiased=False", "correction=0"),
    "mean": ("keepdim=True",),
    "sum": ("keepdim=True",),
    "gelu": ('approximate="tanh"',),
    "GELU": ('approximate="tanh"',),
    "triu": ("diagonal=1",),
    "tril": ("diagonal=-1",),
    "Linear": ("bias=False",),
    "sort": ("descending=True",),
    "cross_entropy": ("ignore_index=-100",),
}
"""Settings that are left out of calls."""
REDUCTIONS = frozenset({"sum", "mean", "var", "std", "amax", "amin", "logsumexp"})
"""Functions that reduce a whole tensor where no axis is given."""
OF_THREE = ("is_causal=True",)
"""Settings that are left out of calls with three values: queries, keys and values."""
TURNS = (".T", ".transpose(-2, -1)", ".transpose(1, 2)", ".mT")
"""How axes are exchanged."""
WRAPPERS = (
    "torch.sqrt({})",
    "torch.rsqrt({})",
    "1 / {}",
    "1 + {}",
    "1 - {}",
    "-{}",
    "{} ** 2",
    "{} ** 0.5",
    "{} ** -0.5",
    "~{}",
)
"""What is done to a value and forgotten."""


def siblings(name: str) -> tuple[str, ...]:
    """Functions that may be meant where this one stands."""
    found = [other for family in FAMILIES if name in family for other in family if other != name]
    return tuple(dict.fromkeys(found))
