"""``plumbline init``: writes a skeleton in which every component raises NotImplementedError."""

from __future__ import annotations

import argparse
import importlib.util
import keyword
from collections.abc import Mapping
from pathlib import Path

from harness.commands._command import Command, component_of
from harness.commands._skeleton import STYLES, skeleton
from harness.core.contract import Contract
from harness.core.errors import UsageError
from harness.core.whole import models_of
from harness.judging.catalogue import load_catalogue


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline init``."""
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", default="mymodel.py", help="file to write (default: mymodel.py)")
    add("component", nargs="*", metavar="COMPONENT", help="only these components and their parts")
    style = "functions (default), modules (nn.Module) or numpy (with backward functions)"
    model = "a whole model: leave out what only the others are made of"
    add("--model", metavar="MODEL", default="", help=model)
    add("--style", default=STYLES[0], help=style)
    add("--force", action="store_true", help="overwrite the file")


def run(options: argparse.Namespace) -> int:
    """Write the skeleton and print what to do with it."""
    path, names = _target(options)
    known = load_catalogue()
    chosen = {component_of(known, name) for name in names}
    chosen |= {part for name in chosen for part in _below(known.contracts, name)}
    others = _of_others(known.contracts, options.model) if options.model else set()
    contracts = [c for c in known.contracts.values() if (not chosen or c.name in chosen) and c.name not in others]
    try:
        path.write_text(skeleton(contracts, options.style, path.name), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    impl = path.stem if path.parent == Path() else str(path)
    what = f"{len(contracts)} components, all to do" if len(contracts) > 1 else f"{contracts[0].name}, to do"
    print(f"wrote {path}: {what}. Implement them in any order, then check with")
    print(f"    pytest --impl={impl}")
    print("or check at every save with")
    print(f"    plumbline watch {impl}")
    return 0


def _target(options: argparse.Namespace) -> tuple[Path, list[str]]:
    """The file to write and the components asked for. Raises UsageError where the file must not be written."""
    known = load_catalogue()
    file, names = options.file, list(options.component)
    if file in known.contracts:  # plumbline init layer_norm
        file, names = "mymodel.py", [file, *names]
    if options.style not in STYLES:
        raise UsageError(f"there is no style {options.style!r}; --style is one of {', '.join(STYLES)}")
    path = Path(file if file.endswith(".py") else f"{file}.py")
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise UsageError(
            f"{path.name} cannot be imported; use a name of letters, digits and underscores, like mymodel.py"
        )
    hidden = importlib.util.find_spec(path.stem) if path.parent == Path() else None
    if hidden is not None and not path.exists() and hidden.origin != str(path.resolve()):
        raise UsageError(
            f"{path.name} would hide the module {path.stem!r} ({hidden.origin or 'installed'}); "
            "use another name, like mymodel.py"
        )
    if path.exists() and not options.force:
        raise UsageError(f"{path} exists. Use another name (plumbline init other.py), or --force to overwrite it")
    return path, names


def _of_others(contracts: Mapping[str, Contract], model: str) -> set[str]:
    """The other models, what only these are made of, and what a whole model has without another class for it.

    Raises UsageError where there is no such model.
    """
    models = models_of(contracts)
    if model not in models:
        raise UsageError(f"--model is {' or '.join(sorted(models))}, not {model!r}")
    mine = {model} | _below(contracts, model)
    others = {name for other in models for name in {other} | _below(contracts, other)} - mine
    on_models = {c.name for c in contracts.values() if c.whole is not None and not c.is_function}
    return others | on_models


def _below(contracts: Mapping[str, Contract], name: str) -> set[str]:
    parts = set(contracts[name].parts)
    return parts | {deep for part in parts for deep in _below(contracts, part)}


COMMAND = Command("write a skeleton: every component with its signature, to fill in", arguments, run)
