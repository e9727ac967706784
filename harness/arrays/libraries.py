"""How arrays of each library are made of torch tensors, read back, and differentiated.

MLX and CuPy go the same way as NumPy and JAX, where they are installed; they need hardware that our own tests do not
have, so their few lines are untested.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy
import torch

from harness.core.claim import NotSupported


class Torch:
    """Tensors as they are; their history is left out, for a hand-written backward function is judged."""

    name, title, how = "torch", "PyTorch", ""
    wait: Callable[[Any], Any] | None = None
    """Where what is returned may still be being computed: waits for it, and returns it."""

    def scope(self, wide: bool) -> AbstractContextManager[Any]:
        return nullcontext()

    def take(self, tensor: torch.Tensor) -> Any:
        return tensor.detach()

    def give(self, value: Any) -> Any:
        """The tensor with the numbers of an array of theirs; anything else as it is, for the form check to tell."""
        return value

    def slopes(
        self, forward: Callable[[dict[str, Any]], list[Any]], values: dict[str, Any], incoming: list[Any]
    ) -> Any:
        """The gradients of ``values`` by the library's own differentiation. Raises NotSupported where it has none."""
        raise NotSupported("it gives no gradients")

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As a program would use it that calls it many times."""
        return function


class Numpy(Torch):
    """NumPy arrays that share memory with the tensors, both ways: a write of theirs shows as it would in torch."""

    name, title = "numpy", "NumPy"

    def take(self, tensor: torch.Tensor) -> Any:
        if tensor.dtype == torch.bfloat16:
            raise NotSupported("numpy has no bfloat16")
        return tensor.detach().cpu().numpy()

    def give(self, value: Any) -> Any:
        if not (type(value) is numpy.ndarray or isinstance(value, (numpy.number, numpy.bool_))):
            return value
        value = numpy.asarray(value)
        if not value.dtype.isnative:
            value = value.astype(value.dtype.newbyteorder("="))
        if not value.flags.writeable or any(step < 0 or step % value.itemsize for step in value.strides):
            value = value.copy()
        try:
            return torch.from_numpy(value)
        except TypeError:  # a dtype that torch has not: text, objects, float128
            return value


SCRIPTS, SCRIPTS_KEPT = count(1), 500
"""Scripts run on JAX, and how many until what JAX keeps compiled in memory is dropped (it drops nothing by itself:
4.6 GB were measured at two thirds of a whole run). What is needed again comes from the disk."""


class Jax(Numpy):
    """JAX arrays. float64 only inside ``enable_x64``, where nothing of a float32 call is widened."""

    name, title, how = "jax", "JAX", "jax.vjp"

    def __init__(self) -> None:
        self.jax = _imported("jax")
        self.wait = self.jax.block_until_ready
        _keep_compiled(self.jax)
        if next(SCRIPTS) % SCRIPTS_KEPT == 0:
            self.jax.clear_caches()

    def scope(self, wide: bool) -> AbstractContextManager[Any]:
        if not wide:
            return nullcontext()
        where = self.jax if hasattr(self.jax, "enable_x64") else importlib.import_module("jax.experimental")
        context: AbstractContextManager[Any] = where.enable_x64(True)
        return context

    def take(self, tensor: torch.Tensor) -> Any:
        tensor = tensor.detach().cpu().contiguous()
        if tensor.dtype == torch.int64 and not self.jax.config.jax_enable_x64:
            tensor = tensor.int()
        try:
            return self.jax.dlpack.from_dlpack(tensor)
        except Exception:  # an empty tensor, a dtype or a layout that an older version does not take
            if tensor.dtype == torch.bfloat16:
                return self.jax.numpy.asarray(tensor.float().numpy()).astype("bfloat16")
            return self.jax.numpy.asarray(tensor.numpy())

    def give(self, value: Any) -> Any:
        if not isinstance(value, self.jax.Array):
            return super().give(value)
        if isinstance(value, self.jax.core.Tracer):
            raise TypeError("it returned a tracer: a value computed inside jax.jit or jax.grad was kept and used later")
        if value.dtype == "bfloat16":
            return torch.from_numpy(numpy.array(value.astype("float32"))).bfloat16()
        try:
            return torch.from_numpy(numpy.array(value))
        except TypeError:  # a key, a dtype that torch has not
            return value

    def slopes(
        self, forward: Callable[[dict[str, Any]], list[Any]], values: dict[str, Any], incoming: list[Any]
    ) -> Any:
        """By ``jax.vjp``. What no gradient can reach (behind ``stop_gradient``) is None, as in torch, and not zeros."""
        reached: set[str] = set()

        def noted(name: str) -> Callable[[Any], Any]:
            """The identity, which notes that a gradient came back through it."""

            def back(_: None, gradient: Any) -> tuple[Any]:
                reached.add(name)
                return (gradient,)

            same: Any = self.jax.custom_vjp(lambda value: value)
            same.defvjp(lambda value: (value, None), back)
            return same  # type: ignore[no-any-return]

        outputs, back = self.jax.vjp(lambda given: forward({n: noted(n)(v) for n, v in given.items()}), values)
        found = back([g.astype(out.dtype) for g, out in zip(incoming, outputs, strict=True)])[0]
        return {name: value if name in reached else None for name, value in found.items()}

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """By ``jax.jit``: traced and compiled once, as a training step is."""
        compiled: Callable[..., Any] = self.jax.jit(function)
        return compiled


class Mlx(Numpy):
    """MLX arrays, copied. Untested."""

    name, title, how = "mlx", "MLX", "mlx.core.vjp"

    def __init__(self) -> None:
        self.core = _imported("mlx.core")
        self.wait = lambda value: (self.core.eval(value), value)[1]

    def take(self, tensor: torch.Tensor) -> Any:
        return self.core.array(super().take(tensor))

    def give(self, value: Any) -> Any:
        return super().give(numpy.array(value) if isinstance(value, self.core.array) else value)

    def slopes(
        self, forward: Callable[[dict[str, Any]], list[Any]], values: dict[str, Any], incoming: list[Any]
    ) -> Any:
        run = lambda *given: forward(dict(zip(values, given, strict=True)))  # noqa: E731
        return dict(zip(values, self.core.vjp(run, list(values.values()), incoming)[1], strict=True))


class Cupy(Numpy):
    """CuPy arrays, copied to the device and back. Untested."""

    name, title = "cupy", "CuPy"

    def __init__(self) -> None:
        self.cupy = _imported("cupy")
        self.wait = lambda value: (self.cupy.cuda.get_current_stream().synchronize(), value)[1]

    def take(self, tensor: torch.Tensor) -> Any:
        return self.cupy.asarray(super().take(tensor))

    def give(self, value: Any) -> Any:
        return super().give(self.cupy.asnumpy(value) if isinstance(value, self.cupy.ndarray) else value)


KINDS: dict[str, type[Torch]] = {kind.name: kind for kind in (Torch, Numpy, Jax, Mlx, Cupy)}


@cache
def _keep_compiled(jax: Any) -> None:
    """What JAX compiles is kept between runs, where the person keeps it nowhere: every operation is compiled for every
    shape of every case, and a second run of one component takes a sixth of the time (measured: 22.5 s, then 3.7 s).

    In a folder of the temporary directory that nobody else may write to; without one, nothing is kept.
    """
    if jax.config.jax_compilation_cache_dir or not hasattr(os, "getuid"):
        return
    folder = Path(tempfile.gettempdir()) / f"plumbline-jax-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.stat(follow_symlinks=False)
        if state.st_uid == os.getuid() and not state.st_mode & 0o022 and folder.is_dir() and not folder.is_symlink():
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    except (OSError, AttributeError):  # a disk that cannot be written to, an older JAX
        return


def _imported(name: str) -> Any:
    """A library that the implementation uses, and so has. Raises NotSupported where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotSupported(f"{name} is not installed here ({error})") from None
