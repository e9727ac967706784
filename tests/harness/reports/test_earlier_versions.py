"""A record that an earlier version wrote is read as today's."""

import json
from pathlib import Path

import jsonschema
import pytest

from harness.core.note import Note, NoteCode
from harness.core.record import Status
from harness.reports import json_file, text
from harness.reports.plain import to_plain
from harness.reports.run_summary import notes

VERSION_1 = Path(__file__).parent / "records" / "version_1.json"
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "run.schema.json").read_text(encoding="utf-8"))


def test_a_record_of_version_1_is_read_as_todays() -> None:
    """Every status and every field that was renamed; what is read is a valid record of today."""
    run = json_file.read(VERSION_1)
    found = {(v.component, v.claim): v for v in run.verdicts}
    assert [str(v.status) for v in run.verdicts] == ["to do", "failed", "failed", "passed", "not applicable"]
    failed = found["layer_norm", "agrees_with_the_reference"]
    assert (
        failed.failing and failed.failed_cases == failed.cases == 3 and failed.error_map == ((1.2e10, 8.6e10), (0, 0))
    )
    summary = run.summaries["layer_norm.unbiased_variance"]
    assert summary.component == "layer_norm"
    before = json.loads(VERSION_1.read_text(encoding="utf-8"))["cards"][summary.name]["diff"].splitlines()
    assert [line[0] for line in before] == ["-", "+"], "the expected code came first"
    assert summary.diff.splitlines() == ["-" + before[1][1:], "+" + before[0][1:]]
    assert [m.value for m in run.measurements] == [96.0] and run.version == 2
    jsonschema.validate(to_plain(run), SCHEMA)
    assert any("layer_norm.unbiased_variance" in line.text for line in text.table(run))


@pytest.mark.parametrize("old", ["crashed", "timed out", "to do", "fine"])
def test_words_that_stayed_are_kept_and_others_refused(old, tmp_path) -> None:
    body = json.loads(VERSION_1.read_text(encoding="utf-8"))
    body["verdicts"][0]["status"] = old
    (tmp_path / "run.json").write_text(json.dumps(body))
    if old in set(map(str, Status)):
        assert json_file.read(tmp_path / "run.json").verdicts[0].status == old
    else:
        with pytest.raises(ValueError, match="fine"):
            json_file.read(tmp_path / "run.json")


@pytest.mark.parametrize("version", [0, 3, "1", None])
def test_other_versions_are_refused(version, tmp_path) -> None:
    """The message names the file and the versions that can be read."""
    (tmp_path / "run.json").write_text(json.dumps({**json.loads(VERSION_1.read_text()), "version": version}))
    with pytest.raises(ValueError, match=r"run\.json is not a run record of version 1 or 2") as refused:
        json_file.read(tmp_path / "run.json")
    assert repr(version) in str(refused.value)


@pytest.mark.parametrize("version", [1, 2])
def test_notes_that_are_texts_alone_are_read(version, tmp_path) -> None:
    """Version 1, and the first records of version 2, had no codes."""
    file = tmp_path / "run.json"
    body = json.loads(VERSION_1.read_text(encoding="utf-8"))
    if version == 2:
        body = to_plain(json_file.read(VERSION_1))
    body["notes"], body["verdicts"][0]["notes"] = ["of the run"], ["of a check"]
    file.write_text(json.dumps(body))
    run = json_file.read(file)
    component = run.verdicts[0].component
    assert run.notes == (Note("", NoteCode.OTHER, "of the run"),)
    assert run.verdicts[0].notes == (Note(component, NoteCode.OTHER, "of a check"),)
    assert notes(run) == [f"{component}: of a check", "of the run"]
    jsonschema.validate(to_plain(run), SCHEMA)
    json_file.write(run, file)
    assert json_file.read(file).notes == run.notes
