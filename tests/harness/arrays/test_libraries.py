"""Tensors cross to NumPy and JAX and back with their numbers, shapes and dtypes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy
import pytest
import torch

from harness.arrays.libraries import Jax, Numpy, _keep_compiled
from harness.core.claim import NotSupported

DTYPES = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [Numpy, Jax])
def test_there_and_back(kind: type[Numpy], dtype: torch.dtype) -> None:
    """Of every shape: none, empty, strided, expanded."""
    arrays, whole = kind(), torch.arange(12).reshape(3, 4).to(dtype)
    with arrays.scope(True):
        for tensor in (whole, whole[0, 0], whole[:0], whole.T, whole[:, ::2], whole[:1].expand(3, 4)):
            back = arrays.give(arrays.take(tensor))
            assert back.dtype == dtype and torch.equal(back, tensor)


def test_bfloat16() -> None:
    """JAX has it, numpy has not."""
    tensor = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    assert torch.equal(Jax().give(Jax().take(tensor)), tensor)
    with pytest.raises(NotSupported, match="bfloat16"):
        Numpy().take(tensor)


def test_numpy_shares_memory() -> None:
    """A write into an argument, and one into what was returned, show as they would in torch."""
    tensor = torch.zeros(3)
    Numpy().take(tensor)[0] = 1.0
    assert tensor[0] == 1
    array = numpy.zeros(3)
    back = Numpy().give(array)
    array[0] = 1.0
    assert back[0] == 1


def test_what_is_no_array_stays() -> None:
    """The form check tells; numpy's own scalars are arrays without axes."""
    for value in (1.5, "text", None, [1.0], numpy.array(["text"]), numpy.ma.array([1.0])):
        assert Numpy().give(value) is value
    scalar = Numpy().give(numpy.float32(1.5))
    assert scalar.dtype == torch.float32 and scalar.shape == ()
    assert torch.equal(Numpy().give(numpy.arange(3.0)[::-1]), torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
    assert torch.equal(Numpy().give(numpy.array([1, 2], ">i4")), torch.tensor([1, 2], dtype=torch.int32))


def test_float64_is_had_only_where_it_is_asked_for() -> None:
    """A float32 case is not widened, and JAX is left as it was."""
    before = jax.config.jax_enable_x64
    arrays = Jax()
    with arrays.scope(True):
        assert jax.numpy.zeros(1).dtype == "float64" and arrays.take(torch.zeros(1, dtype=torch.int64)).dtype == "int64"
    assert jax.config.jax_enable_x64 == before
    if not before:
        with arrays.scope(False):
            assert (
                jax.numpy.zeros(1).dtype == "float32"
                and arrays.take(torch.zeros(1, dtype=torch.int64)).dtype == "int32"
            )


def test_what_no_gradient_can_reach_has_none() -> None:
    """Behind ``stop_gradient``, inside ``jax.jit`` too; a zero that was reached is a zero."""
    values = {name: jax.numpy.ones(3) for name in ("x", "stopped", "times_zero", "unused")}

    @jax.jit
    def inner(given):
        return given["x"] * jax.lax.stop_gradient(given["stopped"]) + 0.0 * given["times_zero"]

    found = Jax().slopes(lambda given: [inner(given)], values, [jax.numpy.full(3, 2.0)])
    assert found["stopped"] is None and found["unused"] is None
    assert found["x"].tolist() == [2.0] * 3 and found["times_zero"].tolist() == [0.0] * 3


def test_what_is_compiled_is_kept_where_nobody_else_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where the person keeps it already, and not in a folder that others may write to, or that is a link."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))

    def kept(before: str | None = None) -> dict[str, object]:
        said: dict[str, object] = {}
        config = SimpleNamespace(jax_compilation_cache_dir=before, update=said.__setitem__)
        _keep_compiled.__wrapped__(SimpleNamespace(config=config))
        return said

    assert kept("/somewhere") == {} and not list(tmp_path.iterdir())
    assert str(kept()["jax_compilation_cache_dir"]).startswith(str(tmp_path))
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)
    assert kept() == {}
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert kept() == {}
