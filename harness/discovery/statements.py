"""What the statements at the top of a module do, seen from their text: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

TRAINS = frozenset({"backward", "zero_grad", "step", "fit", "train_step", "training_step"})
"""Methods of training."""
PARSES = frozenset({"parse_args", "parse_known_args", "parse_args_into_dataclasses", "input", "getpass"})
ENDS = frozenset({"exit", "quit"})
FETCHES = frozenset(
    {"load_dataset", "urlopen", "urlretrieve", "hf_hub_download", "snapshot_download", "init_process_group"}
)
FETCHERS = frozenset({"requests", "wandb", "subprocess", "urllib", "drive", "nltk", "gdown"})
"""Modules whose functions reach out of the process."""
READS = frozenset(
    {
        *("open", "load", "memmap", "fromfile", "loadtxt", "genfromtxt", "read_csv", "read_json", "read_parquet"),
        *("read_text", "read_bytes", "from_pretrained", "save", "savez", "savefig", "dump", "to_csv", "write_text"),
        *("exec", "system"),
    }
)
SHOWS = frozenset({"print", "pprint", "display", "show", "plot", "tqdm", "info", "summary", "get_ipython"})

ACTS = TRAINS | PARSES | ENDS | FETCHES
"""Calls that make a script of the file whose statements make them."""
UNWANTED = ACTS | READS | SHOWS
"""Calls that are not made where a script is lifted."""

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)


def calls(node: ast.AST, inside: bool = False) -> Iterator[ast.Call]:
    """The calls that a statement makes. ``inside``: also those of the functions that it defines."""
    waiting: list[ast.AST] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.Call):
            yield one
        for child in ast.iter_child_nodes(one):
            if inside or not isinstance(child, (*DEFINITIONS, ast.Lambda)):
                waiting.append(child)


def called(call: ast.Call) -> str:
    """The last name of what is called: ``backward`` of ``loss.mean().backward()``; "" where it has none."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def root(node: ast.expr) -> str:
    """The first name of an expression: ``torch`` of ``torch.nn.Linear(3, 4).weight``; "" where it has none."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")


def loaded(node: ast.AST, inside: bool = True) -> set[str]:
    """The names that are read, but for those of comprehensions.

    Without ``inside``: those that are read at once, not in functions that are only defined.
    """
    found: set[str] = set()
    own: set[str] = set()
    waiting: list[ast.AST] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            found.add(one.id)
        if isinstance(one, ast.comprehension):
            own |= {name.id for name in ast.walk(one.target) if isinstance(name, ast.Name)}
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not inside:
            waiting += [*one.args.defaults, *(d for d in one.args.kw_defaults if d is not None)]
            waiting += [] if isinstance(one, ast.Lambda) else [*one.decorator_list, *_annotations(one)]
        else:
            waiting += ast.iter_child_nodes(one)
    return found - own


def _annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    a = function.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    found = [one.annotation for one in every if one.annotation is not None]
    return [*found, function.returns] if function.returns is not None else found


def is_main_guard(statement: ast.stmt) -> bool:
    """Whether it is ``if __name__ == "__main__":``."""
    return isinstance(statement, ast.If) and "__name__" in loaded(statement.test)


class Definitions:
    """The functions and classes at the top of a module.

    ``modules``: classes that are torch modules, which cost time and memory to build. ``acting``: functions that train,
    read arguments or end the program, themselves or through another.
    """

    def __init__(self, body: Iterable[ast.stmt]) -> None:
        every = [node for statement in body for node in _defined(statement)]
        self.functions = {node.name: node for node in every if not isinstance(node, ast.ClassDef)}
        self.classes = {node.name: node for node in every if isinstance(node, ast.ClassDef)}
        self.modules = self._modules()
        self.acting = self._acting()

    def _modules(self) -> set[str]:
        found: set[str] = set()
        for _ in self.classes:
            more = {n for n, c in self.classes.items() if any(_is_module_base(base, found) for base in c.bases)}
            if more == found:
                break
            found = more
        return found

    def _acting(self) -> set[str]:
        found = {name for name, node in self.functions.items() if any(is_acting(c, ()) for c in calls(node))}
        while True:
            more = {n for n, node in self.functions.items() if any(called(c) in found for c in calls(node))} - found
            if not more:
                return found
            found |= more

    def are_called_in(self, node: ast.AST) -> bool:
        """Whether a statement calls one of the functions, or builds one of the classes."""
        return any(called(c) in self.functions or called(c) in self.classes for c in calls(node))


def _defined(statement: ast.stmt) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    if isinstance(statement, DEFINITIONS):
        yield statement
    elif not is_main_guard(statement):
        for part in ("body", "orelse", "finalbody"):
            for inner in getattr(statement, part, ()):
                yield from _defined(inner)


def _is_module_base(base: ast.expr, known: Iterable[str]) -> bool:
    name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    return name in known or name in ("Module", "PreTrainedModel", "LightningModule", "ModuleList", "Sequential")


def is_acting(call: ast.Call, acting: Iterable[str]) -> bool:
    """Whether a call trains, reads arguments, fetches something or ends the program. ``acting``: functions that do."""
    name = called(call)
    method = isinstance(call.func, ast.Attribute)
    if name in TRAINS:
        return method
    if name in acting:
        return not method
    return name in PARSES | ENDS | FETCHES or (method and root(call.func) in FETCHERS)


def is_script(body: Iterable[ast.stmt], own: Definitions) -> bool:
    """Whether importing a file would train, read arguments, fetch something or end the program."""
    for statement in body:
        if isinstance(statement, DEFINITIONS) or is_main_guard(statement):
            continue
        if any(is_acting(call, own.acting) for call in calls(statement)):
            return True
    return False
