"""A known mistake of a training script: exact edits of the text of one script, and where its wrong line stands."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.mistake import EditDoesNotFit


@dataclass(frozen=True)
class TextEdit:
    """The text ``right``, which stands exactly once, becomes ``wrong``."""

    right: str
    wrong: str


@dataclass(frozen=True)
class ScriptMistake:
    """A known mistake, planted in one script of ``specs/scripts``.

    ``script``: the name of its file, without ``.py``. ``sentence``: what happens, said to the person who made it.
    ``kinds``: the kinds of a finding that name it, the best first. ``at``: lines of the script with the mistake,
    without indentation; a finding at any of them shows the place. For a call that is missing, the calls around it.
    ``seen_in``: addresses of public reports. ``arguments``: of the script. ``steps``: within how many steps it shows.
    ``unchanged_because``: why the numbers of a run stay the same, where they do. ``missed_because``: why it is missed
    today, or shown at another line.
    """

    name: str
    script: str
    sentence: str
    edits: tuple[TextEdit, ...]
    kinds: tuple[str, ...]
    at: tuple[str, ...]
    seen_in: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    steps: int = 8
    unchanged_because: str = ""
    missed_because: str = ""

    def planted(self, source: str) -> str:
        """The text of the script with the mistake in it. Raises EditDoesNotFit where a right text is not there once."""
        for edit in self.edits:
            if source.count(edit.right) != 1:
                raise EditDoesNotFit(f"{edit.right!r} stands {source.count(edit.right)} times, not once")
            source = source.replace(edit.right, edit.wrong)
        return source

    def lines(self, planted: str) -> list[int]:
        """The numbers of the wrong lines in the script with the mistake, from 1.

        Raises EditDoesNotFit where a line of ``at`` is not there.
        """
        texts = [line.strip() for line in planted.splitlines()]
        for line in self.at:
            if line not in texts:
                raise EditDoesNotFit(f"the line {line!r} is not there")
        return [number for number, text in enumerate(texts, 1) if text in self.at]


def edits(*pairs: tuple[str, str]) -> tuple[TextEdit, ...]:
    """Several edits, each as its right and its wrong text."""
    return tuple(TextEdit(right, wrong) for right, wrong in pairs)
