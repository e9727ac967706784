"""Which positions of its input one row of logits depends on: in training by the graph of the loss, in evaluation by a
second call of the model."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.execution.environment import restored
from harness.training.events import Event, LossComputed, OptimizerStepped
from harness.training.grids import as_rows, counted_positions, share_of_shift, tensors_in, token_ids
from harness.training.observations import RandomInEvaluation, SeenAhead, SeenAheadIn
from harness.training.probes._recording import Recorder, Result, first_ahead, seen_by
from harness.training.session import Embedded, PendingLoss, Session, Watcher

PROBED_STEPS = 2
"""In so many training steps."""


class Rerun(NamedTuple):
    """What came of one more call of the model."""

    output: Any
    losses: list[torch.Tensor]
    embedded: list[Embedded]
    results: list[Result]

    def logits(self, shape: tuple[int, ...]) -> torch.Tensor | None:
        """Those that a cross-entropy in the model got, else those in its output; None where there are none."""
        return self.losses[-1] if self.losses else _logits_in(self.output, shape)


class Ahead(Watcher):
    """Takes gradients of single rows of logits with respect to the embedded ids."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._probed: set[int] = set()
        self._recorder: Recorder | None = None
        self._wanted = False
        self._entered = ExitStack()

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.session.before_backward.append(self._before_backward)
        self.session.listeners.append(self._next_step)
        stack.callback(self._stop_recording)

    def _before_backward(self, loss: torch.Tensor | None) -> None:
        session = self.session
        pending = next((one for one in reversed(session.losses) if one.event.gradient), None)
        if pending is None or pending.embedding is None or session.model_in_use is None:
            return
        self._locate(pending)
        if session.done >= PROBED_STEPS or session.done in self._probed:
            return
        self._probed.add(session.done)
        training = session.model_in_use.training
        self._probe(as_rows(pending.logits), pending.embedding, pending.event, training)
        if training and not session.done:
            self._in_evaluation(pending.event)

    def _in_evaluation(self, loss: LossComputed) -> None:
        """Call the model again in evaluation mode: what a row of logits depends on, and whether anything is random."""
        session = self.session
        if session.last_call is None:
            return
        module, arguments, options, _ = session.last_call
        modes = [(part, part.training) for part in session.tree.root(module).modules()]
        with restored(), torch.enable_grad():
            try:
                for part, _ in modes:
                    part.training = False
                results = [self._rerun(module, arguments, options, seed) for seed in (1, 2)]
                rows = results[0].logits(loss.logits)
                found = token_ids([(e.ids, e.output) for e in results[0].embedded], loss.logits[0])
                if found is not None and rows is not None:
                    self._probe(rows, found[1], loss, False)
                self._compare(results[0], results[1], loss)
            finally:
                for part, was in modes:
                    part.training = was

    def _rerun(self, module: nn.Module, arguments: Any, options: Any, seed: int) -> Rerun:
        session = self.session
        torch.manual_seed(seed)
        before, recorder = session.embedded, Recorder(session.places)
        session.is_rerun, session.rerun_logits, session.embedded = True, [], []
        try:
            with recorder:
                output = module(*arguments, **options)
            return Rerun(output, session.rerun_logits, session.embedded, recorder.results)
        finally:
            session.is_rerun, session.embedded = False, before

    def _compare(self, one: Rerun, other: Rerun, loss: LossComputed) -> None:
        """Whether two calls with the same input and other random numbers gave the same logits."""
        first, second = one.logits(loss.logits), other.logits(loss.logits)
        if first is None or second is None or torch.allclose(first, second, rtol=1e-3, atol=1e-5):
            return
        pairs = zip(one.results, other.results, strict=False)
        place = next((a.place for a, b in pairs if not torch.equal(a.tensor, b.tensor)), loss.at)
        difference = float((first - second).detach().abs().max())
        self.session.emit(RandomInEvaluation, at=place, difference=difference)

    def _probe(self, rows: torch.Tensor, embedding: torch.Tensor, event: LossComputed, training: bool) -> None:
        if not (rows.requires_grad and embedding.requires_grad) or event.targets is None or event.ids is None:
            return
        root = self.session.tree.root(self.session.model_in_use) if self.session.model_in_use is not None else None
        mixes = root is not None and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in root.modules())
        batch, _ = event.targets.shape
        shift = next(
            (s for s in (1, 0, 2, -1) if share_of_shift(event.targets, event.ids, s, event.ignore_index) > 0.9), 0
        )
        known = share_of_shift(event.targets, event.ids, shift, event.ignore_index) > 0.9
        for position in counted_positions(event.targets[0], event.ignore_index):
            row = rows[position * batch if event.time_major else position]
            seen = seen_by(row, embedding, event.time_major)
            if seen is not None:
                values = {"position": position, "target": position + shift if known else -1, "seen": seen[0]}
                values |= {"length": int(event.ids.shape[1]), "other_rows": seen[1], "mixes": mixes}
                self.session.emit(SeenAhead, at=event.at, training=training, **values)

    def _next_step(self, event: Event) -> None:
        """Record what the next forward pass computes, where this one's looked ahead."""
        if isinstance(event, SeenAhead) and event.training and (event.seen > event.position or event.other_rows):
            self._wanted = True
        if not isinstance(event, OptimizerStepped):
            return
        self._stop_recording()
        if self._recorder is None and self._wanted:
            self._recorder = Recorder(self.session.places)
            self._entered.enter_context(self._recorder)
            self._wanted = False

    def _stop_recording(self) -> None:
        """Not inside a backward pass, which is a function of torch itself: the mode is off while one runs."""
        if self._recorder is not None and not self._recorder.is_paused():
            self._entered.close()
            self._recorder = None

    def _locate(self, pending: PendingLoss) -> None:
        """The first operation whose result at one position depends on later ones."""
        recorder = self._recorder
        if recorder is None:
            return
        found = None
        if pending.embedding is not None and recorder.results:
            found = first_ahead(recorder.results, pending.embedding)
        recorder.finish()
        if found is not None:
            place, has_mask = found
            self.session.emit(SeenAheadIn, at=place, has_mask=has_mask)


def _logits_in(output: Any, shape: tuple[int, ...]) -> torch.Tensor | None:
    for tensor in tensors_in(output):
        if tensor.dim() > 1 and tensor.shape[-1] == shape[1] and tensor.numel() == shape[0] * shape[1]:
            return tensor.reshape(shape)
    return None


PROBE = Ahead
