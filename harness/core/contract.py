"""A contract: everything promised about one component."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.core.causal import Causal as Causal
from harness.core.claim import Claim
from harness.core.composition import Composition, Joined
from harness.core.forms import LegalForms
from harness.core.forms import NumberForm as NumberForm
from harness.core.forms import Variant as Variant
from harness.core.measurement import Measure
from harness.core.quorum import Quorum
from harness.core.whole import WholeModel as WholeModel
from harness.core.workload import Workload


@dataclass(frozen=True)
class Argument:
    """One argument of a call.

    ``kind`` reads like ``float[batch, time, width]``, ``int[batch, time]``, ``int``, ``float``, ``bool`` or ``str``.
    ``role``: "input" (data), "parameter" (learned) or "setting" (a plain number or flag).
    ``aliases``: how published modules name this parameter, as dotted suffixes, for plugging in modules.
    ``slices``: names of the equal parts this parameter is stacked from along its first axis, where modules keep them
    apart, each with its own aliases. ``fields``: what a dictionary of weights, or a record of settings, holds; kind
    ``list[layers]`` says that the fields repeat per layer. ``default``: what leaving an optional argument out means.
    ``by_name``: an optional argument that is given only to code that names it, as it is called here or by an alias,
    never by position; code that does not name it (a field: that does not read it) is not asked for it.
    ``other_forms``: names under which published code takes such an argument in another form (a mask that is True where
    this one is False), and what makes that form.
    ``structural``: an optional learned tensor that makes another architecture where it is there (a gate, a norm of
    queries). Code that has one is judged with it alone, code that has none without. Of any other optional tensor,
    ``default`` is the number that stands for leaving it out, 0 where there is none.
    """

    name: str
    kind: str
    role: str = "input"
    optional: bool = False
    aliases: tuple[str, ...] = ()
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: tuple[Argument, ...] = ()
    default: Any = None
    by_name: bool = False
    other_forms: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    structural: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """``float[3*width, width]`` has the axes ``3*width`` and ``width``; ``list[layers]`` has ``layers``."""
        inner = self.kind.partition("[")[2].rpartition("]")[0]
        return tuple(axis.strip() for axis in inner.split(",") if axis.strip())

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The names in the axes, each once: ``float[3*width, width]`` names ``width``."""
        return tuple(dict.fromkeys(re.findall(r"[A-Za-z_]\w*", self.kind.partition("[")[2])))

    @property
    def is_float_tensor(self) -> bool:
        """Whether it is one tensor of floating-point numbers."""
        return self.kind.startswith("float[")

    @property
    def holds_integers(self) -> bool:
        """Whether it is an integer or a tensor of signed integers."""
        return self.kind == "int" or self.kind.startswith(("int[", "int8["))

    @property
    def holds_arrays(self) -> bool:
        """Whether it is a tensor of numbers that a program computes with, or a record or list with such tensors."""
        return "float[" in self.kind or "int[" in self.kind or bool(self.fields)

    @property
    def has_elements(self) -> bool:
        """Whether it is a tensor, a list or a dictionary of elements that are not named one by one."""
        return "[" in self.kind

    @property
    def is_modifiable(self) -> bool:
        """Whether a call could modify it in place: a tensor, a list, a dictionary."""
        return self.has_elements or self.kind == "weights"

    @property
    def is_list(self) -> bool:
        """Whether it is a list whose elements are of one form."""
        return self.kind.startswith("list[")


@dataclass(frozen=True)
class Signature:
    """The arguments of one call, in order, and what it returns.

    ``live``: it may return its own tensors, which later calls change; what counts is what they hold when it returns.
    ``objects``: it returns objects that harness steps inspect; the answer holds nothing of them.
    ``lazy``: it is given its first argument entry by entry, and gives its results while it reads; the answer holds all.
    """

    arguments: tuple[Argument, ...]
    result: str
    live: bool = False
    objects: bool = False
    lazy: bool = False

    def __str__(self) -> str:
        inner = ", ".join(f"{a.name}: {a.kind}" + (" or None" if a.optional else "") for a in self.arguments)
        return f"({inner}) -> {self.result}"

    @property
    def returns_nothing(self) -> bool:
        """Whether the result may be None: nothing, or nothing of interest."""
        return self.result.startswith("nothing")

    @property
    def returns_only_nothing(self) -> bool:
        """Whether nothing else than None is expected."""
        return self.result == "nothing"

    @property
    def returns_tensor(self) -> bool:
        """Whether the result is one tensor."""
        return self.result.startswith(("float[", "int[", "int8["))

    @property
    def returns_number(self) -> bool:
        """Whether the result is one plain number."""
        return self.result == "float"

    @property
    def returns_several(self) -> bool:
        """Whether the result is a tuple or a dictionary of results."""
        return self.result.startswith(("(", "{", "["))


@dataclass(frozen=True)
class Dialect:
    """How a published project spells a component: a function of another name, with other arguments.

    ``takes``: names of its arguments, by which it is recognised; ``lacks``: names that it must not have, for being
    the contract's own form then. ``arguments``: from the contract's arguments to its own. They may be torch tensors,
    NumPy or JAX arrays. ``absent``: optional parameters that it has no place for. ``one_by_one``: arguments whose
    first axis is a batch, for functions that take one sequence at a time. ``result``: from what it returns to what
    the contract says. ``written``: for functions that write into arguments, from its own arguments as they are
    afterwards, and what it returned. ``made``: from their function, or class, to a class with the contract's methods,
    or to a function with its arguments where names alone do not say how it is called. ``accepts``: the legal forms
    that its project accepts, "" for the plain one; the first is what its rules say. ``entry``: the project calls
    components through such functions alone, so that what has a component's name beside them is a helper. ``fits``: for
    a class or function of any name, from what they have to how surely it is this component, 0 where it is not.
    """

    project: str
    function: str
    takes: tuple[str, ...]
    arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    absent: tuple[str, ...] = ()
    one_by_one: tuple[str, ...] = ()
    result: Callable[[Any], Any] = lambda value: value
    written: Callable[[Mapping[str, Any], Any], Any] | None = None
    made: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    lacks: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    entry: bool = False
    fits: Callable[[Any], int] | None = None


@dataclass(frozen=True)
class Contract:
    """Everything promised about one component."""

    name: str
    meaning: str
    """One sentence for a newcomer."""
    calls: Mapping[str, Signature]
    """Signatures by method: ``{"call": ...}`` for a function, ``{"build": ..., "encode": ...}`` for a class."""
    reference: Callable[..., Any]
    cases: Callable[[], Any]
    """Makes the Hypothesis strategy of valid cases."""
    invalid: Callable[[], Any] | None = None
    """Makes the strategy of calls that must be refused."""
    parts: tuple[str, ...] = ()
    """The components it is made of."""
    rows: tuple[str, ...] = ()
    """Arguments whose first axis is a batch of independent rows."""
    leading_axes: tuple[str, ...] = ()
    """Arguments that accept any number of leading batch dimensions."""
    differentiable: bool = True
    """Whether gradients are promised."""
    half_precision: bool = True
    """Whether bfloat16 and float16 are judged."""
    agrees: bool = True
    """Whether its numbers must be the reference's (a quantizer's codes need not be)."""
    draws: bool = False
    """Whether it draws random numbers, so that two calls need not agree."""
    causal: Causal | None = None
    """Where time stands, if outputs depend on the past only."""
    includes: str = ""
    """Another component that it is at some of its settings: it is judged in that one's place where that is missing."""
    order: int = 100
    """Place in the reading order."""
    headline: bool = False
    """Whether the catalogue names it first."""
    optional_methods: frozenset[str] = frozenset()
    """Calls that an implementation may leave out."""
    variants: tuple[Variant, ...] = ()
    """Legal other forms with a name, in the order in which their edits are made."""
    numbers: tuple[NumberForm, ...] = ()
    """Legal other forms that are a number; their edits are made after those of ``variants``."""
    sources: tuple[str, ...] = ()
    """Papers and code that the sheet follows."""
    claims: tuple[Claim, ...] = ()
    """Its own claims, beside the generic ones."""
    case_count: int = 50
    quorum: tuple[Quorum, ...] = ()
    """What some case must have, so that agreement with the reference means something."""
    classes: tuple[str, ...] = ()
    """Names of published module classes of it."""
    shared_classes: tuple[str, ...] = ()
    """Names of classes that are this component only where their constructor takes the sizes in ``told_by``."""
    told_by: tuple[str, ...] = ()
    """Sizes that tell such a class from another component of the same name."""
    joined: tuple[Joined, ...] = ()
    """Learned tensors that modules also keep in one."""
    size_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """How published constructors and configurations name its sizes."""
    forward_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What published modules of it take beside the input (masks, tables of a rotation), by what each is."""
    inside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """For each part, its parameters under this contract's names: ``{"norm": {"weight": "norm_1_weight"}}``."""
    part_forms: Mapping[str, str] = field(default_factory=dict)
    """For a part, the legal forms that it has inside this: ``{"norm": "unit_offset"}``."""
    roundings: tuple[Any, ...] = ()
    """Edits that move one constant of the reference by one float32 unit. Code that keeps it in float32 is right."""
    tables_in_float32: bool = False
    """Whether code that keeps tables of angles in float32 is right: misses within float32 rounding are judged in it."""
    dialects: tuple[Dialect, ...] = ()
    """How published projects spell it."""
    measures: tuple[Measure, ...] = ()
    """Informational measurements."""
    workloads: tuple[Workload, ...] = ()
    """What is timed."""
    whole: WholeModel | None = None
    """Another component whose modules have this one too."""
    composed: Callable[[Mapping[str, Any]], Iterator[Composition]] | None = None
    """From what a module of the implementation holds, by name, to the ways in which these may be this component."""

    @property
    def is_function(self) -> bool:
        """Whether its calls stand alone: nothing is built first."""
        return "build" not in self.calls

    @property
    def has_biases(self) -> bool:
        """Whether some learned tensor of it is a bias, in its plain form."""

        def among(arguments: Iterable[Argument]) -> bool:
            return any((a.name.endswith("bias") and not a.by_name) or among(a.fields) for a in arguments)

        return among(self.arguments("parameter"))

    @property
    def returns_objects(self) -> bool:
        """Whether harness steps must inspect what it returns; it cannot be compared as it is."""
        return any(signature.objects for signature in self.calls.values())

    def arguments(self, role: str) -> list[Argument]:
        """Every argument with this role, over all calls."""
        return [a for signature in self.calls.values() for a in signature.arguments if a.role == role]

    @property
    def legal(self) -> LegalForms:
        """Its legal other forms, by name and by axis."""
        return LegalForms(self.name, self.variants, self.numbers)

    def without_axes(self, axes: Collection[str]) -> Contract:
        """The same contract without the forms on these axes (the empty axis: those that have none)."""
        variants = tuple(v for v in self.variants if v.axis not in axes)
        return replace(self, variants=variants, numbers=tuple(n for n in self.numbers if n.axis not in axes))
