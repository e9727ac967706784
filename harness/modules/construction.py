"""Builds somebody's module class at given sizes, by what its constructor and its configuration call them.

Nothing is guessed that matters: sizes go where their usual names stand, dropout is off, biases are on, what has a default
keeps it. Where an argument is left over, CannotBuild names it.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, get_type_hints

from harness.core.errors import plain
from harness.core.parameters import parameters_of

CONFIGURATIONS = (
    "config",
    "cfg",
    "conf",
    "configuration",
    "args",
    "params",
    "hparams",
    "hps",
    "hp",
    "hyperparameters",
    "settings",
    "opts",
    "options",
    "modelargs",
    "modelconfig",
    "gptconfig",
)
"""What the argument that holds all sizes is usually called."""
KINDS = ("config", "args", "params", "hparams", "settings", "configuration", "hyperparameters")
"""What classes and dictionaries that hold sizes end in."""
PLAIN = (int, float, bool, str, bytes, type(None), list, tuple, dict, set)


class CannotBuild(Exception):
    """A constructor wants something whose meaning its name does not tell. The text names it."""


class Unknown(LookupError):
    """A name that stands for no size and no switch that we know."""


class Sizes:
    """The sizes of one build, found by the names people give them; ``read`` is told which were used.

    ``values``: size -> number (width, heads, layers, context, vocab_size, hidden, head_size, ratio, eps).
    ``usual``: size -> its usual names.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        usual: Mapping[str, Iterable[str]],
        read: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.values, self.read = dict(values), read
        self.usual: dict[str, list[str]] = {}
        for size, names in usual.items():
            for name in names:
                known = self.usual.setdefault(plain(name), [])
                if size not in known:
                    known.append(size)

    def size(self, name: str, beside: Iterable[str] = ()) -> str | None:
        """Which size a name stands for. A name of two sizes is the first, unless another name ``beside`` it is that."""
        found = [size for size in self.usual.get(plain(name), ()) if size in self.values]
        if len(found) > 1:
            for other in beside:
                sizes = self.usual.get(plain(other), ())
                if plain(other) != plain(name) and len(sizes) == 1 and sizes[0] == found[0]:
                    return found[1]
        return found[0] if found else None

    def __contains__(self, name: str) -> bool:
        return self.size(name) is not None

    def value(self, name: str, beside: Iterable[str] = ()) -> Any:
        """The value that a size or a switch of this name gets. Raises Unknown."""
        size = self.size(name, beside)
        if size is not None:
            self.read(size)
            return self.values[size]
        return switch(name)

    def known(self, name: str, beside: Iterable[str] = ()) -> bool:
        """Whether a name stands for a size or a switch."""
        try:
            switch(name)
        except Unknown:
            return self.size(name, beside) is not None
        return True


def switch(name: str) -> Any:
    """What a flag of this name gets: dropout off, biases on, causal, tied, no preset. Raises Unknown."""
    word = plain(name)
    if "drop" in word:
        return 0.0
    if word.endswith("bias") or word in ("usebias", "addbias", "biases"):
        return True
    if word in ("causal", "iscausal", "masked", "autoregressive", "usemask", "usecausalmask", "iscausalmask"):
        return True
    if word.startswith(("tie", "weighttying")) or word == "tied":
        return True
    if word in ("modeltype", "presetname"):
        return None
    if word.endswith("tokenid") or word in ("paddingidx", "padid", "padidx", "padtokenid"):
        return None
    raise Unknown(name)


LAST_RESORTS: Mapping[str, Any] = {
    **dict.fromkeys(("layeridx", "layerid", "layerindex", "idx", "index", "layernumber", "blockidx", "blockindex"), 0),
    **dict.fromkeys(("device", "dtype", "generator", "rng"), None),
    **dict.fromkeys(("debug", "verbose", "flash", "useflash"), False),
    **dict.fromkeys(("initrange", "initializerrange", "initstd", "std", "initscale"), 0.02),
    **dict.fromkeys(("act", "actfn", "activation", "activationfunction", "hiddenact", "activationfn"), "gelu_new"),
    **dict.fromkeys(("normalizationtype", "normtype"), "LN"),
    **dict.fromkeys(("ropebase", "ropetheta", "theta", "base", "rotarybase"), 10000.0),
    **dict.fromkeys(("batchfirst", "normfirst", "prenorm"), True),
}
"""What an argument without a default gets: what makes no difference here, or what GPT-2 (for a base, RoPE) has."""


SCALED = ("scale", "scaled", "usescale", "scaleattn", "doscale")
"""Switches that divide the scores by the root of the head size, which some classes have off by default."""


class Namespace:
    """A configuration that answers to every usual name, as attribute, key or ``get``."""

    def __init__(self, sizes: Sizes) -> None:
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_given", {})

    def _look(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        try:
            return self._sizes.value(name, ("n_embd",) if plain(name).startswith("hidden") else ())
        except Unknown:
            if plain(name) in LAST_RESORTS:
                return LAST_RESORTS[plain(name)]
            raise

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._look(name)
        except Unknown:
            raise AttributeError(_unknown(name)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._given[name] = value

    def __getitem__(self, name: str) -> Any:
        try:
            return self._look(name)
        except Unknown:
            raise KeyError(_unknown(name)) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._given[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._given or self._sizes.known(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As a dictionary's."""
        try:
            return self._look(name)
        except Unknown:
            return default


def _unknown(name: str) -> str:
    return (
        f"its configuration holds {name!r}, which is no usual name of a size; "
        'say how it is built: @implements("COMPONENT") above def build(config): ...'
    )


def construct(kind: type, sizes: Sizes, namespace: Mapping[str, Any]) -> Any:
    """An instance of somebody's class at these sizes. ``namespace``: the module it stands in.

    Raises CannotBuild where an argument means nothing to us; whatever the constructor raises.
    """
    preset = getattr(kind, "config_class", None)
    parameters = _parameters(kind)
    given = _arguments(kind.__name__, parameters, sizes, namespace, kind, preset)
    positional = [given.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in given]
    return kind(*positional, **given)


def _parameters(kind: Any) -> list[inspect.Parameter]:
    return [p for p in parameters_of(kind) or () if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _arguments(
    label: str,
    parameters: list[inspect.Parameter],
    sizes: Sizes,
    namespace: Mapping[str, Any],
    kind: Any = None,
    preset: type | None = None,
) -> dict[str, Any]:
    names = [p.name for p in parameters]
    hints = _hints(kind)
    required = [p for p in parameters if p.default is p.empty]
    given: dict[str, Any] = {}
    for p in parameters:
        hint = hints.get(p.name, p.annotation)
        if _holds_all(p, hint, preset):
            given[p.name] = configuration(kind, p, hint, sizes, namespace, preset)
        elif sizes.known(p.name, names) and _fits(sizes, p, hint, names):
            given[p.name] = sizes.value(p.name, names)
        elif p.default is False and plain(p.name) in SCALED:
            given[p.name] = True
        elif p.default is not p.empty:
            continue
        elif plain(p.name) in LAST_RESORTS:
            given[p.name] = LAST_RESORTS[plain(p.name)]
        elif required == [p] and not sizes.known(p.name, names):
            given[p.name] = configuration(kind, p, hint, sizes, namespace, preset)
        else:
            raise CannotBuild(
                f"{label}({', '.join(names)}) needs {p.name!r}, whose meaning its name does not tell. "
                f"Give it a default, or say how it is built: def build(config): return {label}(...)"
            )
    return given


def _holds_all(p: inspect.Parameter, hint: Any, preset: type | None) -> bool:
    """Whether this argument is the record that holds the sizes."""
    word = plain(p.name)
    if word in CONFIGURATIONS or (preset is not None and word == "config"):
        return True
    if inspect.isclass(hint) and hint not in PLAIN:
        return dataclasses.is_dataclass(hint) or plain(hint.__name__).endswith(KINDS)
    return isinstance(hint, str) and plain(hint).endswith(KINDS)


def _fits(sizes: Sizes, p: inspect.Parameter, hint: Any, names: list[str]) -> bool:
    """Whether what we would give is of the kind that is asked for (``h: float`` is no number of heads)."""
    size = sizes.size(p.name, names)
    if size is None or hint is p.empty or isinstance(hint, str) or not inspect.isclass(hint):
        return True
    whole = size not in ("eps", "ratio")
    return not (whole and hint in (float, str, bool)) and not (not whole and hint in (str, bool))


def _hints(kind: Any) -> dict[str, Any]:
    for source in (getattr(kind, "__init__", None), kind):
        try:
            found = get_type_hints(source)
        except Exception:  # names that exist for a type checker alone
            continue
        if found:
            return found
    return {}


# configurations ------------------------------------------------------------------------------------------------------


def configuration(
    kind: Any, p: inspect.Parameter, hint: Any, sizes: Sizes, namespace: Mapping[str, Any], preset: type | None = None
) -> Any:
    """The record of sizes that a constructor takes: of its own kind where there is one, else one that knows all names.

    In this order: the class's ``config_class``, the annotation, ``get_default_config()``, the default value, a class or
    a value of the module that holds sizes.
    """
    owner = getattr(kind, "__name__", "")
    if preset is not None:
        return _record(preset, sizes, namespace)
    if inspect.isclass(hint) and hint not in PLAIN and not issubclass(hint, Mapping):
        made = _record(hint, sizes, namespace)
        if made is not None:
            return made
    maker = getattr(kind, "get_default_config", None)
    if callable(maker):
        return _filled(maker(), sizes)
    if p.default is not p.empty and _sizes_in(p.default, sizes):
        return _filled(copy.deepcopy(p.default), sizes)
    classes = [
        v for n, v in namespace.items() if inspect.isclass(v) and plain(n).endswith(KINDS) and _is_filled_by(v, sizes)
    ]
    for found in sorted(classes, key=lambda c: -_alike(plain(c.__name__), plain(owner))):
        made = _record(found, sizes, namespace)
        if made is not None:
            return made
    values = [v for n, v in namespace.items() if not n.startswith("_") and len(_sizes_in(v, sizes)) >= 2]
    if values:
        return _filled(copy.deepcopy(values[0]), sizes)
    return Namespace(sizes)


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with together."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _is_filled_by(kind: type, sizes: Sizes) -> bool:
    return sum(p.name in sizes for p in _parameters(kind)) >= 2 or len(_sizes_in(kind, sizes)) >= 2


def _record(kind: type, sizes: Sizes, namespace: Mapping[str, Any]) -> Any:
    """An instance of a class of configurations, or None where it takes nothing that we know."""
    parameters = _parameters(kind)
    names = [p.name for p in parameters]
    if not any(sizes.known(name, names) for name in names):
        if len(_sizes_in(kind, sizes)) < 2:
            return None
        try:
            return _filled(kind(), sizes)  # a class whose attributes are the defaults
        except TypeError:
            return None
    given = {}
    for p in parameters:
        if sizes.known(p.name, names):
            given[p.name] = sizes.value(p.name, names)
        elif p.default is p.empty:
            if plain(p.name) not in LAST_RESORTS:
                raise CannotBuild(
                    f"{kind.__name__} needs {p.name!r}, whose meaning its name does not tell. Give it a default, or say "
                    "how the model is built: def build(config): ..."
                )
            given[p.name] = LAST_RESORTS[plain(p.name)]
    return kind(**given)


def _sizes_in(value: Any, sizes: Sizes) -> list[str]:
    """Names of sizes that a dictionary, or a record's attributes, hold as numbers."""
    if isinstance(value, Mapping):
        held: Mapping[Any, Any] = value
    elif inspect.isclass(value) or hasattr(value, "__dict__"):
        held = {**(vars(type(value)) if not inspect.isclass(value) else {}), **vars(value)}
    else:
        return []
    if inspect.ismodule(value) or (callable(value) and not inspect.isclass(value)):
        return []
    return [
        n for n, v in held.items() if isinstance(n, str) and n in sizes and (v is None or isinstance(v, (int, float)))
    ]


def _filled(record: Any, sizes: Sizes) -> Any:
    """The record with our sizes in it; what else it holds stays."""
    if isinstance(record, MutableMapping):
        names = [n for n in record if isinstance(n, str)]
        record.update({n: sizes.value(n, names) for n in names if sizes.known(n, names)})
        return record
    held = {n for n in (*vars(type(record)), *getattr(record, "__dict__", {})) if not n.startswith("_")}
    names = sorted(held)
    for name in names:
        if sizes.known(name, names) and not callable(getattr(record, name, None)):
            object.__setattr__(record, name, sizes.value(name, names))
    return record


# sizes that are the module's globals ---------------------------------------------------------------------------------


def global_sizes(kind: type, sizes: Sizes) -> tuple[str, ...]:
    """Numbers at the top of the module that its classes read as sizes (``n_embd = 384``)."""
    module = sys.modules.get(kind.__module__)
    held = vars(module) if module is not None else {}
    read: set[str] = set()
    for value in list(held.values()):
        if inspect.isclass(value) and value.__module__ == kind.__module__:
            for method in vars(value).values():
                code = getattr(method, "__code__", None)
                read.update(_names(code) if code is not None else ())
    numbers = [n for n in read if type(held.get(n)) in (int, float)]
    return tuple(sorted(n for n in numbers if sizes.known(n, numbers) and n.lower() not in ("device", "x")))


def _names(code: Any) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from _names(inner)


@contextmanager
def globals_set(module: str, values: Mapping[str, Any]) -> Iterator[None]:
    """While this lasts, these names of the module have these values."""
    held = vars(sys.modules[module]) if values else {}
    before = {name: held[name] for name in values}
    held.update(values)
    try:
        yield
    finally:
        held.update(before)
