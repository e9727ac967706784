"""Which files are the implementation's own: not a library's, not Python's, not the harness's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.core.library_files import OURS, is_own_file


class OwnFiles:
    """Tells own files from others by name. ``named``: files that are own wherever they lie (asked for once).

    ``ours``: whether contract sheets are its own too, as they are the reference's.
    """

    def __init__(self, named: Callable[[], Iterable[str]], ours: bool = False) -> None:
        self._named, self._ours = named, ours
        self._all: frozenset[str] | None = None
        self._known: dict[str, bool] = {}

    def __contains__(self, file: object) -> bool:
        name = str(file)
        if name not in self._known:
            self._known[name] = self._is_own(name)
        return self._known[name]

    def _is_own(self, file: str) -> bool:
        if self._all is None:
            self._all = frozenset(filter(None, self._named()))
        if not self._ours and file.startswith(OURS):
            return False
        if file in self._all:
            return True
        if file.startswith("<"):  # the reference with an edit in force; what else has no file is made by libraries
            return self._ours and not file.startswith("<frozen")
        return is_own_file(file)
