"""A forward that takes more than its input is given it: masks, tables of a rotation, positions, nothing where nothing
is.

Which argument is what is told by its name, in which form by trial: one that runs, gives an output of the right shape,
keeps the future out where the contract says so, and, with tables, depends on differences of positions only. The
numbers of the contract have no say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.core.case import Case
from harness.core.claim import Misfit
from harness.core.contract import Contract
from harness.execution.bound_call import Ready
from harness.execution.misfits import PlugIn
from harness.modules.forward_roles import (
    TABLES,
    Extent,
    Form,
    More,
    Role,
    beside_the_input,
    computed_pairs,
    computed_tables,
    extent_of,
    masks,
    positions,
)
from harness.modules.holder import Holder
from harness.modules.output_form import result_of
from harness.modules.own_tables import OwnTables
from harness.modules.parameter_map import Plan
from harness.modules.parameter_values import values_for

MOST_TRIALS = 240
"""Combinations of forms that are tried."""
TIME = 5
SHIFT = 3
"""How far positions are shifted to see that only their differences count."""

Forms = Mapping[str, Form]
"""Name of an argument -> the form in which it is given."""
Run = Callable[[torch.Tensor, Forms, int], torch.Tensor]
"""The module's output for an input, with these forms at positions from a start on."""


INPUT = Form("the input", lambda _: None)
"""What is given the input once more."""


class WithMore:
    """Calls a module with its input and what else its forward takes. ``start``: of the positions."""

    passes_options = True

    def __init__(self, forms: Forms, needs: tuple[str, ...] = (), start: int = 0) -> None:
        self.forms, self.needs, self.start = forms, needs, start

    def __call__(self, module: nn.Module, *inputs: Any, **options: Any) -> Any:
        """What it returns. Raises Misfit where it needs what nobody here can give."""
        if self.needs:
            raise Misfit(f"its forward needs {' and '.join(self.needs)}")
        return module(*inputs, **self._given(module, inputs[0], options), **options)

    def _given(self, module: nn.Module, x: torch.Tensor, options: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments beside an input, those aside that are given anyway."""
        extent = extent_of(x, module, self.start)
        wanted = {name: form for name, form in self.forms.items() if name not in options}
        return {name: x if form is INPUT else form.make(extent) for name, form in wanted.items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> WithMore:
        """Itself: it holds nothing of the module that it calls."""
        return self

    def ready(self, module: nn.Module, inputs: list[Any], options: dict[str, Any]) -> Ready:
        """For timing: what is given beside the input is made once."""
        return Ready(partial(module, *inputs, **self._given(module, inputs[0], options), **options))

    def plug_in(self, name: str, component: str) -> PlugIn:
        """What it needs, and the lines with which a person gives it. ``name``: of the class."""
        if not self.needs:
            return PlugIn()
        given = ", ".join(f"{need}=..." for need in self.needs)
        return PlugIn(
            f"its forward needs {' and '.join(self.needs)}",
            (
                "from plumbline import implements",
                f'@implements("{component}", call=lambda module, x: module(x, {given}))',
                "def build(config):",
                f"    return {name}(...)",
            ),
        )

    @property
    def words(self) -> str:
        """What is given beside the input, for a note; empty where that is nothing of interest."""
        told = [f"{name} ({form.words})" for name, form in self.forms.items() if form.words]
        return f"its forward is given {', '.join(told)}" if told and not self.needs else ""


NONE, TRUE, FALSE = Form("", lambda _: None), Form("true", lambda _: True), Form("", lambda _: False)
CONSTANT: Mapping[Role | None, Form] = {
    Role.START: Form("", lambda _: 0),
    Role.LENGTH: Form("", lambda e: e.time),
    Role.NOTHING: NONE,
    Role.OFF: FALSE,
    Role.SAME: INPUT,
}
"""What is given where there is no choice."""


class Tried(NamedTuple):
    """Forms that run, and what of the wanted properties they have."""

    forms: Forms
    properties: int


class Search:
    """Looks for the forms in which one module wants what it takes beside its input.

    ``run``: see :data:`Run`. ``x``: an input of ``TIME`` positions; ``shape``: of its output. ``causal``: whether
    the output at a position must not depend on later ones.
    """

    def __init__(self, more: list[More], own: OwnTables, run: Run, x: torch.Tensor, causal: bool) -> None:
        self.more, self.own, self.run, self.x, self.causal = more, own, run, x, causal

    def found(self) -> WithMore | None:
        """How to call it; None where nothing has to be given. Needs are named where no form runs."""
        unknown = tuple(m.name for m in self.more if m.needed and m.role is None)
        if unknown:
            return WithMore({}, unknown)
        best = next((tried for stage in self._tables() if (tried := self._best(stage)) is not None), None)
        if best is None:
            needed = tuple(m.name for m in self.more if m.needed)
            return WithMore({}, needed) if needed else None
        return WithMore(best.forms) if best.forms else None

    def _best(self, tables: list[Forms]) -> Tried | None:
        """The first that has both properties, of all with these tables; otherwise one that has most."""
        best: Tried | None = None
        for forms in itertools.islice(self._choices(tables), MOST_TRIALS):
            tried = self._tried(forms)
            if tried is not None and (best is None or tried.properties > best.properties):
                best = tried
                if best.properties == 2:
                    break
        return best

    def _tried(self, forms: Forms) -> Tried | None:
        """None where it does not run; otherwise one point for each property, or where it is not asked for."""
        try:
            out = self.run(self.x, forms, 0)
            if out.shape[:2] != self.x.shape[:2] or not torch.isfinite(out).all():
                return None
            later = self.x.clone()
            later[:, -1] = later[:, 0] if not later.is_floating_point() else later[:, -1] * -2 + 1
            hidden = not self.causal or not self._leaks(out, self.run(later, forms, 0), forms)
            tables = any(m.role in TABLES and m.name in forms for m in self.more)
            relative = not tables or _same(self.run(self.x, forms, SHIFT), out, 1e-4)
        except Exception:  # another form is tried; the last one's error is that of a case
            return None
        return Tried(forms, int(hidden) + int(relative))

    def _leaks(self, out: torch.Tensor, after: torch.Tensor, forms: Forms) -> bool:
        """Whether the last position shows before it. One that hides part of the future by itself is wrong, and stays
        so: only where nothing is hidden, it is waiting for a mask."""
        moved = [not _same(after[:, t], out[:, t], 1e-9) for t in range(out.shape[1] - 1)]
        masked = any(
            m.role in (Role.MASK, Role.CAUSAL) and forms.get(m.name, NONE) not in (NONE, FALSE) for m in self.more
        )
        return any(moved) if masked else all(moved)

    # choices ---------------------------------------------------------------------------------------------------------

    def _choices(self, tables: list[Forms]) -> Iterator[Forms]:
        """Every combination, the most usual first."""
        fixed = {m.name: CONSTANT[m.role] for m in self.more if m.needed and m.role in CONSTANT}
        for table, places, mask in itertools.product(tables, self._positions(), self._masks()):
            yield {**fixed, **table, **places, **mask}

    def _tables(self) -> Iterator[list[Forms]]:
        """Its own first: a mistake in these is its own. Then those of the formula; none last, if that is possible."""
        wanted = [m for m in self.more if m.role in TABLES]
        cos = next((m.name for m in wanted if m.role is Role.COS), None)
        sin = next((m.name for m in wanted if m.role is Role.SIN), None)
        if cos is not None and sin is not None:
            for forms in (self.own.forms(), computed_pairs()):
                yield [{cos: Form(f.words, _one_of(f, 0)), sin: Form("", _one_of(f, 1))} for f in forms]
        elif cos is None and sin is None and len(wanted) == 1:
            for forms in (self.own.forms(), computed_tables(), self.own.objects()):
                yield [{wanted[0].name: form} for form in forms]
        if not any(m.needed for m in wanted):
            yield [{}]

    def _positions(self) -> Iterator[Forms]:
        names = [m.name for m in self.more if m.role is Role.POSITIONS and m.needed]
        if not names:
            yield {}
        else:
            for form in positions():
                yield dict.fromkeys(names, form)

    def _masks(self) -> Iterator[Forms]:
        """None first: then it hides the future by itself, or is told to. A whole model that is called without a mask
        where it may be has to hide the future by itself."""
        masked = [m for m in self.more if m.role is Role.MASK]
        switches = [m for m in self.more if m.role is Role.CAUSAL]
        none = {m.name: NONE for m in masked if m.needed} | {m.name: FALSE for m in switches if m.needed}
        yield none
        if switches:
            yield {**none, **{m.name: TRUE for m in switches}}
        may_be_given = [m for m in masked if m.needed or self.x.is_floating_point()]
        for form in masks() if may_be_given else ():
            yield {**none, may_be_given[0].name: form}


def _one_of(form: Form, index: int) -> Callable[[Extent], Any]:
    def make(e: Extent) -> Any:
        tables = form.make(e)
        if not isinstance(tables, tuple):
            raise ValueError("no pair of tables")
        return tables[index]

    return make


def _same(one: torch.Tensor, other: torch.Tensor, share: float) -> bool:
    """Whether two outputs differ by no more than this share of the largest number."""
    return bool((one - other).abs().max() <= share * other.abs().max().clamp_min(1e-30))


Called = Callable[..., Any]
"""Calls ``torch.func.functional_call`` with what it is given, under the limits of a trial call."""


def with_more(contract: Contract, plan: Plan, module: nn.Module, case: Case, called: Called) -> WithMore | None:
    """How the forward of a module is given what it takes beside its input; None where that is nothing.

    ``module`` was built for ``case``, whose weights it is given by ``plan``.
    """
    inputs = [a for a in contract.arguments("input") if a.name in case.arguments and not a.by_name]
    more = beside_the_input(module.forward, contract.forward_names, len(inputs))
    given = [case.arguments[a.name] for a in inputs]
    if not more or len(given) != 1 or not torch.is_tensor(given[0]) or given[0].dim() != 2 + inputs[0].is_float_tensor:
        return None
    values = {f"inner.{name}": value for name, value in values_for(plan, module, case.arguments).items()}

    def run(x: torch.Tensor, forms: Forms, start: int) -> torch.Tensor:
        value, _ = result_of(called(Holder(module, WithMore(forms, start=start)), values, (x,)))
        if not torch.is_tensor(value):
            raise TypeError("no tensor")
        return value

    own = OwnTables(type(module), contract.forward_names)
    return Search(more, own, run, _trial_input(given[0]), contract.causal is not None).found()


def _trial_input(like: torch.Tensor) -> torch.Tensor:
    """Two rows of ``TIME`` positions of the same width and dtype, or ids."""
    generator = torch.Generator().manual_seed(1)
    if like.is_floating_point():
        return torch.randn(2, TIME, like.shape[-1], generator=generator, dtype=torch.float64).to(like.dtype)
    return torch.tensor([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0]])
