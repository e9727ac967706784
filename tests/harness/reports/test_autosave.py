"""A run's record while the run goes: whole at any moment, and nowhere lost."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.note import Note, NoteCode
from harness.core.record import RunRecord, Status, Verdict
from harness.reports import json_file
from harness.reports.autosave import Autosave
from harness.reports.json_file import atomically


def record(count: int = 0) -> RunRecord:
    verdicts = [Verdict("gelu", f"claim_{n}", "it holds", Status.PASSED, error=0.5) for n in range(count)]
    return RunRecord("mine", 3, {"gelu": 9}, ("gelu",), {"gelu": ()}, {"gelu": "a curve"}, verdicts, {})


def test_each_writing_holds_all_that_was_judged_by_then(tmp_path: Path) -> None:
    """Verdicts come one by one; what is read back is what was there."""
    kept = record()
    autosave = Autosave(kept, tmp_path / "deep" / "run.json")
    for verdict in record(5).verdicts:
        kept.verdicts.append(verdict)
        assert autosave.keep()
        read = json_file.read(autosave.path)
        assert read.verdicts == kept.verdicts and read.seed == 3 and not read.finished
    assert [p.name for p in autosave.path.parent.iterdir()] == ["run.json"]


def test_a_folder_that_cannot_be_made_sends_the_record_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder should be: the record goes to temporary files, and says so."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "taken").write_text("")
    kept = record(2)
    autosave = Autosave(kept, tmp_path / "taken" / "run.json")
    assert autosave.keep() and autosave.path.parent.name == f"plumbline-{os.getpid()}"
    assert json_file.read(autosave.path).verdicts == kept.verdicts
    assert (
        autosave.keep()
        and len(kept.notes) == 1
        and "cannot be written" in kept.notes[0].text
        and str(autosave.path) in kept.notes[0].text
    )


def test_a_writing_that_fails_leaves_the_last_whole_record_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for a while: the file stays as it was, a note says so, and goes when there is room again."""
    kept = record(1)
    autosave = Autosave(kept, tmp_path / "run.json")
    autosave.keep()
    kept.verdicts.append(replace(kept.verdicts[0], claim="late"))
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        real(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert not autosave.keep()
    assert len(json_file.read(tmp_path / "run.json").verdicts) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert "No space left" in kept.notes[0].text and "is still there" in kept.notes[0].text
    monkeypatch.setattr(Path, "write_bytes", real)
    assert autosave.keep() and not kept.notes and len(json_file.read(tmp_path / "run.json").verdicts) == 2


def test_what_a_killed_run_left_half_written_is_swept_away(tmp_path: Path) -> None:
    """Its process is gone; what a process that still runs writes is left alone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".run.json.{gone.pid}").write_text("{")
    (tmp_path / f".run.json.{os.getpid()}").write_text("{")
    (tmp_path / ".run.json.txt").write_text("theirs")
    Autosave(record(), tmp_path / "run.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".run.json.{os.getpid()}", ".run.json.txt"]


def test_what_is_written_is_the_file_behind_a_link_and_never_a_device(tmp_path: Path) -> None:
    """A link stays a link; /dev/null stays what it is."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "there" / "real.json")
    atomically("{}", tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink() and json.loads((tmp_path / "there" / "real.json").read_text()) == {}
    atomically("gone", Path(os.devnull))
    assert Path(os.devnull).is_char_device()


def test_the_last_note_on_a_topic_stays(tmp_path) -> None:
    """By its topic, however it is worded; notes that were there before, and those on other topics, are left alone."""
    kept = record(0)
    found, once = Note("", NoteCode.FOUND_IN_CLASSES, "from the discovery"), Note("", NoteCode.NOT_MEASURED, "once")
    kept.notes = (found, once)
    autosave = Autosave(kept, tmp_path / "run.json")
    for code, text, topic in (
        (NoteCode.REPORT_NOT_WRITTEN, "stopped: once", "a"),
        (NoteCode.REPORT_NOT_WRITTEN, "stopped: twice", "b"),
        (NoteCode.REPORT_NOT_WRITTEN, "in other words", "a"),
        (NoteCode.INTERRUPTED, "another code", "a"),
        (NoteCode.NOT_MEASURED, "once", "once"),
        (NoteCode.NOT_MEASURED, "once", "once"),
    ):
        autosave.note(code, text, topic)
    assert [note.text for note in kept.notes] == [
        "from the discovery",
        "stopped: twice",
        "in other words",
        "another code",
        "once",
    ]
