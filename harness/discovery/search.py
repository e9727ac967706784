"""What the person gave to ``--impl`` becomes adapters, one for every component found in it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from harness.arrays.adapter import declared_frameworks, fitted
from harness.core.contract import Argument, Contract
from harness.core.declaration import Declaration
from harness.core.errors import ImportFailed, UsageError, did_you_mean, near, plain
from harness.core.parameters import parameter_names
from harness.discovery import map_file
from harness.discovery.implements import declared_in
from harness.discovery.locate import Place, load, locate
from harness.discovery.module_classes import automatic
from harness.execution.dialects import dialect_of
from harness.execution.functions import ClassAdapter, FunctionAdapter, UnwrittenAdapter
from harness.execution.session import Adapter
from harness.modules.adapter import ModuleAdapter
from harness.modules.whole_model import beside
from harness.project.epsilon import EPS, epsilon
from harness.stubs.dependencies import beneath
from harness.stubs.detection import module_unfinished

SWITCHES = ("variants", "framework", "expected", *EPS)
"""What a module's PLUMBLINE dictionary may hold."""


@dataclass(frozen=True)
class Found:
    """An implementation: how each of its components is called, what it is, and what a person should know of it."""

    name: str
    where: str
    adapters: Mapping[str, Adapter]
    variants: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    eps: float | None = None
    expected: Mapping[str, str] = field(default_factory=dict)
    """Failures that their module expects, with its reasons."""


def discover(text: str, contracts: Mapping[str, Contract], time_limit: float = 0.0) -> Found:
    """Everything that a module, a file or an object offers of these components.

    A component is a function (or a class, where its contract has a ``build``) of its name, defined there or merely
    imported, or a factory decorated with ``@implements``. Raises UsageError with a complete text where there is nothing
    to check; ImportFailed, one of these, where their module fails while it is imported.
    """
    place = locate(text)
    module, thing = load(place, time_limit)
    return _Search(place, module, thing, contracts).found()


def map_folder(place: Place) -> Path:
    """Where ``plumbline.map.toml`` of an implementation stands: beside its file, or where a module is named from."""
    return place.path.parent if place.path is not None and place.is_file else Path.cwd()


class _Search:
    """One look through one module or object."""

    def __init__(self, place: Place, module: ModuleType, thing: Any, contracts: Mapping[str, Contract]) -> None:
        self.place, self.module, self.thing, self.contracts = place, module, thing, contracts
        self.notes: list[str] = []
        self.variants: dict[str, str] = {}

    def found(self) -> Found:
        declared = self._declared()
        adapters: dict[str, Adapter] = {}
        for name, contract in self.contracts.items():
            if name in declared:
                adapters[name] = self._by_factory(declared[name], contract)
            else:
                adapter = dialect_of(contract, self._called) or self._by_name(name, contract)
                if adapter is not None:
                    adapters[name] = adapter
        self._declared_variants(declared)
        classes = self._own_classes()
        if classes:
            told = map_file.read(map_folder(self.place), self.place.name, self.contracts)
            search = automatic(classes, self.contracts, adapters, told)
            adapters = {n: found for n in self.contracts if (found := adapters.get(n) or search.adapters.get(n))}
            self.notes = [note for note in self.notes if not any(note.startswith(f"{n} is") for n in search.adapters)]
            self.notes += search.notes
            if search.adapters:
                names = ", ".join(n for n in self.contracts if n in search.adapters)
                self.notes.append(
                    f"found in the module classes, with nothing written for it: {names}; "
                    f"`plumbline doctor {self.place.text}` shows how, and where to correct it"
                )
            adapters |= self._unwritten(classes, adapters)
        adapters |= beside(adapters, self.contracts)
        if not self._is_one_thing():
            self._near_misses(adapters)
        if not adapters:
            raise UsageError(self._nothing_here())
        whole = ":".join(filter(None, (self.place.name, ".".join(self.place.attributes))))
        where = str(self.place.path) if self.place.path else getattr(self.module, "__file__", None) or ""
        frameworks = declared_frameworks(
            self._switches().get("framework", {}), self.contracts, f"--impl={self.place.text}"
        )
        adapters, noted = fitted(adapters, self.contracts, self._member, frameworks)
        self.notes += noted
        fixed = [self._switches()[name] for name in EPS if name in self._switches()]
        eps = epsilon(fixed[0], f"--impl={self.place.text}: PLUMBLINE") if fixed else None
        return Found(
            whole, where, adapters, self.variants, tuple(self.notes), eps, self._switches().get("expected", {})
        )

    # factories -------------------------------------------------------------------------------------------------------

    def _declared(self) -> dict[str, Declaration]:
        every = declared_in(self.module.__name__, vars(self.module))
        if self.place.attributes:
            inside = [value for _, value in self._members()]
            every = [d for d in every if d.factory is self.thing or any(d.factory is value for value in inside)]
        by_component: dict[str, Declaration] = {}
        for declaration in every:
            name = declaration.component
            if name not in self.contracts:
                raise UsageError(self._no_component(f'@implements("{name}") above {declaration.label}', name))
            if name in by_component:
                other = by_component[name]
                raise UsageError(
                    f"--impl={self.place.text}: two factories say that they build {name}: {other.label} and "
                    f"{declaration.label}. Keep one, or name the one you mean: "
                    f"--impl={self.place.text.partition(':')[0]}:{getattr(declaration.factory, '__name__', 'build')}"
                )
            by_component[name] = declaration
        return by_component

    def _by_factory(self, declaration: Declaration, contract: Contract) -> Adapter:
        if not contract.is_function:
            return dialect_of(contract, lambda _: declaration.factory) or ClassAdapter(declaration.factory)
        if _takes_arguments_of(declaration.factory, contract):
            return FunctionAdapter(declaration.factory)
        self._known_names(declaration, contract)
        return ModuleAdapter(declaration, contract)

    def _known_names(self, declaration: Declaration, contract: Contract) -> None:
        ours = [a.name for a in _leaves(contract.arguments("parameter"))]
        for name in declaration.names:
            if name not in ours:
                hint = did_you_mean(name, ours) or f"there are: {', '.join(ours) or 'none'}"
                raise UsageError(
                    f"--impl={self.place.text}: {declaration.label} names a parameter {name!r} that {contract.name} "
                    f"does not have; {hint}"
                )

    def _no_component(self, what: str, name: str) -> str:
        hint = did_you_mean(name, self.contracts)
        listed = f"The components are: {', '.join(self.contracts)}."
        return (
            f"--impl={self.place.text}: {what}: there is no component {name!r}{'; ' + hint if hint else '.'}\n{listed}"
        )

    # names -----------------------------------------------------------------------------------------------------------

    def _by_name(self, name: str, contract: Contract) -> Adapter | None:
        thing = self._called(name)
        if isinstance(thing, ModuleType):  # a package with one file per component
            thing = getattr(thing, name, None)
        if thing is None:
            return None
        if not contract.is_function:
            if callable(thing):
                return ClassAdapter(thing)
            self.notes.append(
                f"{name} is {_article(thing)}: it must be a class or a function that builds one ({self._how(contract)})"
            )
        elif isinstance(thing, torch.nn.Module):
            if not any(True for _ in thing.parameters()):
                return ModuleAdapter(Declaration(name, lambda config: thing), contract)
            self.notes.append(
                f"{name} is one module of one size; every case has another size. {self._decorated(contract, type(thing))}"
            )
        elif inspect.isclass(thing):
            if issubclass(thing, torch.nn.Module):
                self.notes.append(
                    f"{name} is a module class, which must be built for the sizes of each case. "
                    f"{self._decorated(contract, thing)}"
                )
            else:
                self.notes.append(f"{name} is a class; it must be a function {name}{_parameters(contract)}")
        elif callable(thing):
            return FunctionAdapter(thing)
        else:
            self.notes.append(f"{name} is {_article(thing)}, not a function")
        return None

    def _is_one_thing(self) -> bool:
        """Whether a single function, class or module class was named, rather than something that holds components."""
        if not self.place.attributes:
            return False
        if inspect.isclass(self.thing):
            known = {plain(name) for name in self.contracts}
            holds = any(self._member(name) is not None for name in self.contracts)
            return issubclass(self.thing, torch.nn.Module) or plain(self.thing.__name__) in known or not holds
        return inspect.isroutine(self.thing) or isinstance(self.thing, torch.nn.Module)

    def _called(self, name: str) -> Any:
        """What they call so: a member, or the one thing that was named."""
        if self._is_one_thing():
            return self.thing if name in (getattr(self.thing, "__name__", ""), *self.place.attributes[-1:]) else None
        return self._member(name)

    def _member(self, name: str) -> Any:
        if isinstance(self.thing, Mapping):
            return self.thing.get(name)
        return getattr(self.thing, name, None)

    def _members(self) -> Iterable[tuple[str, Any]]:
        if isinstance(self.thing, Mapping):
            return list(self.thing.items())
        return list(getattr(self.thing, "__dict__", {}).items())

    # variants --------------------------------------------------------------------------------------------------------

    def _switches(self) -> Mapping[str, Any]:
        """What their module says in PLUMBLINE."""
        switches = getattr(self.module, "PLUMBLINE", {})
        if not isinstance(switches, Mapping) or any(key not in SWITCHES for key in switches):
            raise UsageError(
                f"--impl={self.place.text}: PLUMBLINE must be a dictionary like "
                f'{{"variants": {{COMPONENT: VARIANT}}, "framework": "numpy"}}, not {switches!r}'
            )
        return switches

    def _declared_variants(self, declared: Mapping[str, Declaration]) -> None:
        pairs = dict(self._switches().get("variants", {}))
        pairs.update({name: d.variant for name, d in declared.items() if d.variant is not None})
        for name, variant in pairs.items():
            if name not in self.contracts:
                raise UsageError(self._no_component(f"a variant is declared for {name!r}", str(name)))
            legal = [v.name for v in self.contracts[name].variants]
            if variant not in legal:
                listed = ", ".join(legal) or "none"
                raise UsageError(
                    f"--impl={self.place.text}: {name} has no variant {variant!r}; its legal variants: {listed}"
                )
        self.variants = pairs

    # what was not found ----------------------------------------------------------------------------------------------

    def _near_misses(self, adapters: Mapping[str, Adapter]) -> None:
        """Things of their own whose name is nearly that of a component which they do not offer."""
        missing = {plain(name): name for name in self.contracts if name not in adapters}
        for name, value in self._members():
            if name.startswith("_") or name in self.contracts or not callable(value):
                continue
            if getattr(value, "__module__", None) != self.module.__name__:
                continue
            if inspect.isclass(value) and issubclass(value, torch.nn.Module):
                continue
            match = missing.get(plain(name)) or next((missing[m] for m in near(plain(name), missing, 0.8)), None)
            match = match or next((missing[m] for m in missing if sorted(m) == sorted(plain(name))), None)  # gleu
            if match:
                self.notes.append(f"{name} is not checked; if it is meant as {match}, it must have that name")
        if missing:
            said = " ".join(self.notes)
            for _, value in self._module_classes():
                if f"class {value.__name__} " in said:
                    continue
                for component in self._resembled(value, missing.values()):
                    self.notes.append(
                        f"the module class {value.__name__} is not checked. "
                        f"{self._decorated(self.contracts[component], value)}"
                    )

    def _own_classes(self) -> list[type]:
        """The module classes that are theirs: of their file, of a package's files, or the one that was named."""
        if isinstance(self.thing, torch.nn.Module):
            return [type(self.thing)]
        if self._is_one_thing():
            return [self.thing] if inspect.isclass(self.thing) and issubclass(self.thing, torch.nn.Module) else []
        home = self.module.__name__
        kinds = [v for _, v in self._members() if inspect.isclass(v) and issubclass(v, torch.nn.Module)]
        own = [k for k in kinds if k.__module__ == home or k.__module__.startswith(f"{home}.")]
        return list(dict.fromkeys(own))

    def _unwritten(self, classes: Iterable[type], adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
        """Module classes that are named like a component and are to do, or wait for one that is."""
        found: dict[str, Adapter] = {}
        for thing in classes:
            name = next((n for n, c in self.contracts.items() if plain(thing.__name__) in (*c.classes, plain(n))), None)
            why = module_unfinished(thing, init=True) or beneath(thing, modules=True)
            if name is not None and name not in adapters and name not in found and why:
                found[name] = UnwrittenAdapter(thing, why)
                self.notes = [note for note in self.notes if not note.startswith(f"the class {thing.__name__} ")]
        return found

    def _module_classes(self) -> list[tuple[str, type]]:
        return [
            (name, value)
            for name, value in self._members()
            if inspect.isclass(value)
            and issubclass(value, torch.nn.Module)
            and not value.__module__.startswith("torch.")
            and name not in self.contracts
        ]

    def _resembled(self, thing: type, components: Iterable[str]) -> list[str]:
        """The component that a class is named like: ``CausalSelfX`` ends in ``x``."""
        functions = [c for c in components if self.contracts[c].is_function]
        name = plain(thing.__name__)
        return (near(name, functions, 0.8) or [c for c in functions if name.endswith(plain(c))])[:1]

    def _nothing_here(self) -> str:
        path = ".".join(self.place.attributes)
        what = f"{type(self.thing).__name__} {path}" if path else self.place.name
        functions = [c for c in self.contracts.values() if c.is_function] or list(self.contracts.values())
        first = min(functions, key=lambda c: sum(len(signature.arguments) for signature in c.calls.values()))
        lines = [f"--impl={self.place.text}: {what} offers no component, so there is nothing to check."]
        lines += [f"  {note}" for note in self.notes]
        if self._is_one_thing() and callable(self.thing):
            name = getattr(self.thing, "__name__", what)
            lines.append(f'{name} is no component\'s name. If it builds one, write @implements("COMPONENT") above it:')
            lines += self._example(self.thing)
        elif classes := [name for name, _ in self._module_classes()]:
            lines.append(
                f"It has the module class{'es' if len(classes) > 1 else ''} {', '.join(classes)}. "
                "Say which component each builds:"
            )
            lines += self._example(self._module_classes()[-1][1])
        else:
            lines += [
                "A function of a component's name is enough:",
                "",
                f"    def {first.name}{_parameters(first)}: ...",
                "",
                "`plumbline init` writes a file with all of them to fill in.",
            ]
        if self._files_of_components():
            lines.append(f"Its package holds {self._files_of_components()}; import their functions in __init__.py.")
        for file, names in self._files_with_modules():
            listed = ", ".join(names[:4]) + (" and more" if len(names) > 4 else "")
            lines.append(f"Its {file}.py has the module classes {listed}: --impl={self.module.__name__}.{file}")
        lines.append(f"The components are: {', '.join(self.contracts)}.")
        return "\n".join(lines)

    def _files_with_modules(self) -> list[tuple[str, list[str]]]:
        """Files of a package that define module classes, as far as their text tells; nothing of them is run."""
        found = []
        for folder in [] if self.place.attributes else list(getattr(self.module, "__path__", ())):
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

    def _files_of_components(self) -> str:
        if not hasattr(self.module, "__path__") or self.place.attributes:
            return ""
        import pkgutil

        names = [info.name for info in pkgutil.iter_modules(list(self.module.__path__)) if info.name in self.contracts]
        return ", ".join(f"{name}.py" for name in names)

    def _example(self, thing: Any) -> list[str]:
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

    def _decorated(self, contract: Contract, thing: Any = None) -> str:
        name = getattr(thing, "__name__", "Mine")
        return f'Write: @implements("{contract.name}") above def build(config): return {name}(...)'

    def _how(self, contract: Contract) -> str:
        return f"{contract.name}{_parameters(contract, 'build')}"


def _parameters(contract: Contract, method: str = "call") -> str:
    signature = contract.calls.get(method)
    return f"({', '.join(a.name for a in signature.arguments)})" if signature else "(...)"


def _takes_arguments_of(factory: Callable[..., Any], contract: Contract) -> bool:
    """Whether what is decorated is the component itself, under another name, rather than something that builds it.

    It may lack what is optional.
    """
    if inspect.isclass(factory):
        return False
    names = parameter_names(factory)
    every = [a for signature in contract.calls.values() for a in signature.arguments]
    ours = [a.name for a in every if not a.optional or a.name in names]
    return bool(ours) and names[: len(ours)] == ours and names[:1] != ["config"]


def _leaves(arguments: Iterable[Argument]) -> list[Argument]:
    return [leaf for a in arguments for leaf in (_leaves(a.fields) if a.fields else [a])]


def _article(thing: Any) -> str:
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


__all__ = ["Found", "ImportFailed", "UsageError", "discover"]
