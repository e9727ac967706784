"""A rubric: points, weights, limits, and what a student sees. Read from TOML."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError, did_you_mean
from harness.core.forms import ANY_NUMBER, as_number, names_in
from harness.core.hint import Hint
from harness.grading.checks import Checks
from harness.isolation.level import Level

if sys.version_info >= (3, 11):
    import tomllib
else:  # a dependency of pytest
    import tomli as tomllib

EFFORTS = ("quick", "default", "thorough")
ISOLATIONS = tuple(level.value for level in Level)
HINTS = tuple(level.value for level in Hint)
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")
OURS = ("reference_model", "specs", "harness")
ANY = "any"


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds are wall time, MB are 10^6 bytes."""

    seconds: float = 600.0
    """In total, restarts included."""
    check_seconds: float = 120.0
    """Per check; beyond it the process is killed, and a new one continues."""
    case_seconds: float = 10.0
    """Per case of a check (``--impl-timeout``); the import has twice that."""
    memory_mb: float = 4096.0
    """Of all its processes together, memory shared with the fork server aside."""
    file_mb: float = 64.0
    output_mb: float = 16.0
    processes: int = 64
    restarts: int = 5
    """New processes for a submission whose process died or was killed."""


@dataclass(frozen=True)
class Part:
    """The points of one component. ``weights``: of its claims, 1 by default."""

    name: str
    points: float
    weights: Mapping[str, float] = field(default_factory=dict)
    all_or_nothing: bool = False
    required: tuple[str, ...] = ()
    variant: str = ""
    """The legal variant that the assignment asks for: judged as if it were declared."""
    variants: tuple[str, ...] | None = None
    """The variants that a submission may declare; None: all legal ones."""
    visibility: str = ""


@dataclass(frozen=True)
class Rubric:
    """See docs/GRADING.md, which has every key."""

    parts: tuple[Part, ...]
    title: str = "Grades"
    effort: str = "default"
    seed: int | None = None
    hints: str = "finding"
    entry: str = ""
    forbidden: tuple[str, ...] = OURS
    visibility: str = "visible"
    limits: Limits = Limits()
    isolation: str = "none"
    """Where a submission's code runs: in the process that judges it, or how far apart from that."""

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    @property
    def variant_option(self) -> str:
        """As ``--impl-variant`` takes it."""
        return ",".join(f"{part.name}={part.variant}" for part in self.parts if part.variant)

    def judged_by(self) -> dict[str, Any]:
        """Everything that decides what is judged and how; points and hints do not, but changes must be sought."""
        return {
            "components": self.names,
            "variants": self.variant_option,
            "effort": self.effort,
            "entry": self.entry,
            "forbidden": self.forbidden,
            "limits": asdict(self.limits),
            "isolation": self.isolation,
            "changes": self.hints == Hint.CHANGE,
        }


def read(path: Path, checks: Checks) -> Rubric:
    """The rubric in a file. Raises UsageError naming the key or value that is wrong, and the nearest right one."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"--rubric: {path} cannot be read: {error.strerror}; plumbline grade --example-rubric prints one"
        ) from None
    except ValueError as error:
        raise UsageError(f"--rubric: {path} is not valid TOML: {error}") from None
    return parse(table, checks, str(path))


def parse(table: Mapping[str, Any], checks: Checks, where: str = "rubric") -> Rubric:
    """The rubric in a table. Raises UsageError as ``read`` does."""
    keys = ("title", "effort", "seed", "hints", "entry", "forbidden", "visibility", "limits", "components", "isolation")
    _known(where, table, keys)
    components = _table(where, "components", table.get("components", {}))
    if not components:
        raise UsageError(
            f"{where}: no component has points; write, for example, "
            f"[components.{next(iter(checks.claims))}] points = 10"
        )
    parts = tuple(_part(where, name, value, checks) for name, value in components.items())
    rubric = Rubric(
        tuple(sorted(parts, key=lambda part: list(checks.claims).index(part.name))),
        title=_string(where, "title", table.get("title", "Grades")),
        effort=_one_of(where, "effort", table.get("effort", "default"), EFFORTS),
        seed=None if "seed" not in table else int(_number(where, "seed", table["seed"], whole=True)),
        hints=_one_of(where, "hints", table.get("hints", "finding"), HINTS),
        entry=_entry(where, table.get("entry", "")),
        forbidden=_strings(where, "forbidden", table.get("forbidden", list(OURS))),
        visibility=_one_of(where, "visibility", table.get("visibility", "visible"), VISIBILITIES),
        limits=_limits(f"{where}, [limits]", _table(where, "limits", table.get("limits", {}))),
        isolation=_one_of(where, "isolation", table.get("isolation", "none"), ISOLATIONS),
    )
    if rubric.points <= 0:
        raise UsageError(f"{where}: the points of all components sum to 0")
    return rubric


def _part(where: str, name: str, value: Any, checks: Checks) -> Part:
    if name not in checks.claims:
        raise UsageError(f"{where}: [components.{name}]: there is no component {name!r}; {_near(name, checks.claims)}")
    here = f"{where}, [components.{name}]"
    table = _table(where, f"components.{name}", value)
    _known(here, table, [f.name for f in fields(Part) if f.name != "name"])
    if "points" not in table:
        raise UsageError(f"{here}: points is missing; write points = 10")
    claims, legal = checks.claims[name], checks.variants.get(name, ())
    weights = {
        _claim(f"{here}, weights", claim, claims): _number(f"{here}, weights", claim, weight)
        for claim, weight in _table(here, "weights", table.get("weights", {})).items()
    }
    if not any(weights.get(claim, 1.0) > 0 for claim in claims):
        raise UsageError(f"{here}, weights: every claim has weight 0")
    own = table.get("variants", ANY)
    return Part(
        name,
        _number(here, "points", table["points"]),
        weights,
        _bool(here, "all_or_nothing", table.get("all_or_nothing", False)),
        tuple(_claim(f"{here}, required", c, claims) for c in _strings(here, "required", table.get("required", []))),
        _variant(here, table["variant"], legal) if "variant" in table else "",
        None if own == ANY else tuple(_variant(here, v, legal) for v in _strings(here, "variants", own)),
        _one_of(here, "visibility", table["visibility"], VISIBILITIES) if "visibility" in table else "",
    )


def _limits(where: str, table: Mapping[str, Any]) -> Limits:
    defaults = asdict(Limits())
    _known(where, table, defaults)
    found = {key: _number(where, key, value, whole=isinstance(defaults[key], int)) for key, value in table.items()}
    for key, value in found.items():
        if value <= 0 and key != "restarts":
            raise UsageError(f"{where}: {key} must be more than 0, not {value!r}")
    return Limits(**{**defaults, **found})


# single values -------------------------------------------------------------------------------------------------------


def _known(where: str, table: Mapping[str, Any], keys: Iterable[str]) -> None:
    for key in table:
        if key not in keys:
            raise UsageError(f"{where}: there is no key {key!r}; {_near(key, keys)}")


def _near(name: str, names: Iterable[str]) -> str:
    listed = list(names)
    return did_you_mean(name, listed) or f"there are: {', '.join(listed)}"


def _table(where: str, key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: {key} must be a table, [{key}], not {value!r}")
    return value


def _string(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key} must be a string in quotation marks, not {value!r}")
    return value


def _strings(where: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f'{where}: {key} must be a list of strings, ["...", "..."], not {value!r}')
    return tuple(value)


def _bool(where: str, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {key} must be true or false, not {value!r}")
    return value


def _number(where: str, key: str, value: Any, whole: bool = False) -> Any:
    fine = isinstance(value, int) or (isinstance(value, float) and not whole)
    if not fine or isinstance(value, bool) or not 0 <= value < 1e18:
        raise UsageError(f"{where}: {key} must be a {'whole ' if whole else ''}number of at least 0, not {value!r}")
    return value if whole else float(value)


def _one_of(where: str, key: str, value: Any, legal: Iterable[str]) -> str:
    if value not in legal:
        raise UsageError(f"{where}: {key} must be one of {', '.join(legal)}, not {value!r}; {_near(str(value), legal)}")
    return str(value)


def _claim(where: str, name: str, claims: Iterable[str]) -> str:
    if name not in claims:
        raise UsageError(f"{where}: there is no claim {name!r}; {_near(name, claims)}")
    return name


def _variant(where: str, name: Any, legal: Iterable[str]) -> str:
    for form in names_in(str(name)) or [str(name)]:
        axis, equals, number = form.partition("=")
        if form not in legal and not (equals and f"{axis}{ANY_NUMBER}" in legal and as_number(number) is not None):
            raise UsageError(
                f"{where}: there is no legal variant {form!r}; {_near(form, legal) if legal else 'it has none'}"
            )
    return str(name)


def _entry(where: str, value: Any) -> str:
    name = _string(where, "entry", value)
    if name and (Path(name).is_absolute() or ".." in Path(name).parts):
        raise UsageError(f"{where}: entry must be a file inside each submission, like mymodel.py, not {name!r}")
    return name
