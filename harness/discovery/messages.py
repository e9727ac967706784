"""Messages about names that are nearly a component's, and about an implementation in which nothing was found."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.contract import Contract, Dialect
from harness.core.errors import did_you_mean, near, plain
from harness.discovery.notes import FoundNote
from harness.discovery.target import Target, is_module_class
from harness.execution.session import Adapter

Contracts = Mapping[str, Contract]


def no_component(target: Target, what: str, name: str) -> str:
    """``what`` names a component that does not exist."""
    hint = did_you_mean(name, target.components)
    return (
        f"{target.text}: {what}: there is no component {name!r}{'; ' + hint if hint else '.'}\n"
        f"The components are: {', '.join(target.components)}."
    )


def near_misses(
    target: Target, contracts: Contracts, found: Mapping[str, Adapter], notes: Sequence[FoundNote]
) -> list[FoundNote]:
    """Things of the implementation whose name is nearly that of a component which was not found.

    ``notes``: those that there are already; a class that one is about is not mentioned again.
    """
    missing = {plain(name): name for name in contracts if name not in found}
    told = {id(getattr(thing, "own_class", thing)) for thing in (*(n.kind for n in notes), *_sources(found))}
    added = []
    for name, value in target.members():
        ignored = name.startswith("_") or name in contracts or not callable(value) or is_module_class(value)
        if ignored or not target.holds(value) or id(value) in told:
            continue
        match = _nearest(plain(name), missing)
        if match:
            added.append(FoundNote(f"{name} is not checked; if it is meant as {match}, it must have that name"))
    mentioned = {note.kind for note in notes} | {a.source for a in found.values() if inspect.isclass(a.source)}
    for _, kind in target.module_classes() if missing else ():
        if kind not in mentioned:
            for component in _resembled(kind, missing.values(), contracts):
                how = decorated(contracts[component], kind)
                added.append(FoundNote(f"the module class {kind.__name__} is not checked. {how}", kind=kind))
    return added


def _sources(found: Mapping[str, Adapter]) -> list[Any]:
    return [adapter.source for adapter in found.values()]


def merely_imported(target: Target, contracts: Contracts, found: Collection[str]) -> list[FoundNote]:
    """Names of components that were not found, under which the module only holds something of another distribution."""
    spelled = {name: {name, *(dialect.function for dialect in contracts[name].dialects)} for name in contracts}
    names = dict.fromkeys(n for component in contracts if component not in found for n in sorted(spelled[component]))
    imported = [n for n in names if target.member(n) is not None and target.is_merely_imported(n)]
    if not imported:
        return []
    plural = len(imported) > 1
    are, they = ("are", "they are") if plural else ("is", "it is")
    text = f"{', '.join(imported)} {are} imported from another package, so {they} not checked as your code"
    return [FoundNote(f"{text}. To have it checked, assign it: {imported[0]} = ...")]


def helpers_beside(target: Target, dialect: Dialect, missing: Iterable[str]) -> list[FoundNote]:
    """Functions and classes of a component's name beside the entry points of a project: they are helpers of these."""
    helpers = [name for name in missing if inspect.isroutine(own := target.called(name)) or inspect.isclass(own)]
    if not helpers:
        return []
    listed, plural = ", ".join(helpers), len(helpers) > 1
    text = (
        f"{listed} {'are helpers' if plural else 'is a helper'} of {dialect.function} and its like: not checked alone"
    )
    return [FoundNote(f"{text}. To check {'one' if plural else 'it'}: {target.text}:{helpers[0]}")]


def _nearest(name: str, missing: Mapping[str, str]) -> str | None:
    """The component whose name is this one but for a slip; also where letters are swapped (gleu)."""
    if name in missing:
        return missing[name]
    close = near(name, missing, 0.8) or [m for m in missing if sorted(m) == sorted(name)]
    return missing[close[0]] if close else None


def _resembled(kind: type, components: Iterable[str], contracts: Contracts) -> list[str]:
    """The component that a class is named like: ``CausalSelfX`` ends in ``x``."""
    functions = [c for c in components if contracts[c].is_function]
    name = plain(kind.__name__)
    return (near(name, functions, 0.8) or [c for c in functions if name.endswith(plain(c))])[:1]


def nothing_found(target: Target, contracts: Contracts, notes: Iterable[FoundNote]) -> str:
    """Nothing in it is a component: what there is, and what to write."""
    path = ".".join(target.place.attributes)
    what = f"{type(target.thing).__name__} {path}" if path else target.place.name
    lines = [f"{target.text}: {what} offers no component, so there is nothing to check."]
    lines += [f"  {note.text}" for note in notes]
    lines += _what_to_write(target, contracts, what)
    if files := _files_of_components(target):
        lines.append(f"Its package holds {files}; import their functions in __init__.py.")
    for file, names in _files_with_modules(target):
        listed = ", ".join(names[:4]) + (" and more" if len(names) > 4 else "")
        lines.append(f"Its {file}.py has the module classes {listed}: --impl={target.module.__name__}.{file}")
    lines.append(f"The components are: {', '.join(contracts)}.")
    return "\n".join(lines)


def _what_to_write(target: Target, contracts: Contracts, what: str) -> list[str]:
    if target.is_one_thing() and callable(target.thing):
        name = getattr(target.thing, "__name__", what)
        line = f'{name} is no component\'s name. If it builds one, write @implements("COMPONENT") above it:'
        return [line, *_example(target.thing)]
    if classes := target.module_classes():
        names = ", ".join(name for name, _ in classes)
        plural = "es" if len(classes) > 1 else ""
        return [f"It has the module class{plural} {names}. Say which component each builds:", *_example(classes[-1][1])]
    functions = [c for c in contracts.values() if c.is_function] or list(contracts.values())
    first = min(functions, key=lambda c: sum(len(signature.arguments) for signature in c.calls.values()))
    return [
        "A function of a component's name is enough:",
        "",
        f"    def {first.name}{parameters(first)}: ...",
        "",
        "`plumbline init` writes a file with all of them to fill in.",
    ]


def _files_with_modules(target: Target) -> list[tuple[str, list[str]]]:
    """Files of a package that define module classes, as far as their text shows; none of them is run."""
    found = []
    for folder in [] if target.place.attributes else list(getattr(target.module, "__path__", ())):
        for path in sorted(Path(folder).glob("*.py")):
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (OSError, SyntaxError, ValueError):
                continue
            classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
            names = [n.name for n in classes if any(ast.unparse(b).endswith("Module") for b in n.bases)]
            if names and path.stem != "__init__":
                found.append((path.stem, names))
    return found[:8]


def _files_of_components(target: Target) -> str:
    if not hasattr(target.module, "__path__") or target.place.attributes:
        return ""
    names = [i.name for i in pkgutil.iter_modules(list(target.module.__path__)) if i.name in target.components]
    return ", ".join(f"{name}.py" for name in names)


def _example(thing: Any) -> list[str]:
    name = getattr(thing, "__name__", "Mine")
    return [
        "",
        "    from plumbline import implements",
        "",
        '    @implements("COMPONENT")',
        "    def build(config):",
        f"        return {name}(...)",
        "",
    ]


def not_this_kind(name: str, thing: Any, contract: Contract) -> FoundNote:
    """Something has a component's name, but is no function, or no class, as the contract asks for."""
    if not contract.is_function:
        how = f"{contract.name}{parameters(contract, 'build')}"
        text = f"{name} is {_with_article(thing)}: it must be a class or a function that builds one ({how})"
    elif is_module_class(thing):
        built = "must be built for the sizes of each case"
        text = f"{name} is a module class, which {built}. {decorated(contract, thing)}"
    elif inspect.isclass(thing):
        text = f"{name} is a class; it must be a function {name}{parameters(contract)}"
    elif callable(thing):
        one = f"{name} is one module of one size; every case has another size"
        text = f"{one}. {decorated(contract, type(thing))}"
    else:
        text = f"{name} is {_with_article(thing)}, not a function"
    return FoundNote(text, component=name)


def plug_in_lines(contract: Contract, thing: Any) -> tuple[str, ...]:
    """A factory for a class, to be filled in: the sizes that the component has are given as ``config``."""
    sizes = [size for size in contract.size_names if not size.startswith("_")]
    given = ", ".join(f"config.{size}" for size in sizes[:5]) or "..."
    name = getattr(thing, "__name__", "Mine")
    return (
        "from plumbline import implements",
        f'@implements("{contract.name}")',
        f"def build(config):  # {given}",
        f"    return {name}(...)",
    )


def decorated(contract: Contract, thing: Any) -> str:
    """How to write a factory for a class."""
    name = getattr(thing, "__name__", "Mine")
    return f'Write: @implements("{contract.name}") above def build(config): return {name}(...)'


def parameters(contract: Contract, method: str = "call") -> str:
    """The arguments of a call, in brackets."""
    signature = contract.calls.get(method)
    return f"({', '.join(a.name for a in signature.arguments)})" if signature else "(...)"


def _with_article(thing: object) -> str:
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
