"""All sizes and settings that a constructor may ask for, from those of one case."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from harness.core.contract import Argument, Contract
from harness.core.values import Settings
from harness.execution.arguments import untaken

CONTEXT = 256
"""Positions that a part may be asked to take where its contract does not say (``config.context``), or those of the case
where these are more."""
SMALL: Mapping[str, Any] = {
    "width": 4,
    "heads": 1,
    "layers": 1,
    "vocab_size": 7,
    "context": CONTEXT,
    "eps": 1e-5,
    "rope_base": 10000.0,
    "rotary_share": 1.0,
}
"""Sizes of a model that is built for one part of it, where the part does not say."""
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "heads": ("heads", "n_heads"),
    "kv_heads": ("kv_heads", "n_kv_heads"),
    "eps": ("eps", "norm_eps"),
    "rope_base": ("rope_base", "base"),
}
"""Size -> the names that cases have for it."""

Sources = dict[str, tuple[str, ...]]
"""Size -> the settings of a case that it comes from."""


def sizes_for(known: Mapping[str, Any]) -> tuple[dict[str, Any], Sources]:
    """All sizes that a constructor may ask for, and which settings of the case each comes from.

    A case without a window is one whose window covers every position. Without key-value heads there are as many as
    heads.
    """
    values = {**SMALL, **{name: value for name, value in known.items() if type(value) in (int, float)}}
    for size, spellings in SPELLINGS.items():
        given = [known[name] for name in spellings if known.get(name) is not None]
        if given:
            values[size] = given[0]
    values.setdefault("kv_heads", values["heads"])
    values.setdefault("hidden", 4 * values["width"])
    values.setdefault("window", values["context"])
    values.setdefault("head_size", max(values["width"] // max(values["heads"], 1), 1))
    values["group_size"] = max(values["heads"] // max(values["kv_heads"], 1), 1)
    sources = {name: (name, *SPELLINGS.get(name, ())) for name in values}
    sources["kv_heads"] = (*SPELLINGS["kv_heads"], *(() if "kv_heads" in known else SPELLINGS["heads"]))
    sources["group_size"] = (*SPELLINGS["heads"], *SPELLINGS["kv_heads"])
    if "head_size" not in known:
        sources["head_size"] = ("width", *SPELLINGS["heads"])
    _hidden(values, sources)
    return values, sources


def _hidden(values: dict[str, Any], sources: Sources) -> None:
    """Other ways to ask for a hidden size: a multiple of the width, or two thirds of four widths rounded up.

    Rounded up to a multiple of the hidden size itself, with a factor where it is smaller, this is the hidden size.
    """
    width, hidden = values["width"], values["hidden"]
    fits = hidden % max(width, 1) == 0
    values["ratio"] = hidden // width if fits else 4
    sources["ratio"] = ("hidden", "width") if fits else ()
    values["multiple_of"] = hidden
    values["hidden_factor"] = None if 3 * hidden >= 8 * width else 3 * hidden / (8 * width)
    sources["multiple_of"] = sources["hidden_factor"] = ("hidden",)


def unread_settings(contract: Contract, arguments: Mapping[str, Any], read: Container[str]) -> list[str]:
    """Settings of a call that decided nothing of what was built: it would be judged as if it had them.

    One head is what code without a number of heads has, and a size that a parameter has shows in its shape.
    """
    settings, given = contract.arguments("setting"), dict(arguments)
    found = untaken(settings, arguments, read)
    every: list[Argument] = [a for a in settings if not a.fields]
    for a in settings:
        if isinstance(arguments.get(a.name), Settings):
            fields = arguments[a.name].as_dict()
            found += untaken(a.fields, fields, read)
            every += a.fields
            given |= fields
    shown = _sizes_in_parameters(contract.arguments("parameter"))
    for a in every:
        names = {a.name, a.name.removeprefix("n_")}
        required = a.kind == "int" and not a.optional and a.name in given
        alone = a.name in (*SPELLINGS["heads"], *SPELLINGS["kv_heads"]) and given.get(a.name) == 1
        if required and not alone and not names & shown and not any(name in read for name in names):
            found.append(a.name)
    return found


def _sizes_in_parameters(parameters: Iterable[Argument]) -> set[str]:
    names: set[str] = set()
    for a in parameters:
        names.update(a.axis_names, _sizes_in_parameters(a.fields))
    return names
