"""What constructors and configurations call the sizes of a model, and the value that each name gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.core.errors import plain

NOT_WHOLE = ("eps", "ratio", "rope_base", "hidden_factor", "rotary_share")
"""Sizes that need not be whole numbers."""
LENGTHS = ("width", "head_size")
"""Sizes of an axis, whose names (``dim``) may also stand for the axis itself."""


class CannotBuild(Exception):
    """A constructor needs an argument whose meaning its name does not tell. The message names it."""


class UnknownName(LookupError):
    """A name that stands for no size and no switch that is known."""


class Sizes:
    """The sizes of one build, found by the names people give them.

    ``values``: size -> number (width, heads, layers, context, vocab_size, hidden, head_size, ratio, eps).
    ``usual``: size -> its usual names. ``on_read`` is called with each size that is used. ``biases``: whether the
    component has biases.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        usual: Mapping[str, Iterable[str]],
        on_read: Callable[[str], None] = lambda _: None,
        biases: bool = True,
    ) -> None:
        self.values, self.names, self.on_read, self.biases = dict(values), dict(usual), on_read, biases
        self.chose_biases = False
        self.usual: dict[str, list[str]] = {}
        for size, names in usual.items():
            for name in names:
                known = self.usual.setdefault(plain(name), [])
                if size not in known:
                    known.append(size)

    def size(self, name: str, beside: Iterable[str] = ()) -> str | None:
        """The size that a name stands for; of two, the first, unless another name ``beside`` it is that."""
        found = [size for size in self.usual.get(plain(name), ()) if size in self.values]
        if len(found) > 1:
            for other in beside:
                sizes = self.usual.get(plain(other), ())
                if plain(other) != plain(name) and len(sizes) == 1 and sizes[0] == found[0]:
                    return found[1]
        return found[0] if found else None

    def __contains__(self, name: str) -> bool:
        return self.size(name) is not None

    def value(self, name: str, beside: Iterable[str] = (), note: bool = True) -> Any:
        """The value that a size or a switch of this name gets. ``note``: whether it counts as read. Raises
        UnknownName."""
        size = self.size(name, beside)
        if size is not None:
            if note:
                self.on_read(size)
            return self.values[size]
        self.chose_biases |= "bias" in plain(name)
        return switch(name, self.biases)

    def means(self, name: str, default: Any, beside: Iterable[str] = ()) -> bool:
        """Whether an argument with this default is to be given the size of its name; ``dim=-1`` is an axis, no width.

        ``default``: ``inspect.Parameter.empty`` where it has none. ``beside``: the other names. A switch is always
        given, and a window of None is kept where the case has none.
        """
        size = self.size(name, beside)
        if size is None or default is inspect.Parameter.empty:
            return True
        if default is None:
            return size != "window" or self.values[size] < self.values["context"]
        if isinstance(default, (bool, str)) or not isinstance(default, (int, float)):
            return False
        if isinstance(default, float) and size not in NOT_WHOLE:
            return default.is_integer()
        return size not in LENGTHS or default > 2 or not self._elsewhere(name, size, beside, default)

    def _elsewhere(self, name: str, size: str, beside: Iterable[str], default: float) -> bool:
        """Whether a small default is that of an axis: it is below zero, or another name has the size already."""
        return default < 0 or any(other != name and self.size(other) == size for other in beside)

    def known(self, name: str, beside: Iterable[str] = ()) -> bool:
        """Whether a name stands for a size or a switch."""
        try:
            switch(name)
        except UnknownName:
            return self.size(name, beside) is not None
        return True


def is_dropout(name: str) -> bool:
    """Whether a name stands for a rate of dropout."""
    return "drop" in plain(name)


def switch(name: str, biases: bool = True) -> Any:
    """The value of a switch of this name: dropout off, biases as they are there, causal, tied, no preset.

    Raises UnknownName.
    """
    word = plain(name)
    if is_dropout(name):
        return 0.0
    if word.endswith("bias") or word in ("usebias", "addbias", "biases"):
        return biases
    if word in ("causal", "iscausal", "masked", "autoregressive", "usemask", "usecausalmask", "iscausalmask"):
        return True
    if word.startswith(("tie", "weighttying")) or word == "tied":
        return True
    if word in ("modeltype", "presetname"):
        return None
    if word.endswith("tokenid") or word in ("paddingidx", "padid", "padidx", "padtokenid"):
        return None
    raise UnknownName(name)


LAST_RESORTS: Mapping[str, Any] = {
    **dict.fromkeys(("layeridx", "layerid", "layerindex", "idx", "index", "layernumber", "blockidx", "blockindex"), 0),
    **dict.fromkeys(("device", "dtype", "generator", "rng"), None),
    **dict.fromkeys(("debug", "verbose", "flash", "useflash"), False),
    **dict.fromkeys(("initrange", "initializerrange", "initstd", "std", "initscale"), 0.02),
    **dict.fromkeys(("act", "actfn", "activation", "activationfunction", "hiddenact", "activationfn"), "gelu_new"),
    **dict.fromkeys(("normalizationtype", "normtype"), "LN"),
    **dict.fromkeys(("batchfirst", "normfirst", "prenorm"), True),
}
"""The value of an argument without a default: one that makes no difference here, or that of GPT-2."""

TURNED_ON = ("scale", "scaled", "usescale", "scaleattn", "doscale", "batchfirst")
"""Switches that some classes have off by default: the scores are divided by the root of the head size; the input is
[batch, time, width]."""


class Namespace:
    """A configuration that answers to every usual name of a size, as attribute, key or ``get``."""

    def __init__(self, sizes: Sizes) -> None:
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_given", {})

    def _look(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        try:
            return self._sizes.value(name, ("n_embd",) if plain(name).startswith("hidden") else ())
        except UnknownName:
            if plain(name) in LAST_RESORTS:
                return LAST_RESORTS[plain(name)]
            raise

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._look(name)
        except UnknownName:
            raise AttributeError(_unknown(name)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._given[name] = value

    def __getitem__(self, name: str) -> Any:
        try:
            return self._look(name)
        except UnknownName:
            raise KeyError(_unknown(name)) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._given[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._given or self._sizes.known(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As a dictionary's."""
        try:
            return self._look(name)
        except UnknownName:
            return default


def _unknown(name: str) -> str:
    return (
        f"its configuration holds {name!r}, which is no usual name of a size; "
        'say how it is built: @implements("COMPONENT") above def build(config): ...'
    )
