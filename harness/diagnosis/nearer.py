"""Legal forms that bring the answers nearer, one after the other: where more of them differ than can be tried at once.

Sets of six forms are too many to try them all. But each form that is meant brings some answers nearer, most of them by
far; and an answer that does not depend on the forms that are still missing is then the implementation's own. So sets
grow by one form at a time, and those that are nearest on a small sample grow on. Whether a set explains every answer
is for the caller to say.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.core.mistake import KnownMistake
from harness.diagnosis.forms import Candidate, place_of
from harness.diagnosis.matching import SLACK, EditedReference, Observation, apart, has_no_place, misfit

Forms = tuple[KnownMistake, ...]
Orders = tuple[float, ...]
"""How far each answer of a sample is off, in orders of magnitude of its tolerance."""

GROWING = 3
"""Sets that grow on, the nearest ones."""
MOST = 8
"""Forms of one set at most, beside those that were found in the parts."""
GAIN = 0.02
"""A form must bring the sample nearer by this many orders of magnitude, on average."""
SAMPLE = 4
ROUNDS = 3
FARTHEST = 20.0
EXPLAINED = math.log10(SLACK)


def that_explain(
    found: Sequence[Candidate],
    bases: Sequence[Forms],
    made: Callable[[Forms], EditedReference | None],
    explains: Callable[[Forms], bool],
    order: Sequence[Observation],
    seconds: float,
) -> Forms:
    """The legal forms that explain all answers, none that could be left out; empty where none are found in time.

    A wrong answer that a set leaves unexplained joins the sample by which the next one is found.
    """
    deadline = time.thread_time() + seconds
    sample, growing = sample_of(order), list(bases)
    for _ in range(ROUNDS if sample else 0):
        chosen = next(that_come_nearer(found, growing, made, sample, deadline), ())
        for form in chosen:
            rest = tuple(other for other in chosen if other is not form)
            chosen = rest if rest and explains(rest) else chosen
        if not chosen or explains(chosen):
            return chosen
        edited = made(chosen)
        left = (o for o in order if o.wrong and edited is not None and misfit(edited.run(o), o, edited) is None)
        sample, growing = [*sample, *itertools.islice(left, 1)], [*growing, chosen]
    return ()


def sample_of(order: Sequence[Observation]) -> list[Observation]:
    """A few wrong answers, cheap and dear ones: forward passes that returned numbers."""
    plain = [
        o
        for o in order
        if o.request.gradients is None and o.answer.crash is None and o.reference.crash is None and o.wrong
    ]
    places = {n * (len(plain) - 1) // (SAMPLE - 1) for n in range(SAMPLE)} if plain else set()
    return [plain[place] for place in sorted(places)]


def that_come_nearer(
    found: Sequence[Candidate],
    bases: Iterable[Forms],
    made: Callable[[Forms], EditedReference | None],
    sample: Sequence[Observation],
    deadline: float,
) -> Iterator[Forms]:
    """Sets of forms that explain a sample, those of fewer forms first.

    ``bases``: sets that may grow. ``made``: the reference in these forms, None where they cannot be made together.
    ``deadline``: in processor seconds of this thread.
    """
    growing = [(base, off) for base in bases if (off := _off(made(base), sample, None)) is not None]
    for _ in range(MOST):
        grown: dict[frozenset[str], tuple[Forms, Orders]] = {}
        for base, before in growing:
            for forms, off in _grown(base, before, found, made, sample):
                grown.setdefault(frozenset(form.full_name for form in forms), (forms, off))
                if time.thread_time() > deadline:
                    return
        nearest = sorted(grown.values(), key=lambda pair: sum(pair[1]))
        yield from (forms for forms, off in nearest if max(off) <= EXPLAINED)
        explains_more = nearest and _explained(nearest[0][1]) > max(_explained(off) for _, off in growing)
        growing = nearest[: 1 if explains_more else GROWING]
        if not growing:
            return


def _grown(
    base: Forms,
    before: Orders,
    found: Sequence[Candidate],
    made: Callable[[Forms], EditedReference | None],
    sample: Sequence[Observation],
) -> Iterator[tuple[Forms, Orders]]:
    """A set with one form more, wherever that brings the sample nearer.

    Where one number changes nothing, the others on its axis do not either.
    """
    settled = {place_of(form) for form in base}
    for candidate in found:
        if candidate.place in settled:
            continue
        forms = (*base, candidate.form)
        off = _off(made(forms), sample, before)
        if off is None:
            continue
        if off == before and "=" in candidate.form.variant:
            settled.add(candidate.place)
        if sum(off) < sum(before) - GAIN * len(before):
            yield forms, off


def _off(reference: EditedReference | None, sample: Sequence[Observation], before: Orders | None) -> Orders | None:
    """How far the answers are off; a case that the forms refuse is as far off as ``before``. None for no reference."""
    if reference is None:
        return None
    off = []
    for n, o in enumerate(sample):
        predicted = reference.run(o)
        if has_no_place(predicted, o):
            off.append(before[n] if before is not None else FARTHEST)
        else:
            ratio = apart(predicted, o)
            off.append(min(math.log10(max(ratio, 1.0)), FARTHEST) if ratio == ratio else FARTHEST)
    return tuple(off)


def _explained(off: Orders) -> int:
    return sum(one <= EXPLAINED for one in off)
