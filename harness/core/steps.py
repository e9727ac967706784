"""What an implementation computed on the way: the trace of a run, and values that are put in the place of others.

A request asks for a trace (``Request.trace``) and carries replacements (``Request.replacements``); the answer holds the
steps. Both are plain data, so that an implementation may live in another process.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Place:
    """An expression in a file: lines from 1, columns from 0 in bytes (``end_column`` is the first behind it).

    Columns are -1 where the Python that ran does not know them (before 3.11). ``function``: the first line of the
    function that it stands in.
    """

    file: str
    line: int
    end_line: int
    column: int = -1
    end_column: int = -1
    function: int = 0


Spot = tuple[str, int, int]
"""One instruction of the implementation's files: file, first line of its function, offset of the instruction."""


@dataclass(frozen=True)
class Site:
    """Where an operation stands, told from every other: the instructions of the call stack, innermost last.

    ``inner``: what tells several operations of a library apart that one instruction calls.
    """

    stack: tuple[Spot, ...]
    inner: tuple[int, ...] = ()

    @property
    def loose(self) -> Site:
        """The same operation wherever its function is called from."""
        return Site(self.stack[-1:], self.inner)


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of a run and its results.

    ``turn``: how often its site was reached before. ``inputs``: indices of the steps whose results it read, -1 for what
    no step made (an argument), and ``read`` these tensors (no copies). ``values``: copies of its results as of then,
    None for what is no tensor; of an operation that writes to a tensor, that tensor. ``grows``: for each result,
    whether gradients flow through it; ``reads_gradient``: whether they flow through any input.
    """

    site: Site
    turn: int
    place: Place
    name: str
    inputs: tuple[int, ...]
    values: tuple[torch.Tensor | None, ...]
    read: tuple[torch.Tensor, ...] = ()
    grows: tuple[bool, ...] = ()
    reads_gradient: bool = False
    outer: tuple[Place, ...] = ()
    """Where the functions were called that it stands in, the innermost first."""


@dataclass(frozen=True, eq=False)
class Replacement:
    """Results of one site that are replaced by others, and the implementation goes on with these.

    ``values``: for each turn the tensor that takes the place of result number ``result`` (None leaves it alone; turns
    beyond the last are left alone). A site of one instruction alone stands for all calls of its function. ``order``:
    instead, the results of each call in this order. ``attached``: instead, gradients flow through the operation,
    whatever it does to stop them.
    """

    site: Site
    result: int = 0
    values: tuple[torch.Tensor | None, ...] = ()
    order: tuple[int, ...] = ()
    attached: bool = False
    argument: int = -1
    """Of these tensors that the operation reads, instead of a result."""
