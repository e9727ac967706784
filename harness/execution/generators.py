"""The global random generators that such code may draw from: their state, whether it changed, and the way back.

numpy takes 60 microseconds to tell or to take the state of its generator, several times as long as a small component
takes to run. Its memory is compared instead, at the address that numpy publishes. The state is told where that has
changed, or is not what is expected. (A second normal number that numpy keeps from a pair is no part of that memory; a
state that has one is told every time.)
"""

from __future__ import annotations

import ctypes
import random
from typing import Any, NamedTuple

import numpy
import torch

from harness.core.implementation import Effect, EffectKind

LENGTH = 624 * 4 + 4
"""Bytes of the state of numpy's usual generator: 624 words, and an int that says which is next."""
KEPT_NORMAL = "has_gauss"
"""Where the state of numpy's generator says whether it keeps a normal number."""

_usable: dict[int, bool] = {}
"""By address, whether the memory there was found to be the state of numpy's generator."""
_told: dict[bytes, Any] = {}
"""The latest state without a kept normal number that numpy told, by the memory."""


class Generators(NamedTuple):
    """The state of every global random generator that such code may draw from.

    ``memory``: that of numpy's, empty where it does not tell its state. ``numpy``: its state; None where the memory
    is all that is needed.
    """

    torch: torch.Tensor
    memory: bytes
    numpy: Any
    python: Any

    @classmethod
    def now(cls) -> Generators:
        """Their state at this moment (of torch, the generator of the CPU), to be brought back later."""
        memory = _memory()
        return cls(torch.get_rng_state(), memory, _told.get(memory) or _tell(memory), random.getstate())

    @classmethod
    def seeded(cls) -> Generators:
        """Their state at this moment, to be compared. No generator keeps a normal number: it was just seeded."""
        memory = _memory()
        return cls(torch.get_rng_state(), memory, None if memory else _tell(memory), random.getstate())

    def restore(self, at: Generators | None = None) -> None:
        """Bring them back to this state. ``at``: the state that they were seeded to, which they may still be in."""
        torch.set_rng_state(self.torch)
        random.setstate(self.python)
        if at is not None and self.memory and self.memory in _told and at.memory == _memory():
            _write(self.memory)
        else:
            numpy.random.set_state(self.numpy)

    def changed(self) -> list[Effect]:
        """Which of them have another state now."""
        now = Generators.seeded()
        numpy_is_same = self.memory == now.memory if self.memory else _is_same(self.numpy, now.numpy)
        names = [
            ("torch's", torch.equal(self.torch, now.torch)),
            ("numpy's", numpy_is_same),
            ("Python's", self.python == now.python),
        ]
        texts = [f"{name} random generator was advanced or reseeded" for name, same in names if not same]
        return [Effect(EffectKind.GENERATOR, text) for text in texts]


def seed_all() -> Generators:
    """Let every generator start from the same seed. Returns the state that they are in then."""
    torch.default_generator.manual_seed(0)  # torch.manual_seed keeps a formatted stack for devices not yet initialised
    numpy.random.seed(0)
    random.seed(0)
    return Generators.seeded()


def _address() -> int:
    """Where the state of numpy's generator stands in memory; 0 where that is not known."""
    generator = numpy.random.mtrand._rand._bit_generator
    if type(generator) is not numpy.random.MT19937:
        return 0
    address: int = generator.ctypes.state_address
    if address not in _usable:
        state: Any = numpy.random.get_state(legacy=False)
        words = numpy.asarray(state["state"]["key"], dtype=numpy.uint32)
        at = numpy.asarray(state["state"]["pos"], dtype=numpy.int32)
        _usable[address] = ctypes.string_at(address, LENGTH) == words.tobytes() + at.tobytes()
    return address if _usable[address] else 0


def _memory() -> bytes:
    address = _address()
    return ctypes.string_at(address, LENGTH) if address else b""


def _write(memory: bytes) -> None:
    ctypes.memmove(_address(), memory, LENGTH)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two states that numpy told are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(value, other[name]) for name, value in one.items())
    return bool(numpy.array_equal(one, other))


def _tell(memory: bytes) -> Any:
    """The state of numpy's generator, kept for the next time if the memory tells all of it."""
    state: Any = numpy.random.get_state(legacy=False)
    if memory and not state[KEPT_NORMAL]:
        _told.clear()
        _told[memory] = state
    return state
