"""What the implementation raised, as data: its kind, its message with advice, and their own frames."""

from __future__ import annotations

import dis
import traceback

from harness.core.claim import Misfit, NotSupported
from harness.core.errors import CannotMatch
from harness.core.formatting import error_text
from harness.core.implementation import Crash, CrashKind, Phase
from harness.core.library_files import is_own_file
from harness.core.notebook import shown_line
from harness.core.skipped import why_unbound
from harness.execution.error_hints import hint
from harness.execution.misfits import is_refused_by_the_call
from harness.execution.session import Adapter
from harness.execution.time_limit import TimedOut
from harness.stubs import dependencies

KINDS = (
    (Misfit, CrashKind.MISFIT),
    (NotSupported, CrashKind.NOT_SUPPORTED),
    (NotImplementedError, CrashKind.TO_DO),
    (TimedOut, CrashKind.TIMED_OUT),
)


def crash_of(error: BaseException, adapter: Adapter, phase: Phase = Phase.FORWARD, at: int = 0) -> Crash:
    """The crash for what was raised in call number ``at``.

    Raises KeyboardInterrupt and GeneratorExit again: they are for whoever runs the harness. Everything else is their
    code's: an exit, a pytest.skip, a panic in an extension written in Rust.
    """
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        raise error
    kind = next((kind for type_, kind in KINDS if isinstance(error, type_)), CrashKind.RAISED)
    if kind is CrashKind.TO_DO and is_from_an_extension(error):
        kind = CrashKind.RAISED
    if kind is CrashKind.RAISED and (why := why_unbound(error)):
        kind, error = CrashKind.NOT_SUPPORTED, NotSupported(why)
    if kind is CrashKind.RAISED and (part := unwritten_part(error, adapter)):
        kind, error = CrashKind.TO_DO, NotImplementedError(part)
    elif kind is CrashKind.RAISED and (isinstance(error, CannotMatch) or is_refused_by_the_call(error)):
        kind = CrashKind.MISFIT
    message = error_text(error) or type(error).__name__
    if kind is CrashKind.RAISED and (advice := hint(message)):
        message = f"{message} ({advice})"
    return Crash(kind, type(error).__name__, message, their_frames(error), phase, at)


def is_from_an_extension(error: BaseException) -> bool:
    """Whether compiled code raised it, as torch does where a dtype has no such operation: no ``raise`` of any Python
    code is where it began."""
    at = error.__traceback__
    if at is None:
        return False
    while at.tb_next is not None:
        at = at.tb_next
    return not dis.opname[at.tb_frame.f_code.co_code[at.tb_lasti]].startswith(("RAISE", "RERAISE"))


def unwritten_part(error: BaseException, adapter: Adapter) -> str:
    """The part that is not written yet and is the reason for an error, in words; an empty text where there is none."""
    part = dependencies.behind(error)
    if not part and isinstance(error, CannotMatch):
        part = dependencies.beneath(adapter.source, modules=True)
    return part


def their_frames(error: BaseException) -> tuple[str, ...]:
    """Frames of their own files, as Python prints them, without those of the harness and of libraries."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        if is_own_file(frame.filename):
            at = shown_line(frame.filename, frame.lineno or 0)
            found.append(f"{at}, in {frame.name}\n    {frame.line or ''}".rstrip())
    return tuple(found)
