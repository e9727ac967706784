"""Cross-entropies: their logits, targets and ids; and the lookups of embeddings, which show the ids."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch.nn import functional as F

from harness.training.events import LossComputed
from harness.training.grids import as_rows, grid_of, is_reordered, tensors_in, token_ids, turned
from harness.training.session import Embedded, PendingLoss, Session, Watcher

CHUNK = 1 << 21
"""Elements of logits that are taken in float64 at once."""
LOOKUPS = 8
"""So many of the last lookups are remembered."""


class Losses(Watcher):
    """Wraps ``cross_entropy``, ``nll_loss`` and ``embedding`` of ``torch.nn.functional``, which modules call too."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._depth = 0

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, F, "cross_entropy", lambda original: self._loss(original, False))
        self.exchange(stack, F, "nll_loss", lambda original: self._loss(original, True))
        self.exchange(stack, F, "embedding", self._embedding)

    def _embedding(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def embedding(input: Any, weight: Any, *arguments: Any, **options: Any) -> Any:
            output = original(input, weight, *arguments, **options)
            if not torch.compiler.is_compiling() and (self.session.is_on or self.session.is_rerun):
                lookups = self.session.embedded
                lookups.append(Embedded(input, output))
                del lookups[:-LOOKUPS]
            return output

        return embedding

    def _loss(self, original: Callable[..., Any], is_nll: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        def loss(input: Any, target: Any, *arguments: Any, **options: Any) -> Any:
            session = self.session
            watched = session.is_on or session.is_rerun
            if self._depth or not watched or torch.compiler.is_compiling() or not isinstance(input, torch.Tensor):
                return original(input, target, *arguments, **options)
            self._depth += 1
            try:
                result = original(input, target, *arguments, **options)
            finally:
                self._depth -= 1
            given = _options(arguments, options)
            if session.horizon.is_light and result.requires_grad:
                return result
            with session.measuring():
                if session.is_rerun:
                    session.rerun_logits.append(as_rows(input))
                else:
                    self._emit(input, target, result, given, is_nll)
            return result

        return loss

    def _emit(
        self, logits: torch.Tensor, target: torch.Tensor, result: torch.Tensor, given: dict[str, Any], is_nll: bool
    ) -> None:
        if not isinstance(target, torch.Tensor) or target.is_floating_point():
            return
        session, rows = self.session, as_rows(logits)
        ignore, flat = int(given.get("ignore_index", -100)), target.reshape(-1)
        counted = flat != ignore
        found = token_ids([(e.ids, e.output) for e in session.embedded], rows.shape[0])
        probabilities, normalised = _distributions(rows)
        event = session.emit(
            LossComputed,
            value=float(result.detach().double().mean()),
            expected=_expected(rows, flat, counted),
            counted=int(counted.sum()),
            logits=tuple(rows.shape),
            ignore_index=ignore,
            reduction=str(given.get("reduction", "mean")),
            gradient=bool(result.requires_grad),
            smoothing=float(given.get("label_smoothing", 0.0)),
            plain=given.get("weight") is None and not given.get("label_smoothing", 0.0),
            probabilities=probabilities,
            normalised=normalised,
            is_nll=is_nll,
            ids_from=session.origins.of(found[0] if found else None),
            targets_from=session.origins.of(target),
            **_data(flat, found[0] if found else None, ignore),
            **self._model(rows),
        )
        session.losses.append(
            PendingLoss(event, result, logits, *(found[1] if found else None, target, self._given(found)))
        )

    def _given(self, found: tuple[torch.Tensor, torch.Tensor] | None) -> torch.Tensor | None:
        """The ids as the embedding got them."""
        if found is None:
            return None
        return next((e.ids for e in reversed(self.session.embedded) if e.ids.numel() == found[0].numel()), None)

    def _model(self, rows: torch.Tensor) -> dict[str, Any]:
        """What is known of the model that the logits came from."""
        session = self.session
        output = session.last_call[3] if session.last_call is not None and not session.is_in_call else None
        return {
            "training": session.model_in_use.training if session.model_in_use is not None else None,
            "functional_dropout": session.dropout_seen,
            "dropout": session.dropout_at_work,
            "half": half_precision(),
            "root": session.root_number(),
            "called_at": session.called_at,
            "misordered": _is_misordered(rows, output),
        }


def _data(targets: torch.Tensor, given: torch.Tensor | None, ignore: int) -> dict[str, Any]:
    """Ids and targets as (batch, time), and where they come from."""
    if given is None:
        return {"ids": None, "targets": None, "ids_object": 0}
    own = given.detach().cpu().clone()
    ids, grid, time_major = turned(own, grid_of(targets.detach().cpu().clone(), own), ignore)
    return {
        "ids": ids,
        "targets": grid,
        "ids_object": given.data_ptr(),
        "memory": given.untyped_storage().data_ptr(),
        "source": given.untyped_storage().nbytes() // given.element_size(),
        "mark": hashlib.sha1(own.contiguous().numpy().tobytes()).hexdigest(),
        "time_major": time_major,
        "reordered": grid is not None and ids is not None and is_reordered(grid, ids, ignore),
    }


def half_precision() -> str:
    """The 16-bit type of automatic mixed precision, where it is on."""
    for device in ("cuda", "cpu"):
        if torch.is_autocast_enabled(device):
            return str(torch.get_autocast_dtype(device)).removeprefix("torch.")
    return ""


def _options(arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    names = ("weight", "size_average", "ignore_index", "reduce", "reduction", "label_smoothing")
    return {**dict(zip(names, arguments, strict=False)), **options}


def _chunks(rows: torch.Tensor, *beside: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    size = max(1, CHUNK // max(rows.shape[1], 1))
    for start in range(0, rows.shape[0], size):
        yield tuple(one[start : start + size] for one in (rows, *beside))


def _expected(rows: torch.Tensor, targets: torch.Tensor, counted: torch.Tensor) -> float:
    """The mean cross-entropy of the counted targets, in float64."""
    total = 0.0
    for some, wanted, counts in _chunks(rows.detach(), targets, counted):
        logs = some[counts].double().log_softmax(-1)
        total -= float(logs.gather(1, wanted[counts].unsqueeze(1)).sum())
    return total / max(int(counted.sum()), 1)


def _distributions(rows: torch.Tensor) -> tuple[bool, bool]:
    """Whether the first rows are probabilities, and whether they are log-probabilities."""
    some = rows[:64].detach().double()
    near = 1e-2 if rows.dtype in (torch.float16, torch.bfloat16) else 1e-4
    sums = bool(((some.sum(-1) - 1).abs() < near).all()) and bool((some >= 0).all())
    return sums, bool((some.logsumexp(-1).abs() < near).all())


def _is_misordered(rows: torch.Tensor, output: Any) -> bool:
    """Whether the rows hold the model's logits, and not in their order."""
    for out in tensors_in(output):
        if out.shape[-1] == rows.shape[1] and out.numel() == rows.numel() and out.dim() > 1 and out.dtype == rows.dtype:
            straight = out.detach().reshape(-1, rows.shape[1])
            if not torch.equal(straight, rows.detach()):
                return torch.equal(straight.flatten().sort().values, rows.detach().flatten().sort().values)
    return False


WATCHER = Losses
