"""The skeleton that `plumbline init` writes from the contracts: a signature, shapes and one line of meaning each."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from harness.core.case import CALL
from harness.core.contract import Argument, Contract, Signature
from harness.core.forms import ANY_NUMBER

STYLES = ("functions", "modules", "numpy")
TO_DO = "raise NotImplementedError"
WIDTH = 104


def skeleton(contracts: Sequence[Contract], style: str, file: str) -> str:
    """The text of the file, valid Python in which everything is to do. ``style``: one of STYLES."""
    parts = [_head(contracts, style, file)]
    for contract in contracts:
        if not contract.is_function:
            parts.append(_class(contract))
        elif style == "modules":
            parts.append(_module(contract))
        else:
            parts.append(_function(contract))
            if style == "numpy" and contract.differentiable:
                parts.append(_backward(contract))
    return "\n\n\n".join(parts) + "\n"


def _head(contracts: Sequence[Contract], style: str, file: str) -> str:
    name = file.removesuffix(".py")
    how = {
        "functions": "Functions on torch tensors.",
        "modules": "Modules: change names and attributes as you like. Each @implements says what it builds; the "
        "parameters are found by name and shape.",
        "numpy": "Functions on numpy arrays; COMPONENT_backward returns the gradients of COMPONENT's arguments.",
    }[style]
    imports = {
        "functions": "import torch  # noqa: F401",
        "modules": "import torch  # noqa: F401\nfrom torch import nn\n\nfrom plumbline import implements",
        "numpy": "import numpy as np  # noqa: F401",
    }[style]
    commands = (
        (f"pytest --impl={name}", "check what is written; the rest counts as to do"),
        (f"plumbline watch {name}", "check at every save"),
        (f"plumbline explain {contracts[0].name}", "what is checked about one component"),
    )
    what = f"{len(contracts)} components, all" if len(contracts) > 1 else contracts[0].name
    lines = [
        f'"""{what} to do.',
        "",
        *textwrap.wrap(f"Replace `{TO_DO}` by your code, in any order. {how}", WIDTH),
        "",
        *(f"    {command:<32} {what}" for command, what in commands),
        '"""',
        "",
        imports,
    ]
    return "\n".join(lines)


# functions and classes -----------------------------------------------------------------------------------------------


def _function(contract: Contract) -> str:
    signature = contract.calls[CALL]
    lines = [f"def {contract.name}({', '.join(_parameters(signature))}):"]
    lines += _docstring(contract.meaning, signature, _remarks(contract))
    return "\n".join([*lines, f"    {TO_DO}"])


def _backward(contract: Contract) -> str:
    arguments = contract.calls[CALL].arguments
    learned = [a.name for a in arguments if a.role != "setting" and (a.fields or a.is_float_tensor)]
    names = ["grad_out", *(a.name for a in arguments if not a.by_name)]
    result = learned[0] if len(learned) == 1 else f"({', '.join(learned)})"
    also = "; of weights a dictionary of the same names" if any(a.fields for a in arguments) else ""
    lines = [f"def {contract.name}_backward({', '.join(names)}):"]
    order = ", in this order" if len(learned) > 1 else ""
    lines += _text(
        f"The gradient{'s' if order else ''} of {result}{order}{also}, where grad_out is that of the result."
    )
    return "\n".join([*lines, f"    {TO_DO}"])


def _class(contract: Contract) -> str:
    lines = [f"class {contract.name}:", *_text(contract.meaning, *_remarks(contract))]
    for method, signature in contract.calls.items():
        if method in contract.optional_methods or (method == "build" and not signature.arguments):
            continue
        name = "__init__" if method == "build" else method
        lines += ["", f"    def {name}({', '.join(['self', *_parameters(signature)])}):"]
        meaning = "Arguments of the constructor." if method == "build" else f"Returns {signature.result}."
        body = [f"{label}  {kind}" for label, kind in _shapes(signature.arguments)]
        lines += [f"    {line}".rstrip() for line in _text(meaning, *body)]
        lines.append(f"        {TO_DO}")
    optional = [
        f"{m}({', '.join(_parameters(contract.calls[m]))})" for m in contract.optional_methods if m in contract.calls
    ]
    if optional:
        lines += [
            "",
            *(f"    # {line}" for line in textwrap.wrap(f"Optional: {', '.join(sorted(optional))}.", WIDTH)),
        ]
    return "\n".join(lines)


def _parameters(signature: Signature) -> list[str]:
    """The names; from the end on, as far as they are plain, with what leaving them out means."""
    found: list[str] = []
    plain = True
    for a in reversed([a for a in signature.arguments if not a.by_name]):
        plain = plain and a.optional and (a.default is None or isinstance(a.default, (bool, int, float, list)))
        default = () if isinstance(a.default, list) else a.default
        found.append(f"{a.name}={default!r}" if plain else a.name)
    return found[::-1]


def _shapes(arguments: Iterable[Argument], before: str = "", all_of: bool = False) -> Iterator[tuple[str, str]]:
    """(name, kind) of every argument, those of a dictionary or a record one by one.

    ``all_of``: these are the entries of one, of which some may be missing.
    """
    listed = [a for a in arguments if all_of or not a.by_name]
    longest = max((len(before + a.name) for a in listed), default=0)
    for a in listed:
        if a.fields and a.is_list:
            yield f"{before}{a.name}".ljust(longest), f"{a.kind}: a list with a dictionary per layer"
            yield from ((f"    {name}", kind) for name, kind in _shapes(a.fields, all_of=True))
        elif a.fields:
            yield f"{before}{a.name}".ljust(longest), f"a {'record' if a.role == 'setting' else 'dictionary'}"
            opened, closed = ("", "") if a.role == "setting" else ('["', '"]')
            width = max(len(f.name) for f in a.fields) + len(closed)
            for inner in a.fields:
                if inner.fields:
                    yield from ((f"    {name}", kind) for name, kind in _shapes((inner,)))
                else:
                    label = f"{a.name}.{inner.name}" if a.role == "setting" else f"{a.name}{opened}{inner.name}{closed}"
                    yield f"    {label.ljust(len(a.name) + 1 + len(opened) + width)}", _kind(inner)
        else:
            yield f"{before}{a.name}".ljust(longest), _kind(a)


def _kind(a: Argument) -> str:
    return a.kind + (" or None" if a.optional and a.default is None else "")


def _docstring(meaning: str, signature: Signature, remarks: Iterable[str]) -> list[str]:
    shapes = [f"{label}  {kind}" for label, kind in _shapes(signature.arguments)]
    return _text(meaning, *shapes, f"-> {signature.result}", *remarks)


def _text(meaning: str, *lines: str) -> list[str]:
    """A docstring, indented by four."""
    paragraph = textwrap.wrap(meaning, WIDTH)
    body = [line.replace("\\", "\\\\").replace('"""', "'''") for line in lines]
    whole = [*paragraph, *([""] if paragraph and body else []), *body]
    if len(whole) == 1:
        return [f'    """{whole[0]}"""']
    return [f'    """{whole[0]}', *(f"    {line}".rstrip() for line in whole[1:]), '    """']


def _remarks(contract: Contract) -> list[str]:
    remarks = [f"Made of {', '.join(contract.parts)}."] if contract.parts else []
    if contract.legal:
        names = [v.name for v in contract.variants if not v.is_default]
        names += [name for name in contract.legal.names if name.endswith(ANY_NUMBER)]
        listed = f"Legal variants, to be declared (plumbline explain {contract.name}): {', '.join(names)}."
        remarks += textwrap.wrap(listed, WIDTH)
    return remarks


# modules -------------------------------------------------------------------------------------------------------------


def _module(contract: Contract) -> str:
    name = "".join(word.capitalize() for word in contract.name.split("_"))
    sizes = _sizes(contract)
    inputs = [a for a in contract.calls[CALL].arguments if a.role == "input" and not a.by_name]
    learned = [f"{label}  {kind}" for label, kind in _shapes(contract.arguments("parameter"))]
    init = [f"    def __init__({', '.join(['self', *sizes])}):", "        super().__init__()"]
    if learned:
        init += [
            "        # parameters, under any names, in modules of any kind:",
            *(f"        #     {line}" for line in learned),
        ]
    shapes = ", ".join(f"{a.name} {a.kind}" for a in inputs)
    lines = [
        f"class {name}(nn.Module):",
        *_text(contract.meaning, *_remarks(contract)),
        *(["", *init] if sizes or learned else []),
        "",
        f"    def forward({', '.join(['self', *(a.name for a in inputs)])}):",
        f'        """{shapes} -> {contract.calls[CALL].result}"""',
        f"        {TO_DO}",
        "",
        "",
        f'@implements("{contract.name}")',
        f"def build_{contract.name}(config):",
        *_text(f"config has: {', '.join(sizes)}" if sizes else "config is not needed."),
        f"    return {name}({', '.join(f'config.{size}' for size in sizes)})",
    ]
    return "\n".join(lines)


def _sizes(contract: Contract) -> list[str]:
    """The names of what a factory's ``config`` holds for this component: sizes of its parameters, then its settings."""
    found: dict[str, None] = {}
    for a in _flat(contract.arguments("parameter")):
        for axis in a.axis_names:
            found.setdefault(axis)
    for a in _flat(a for a in contract.arguments("setting") if not a.by_name):
        found.setdefault(a.name.removeprefix("n_"))
    return list(found)


def _flat(arguments: Iterable[Argument]) -> Iterator[Argument]:
    for a in arguments:
        yield from _flat(a.fields) if a.fields else (a,)
