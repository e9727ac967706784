"""How notes are laid out below the table of components."""

from harness.pytest_plugin.terminal import note_lines

LONG = "found in the module classes, without a declaration: attention; `plumbline doctor model.py` shows how"


def test_a_note_is_wrapped_in_a_terminal_and_one_line_in_a_pipe() -> None:
    """Nothing is lost, and no word is cut."""
    lines = note_lines([LONG, "short"], 60)
    assert len(lines) == 3 and all(len(line) <= 60 for line in lines)
    assert lines[0].startswith("note: found") and lines[1].startswith("      ") and lines[2] == "note: short"
    assert " ".join(" ".join(lines[:2]).split()) == f"note: {LONG}"
    assert note_lines([LONG], None) == [f"note: {LONG}"]
