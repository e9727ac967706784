"""Failing cases as files."""

from pathlib import Path

import pytest
import torch
from support_records import verdict

from harness.core.case import Case
from harness.core.errors import UsageError
from harness.core.record import Status
from harness.judging.saved_cases import load_case, save_case

CASE = Case.of({"x": torch.ones(2)})
FAILED = verdict("part", "agrees", Status.FAILED, case_id="12ab")


def test_a_saved_case_is_read_back(tmp_path: Path) -> None:
    assert save_case(tmp_path / "failures", FAILED, CASE, 7, {"impl": "mine"}) == ""
    body, case = load_case(tmp_path / "failures" / "12ab.json")
    assert (body["component"], body["seed"], body["impl"]) == ("part", 7, "mine") and case.key == CASE.key


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """The run goes on; what it loses is said."""
    (tmp_path / "failures").write_text("a file")
    problem = save_case(tmp_path / "failures", FAILED, CASE, 7, {})
    assert problem.startswith(f"failing cases could not be saved in {tmp_path / 'failures'} for plumbline replay: ")


def test_another_file_is_no_case(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UsageError, match=r"other\.json is not a saved case"):
        load_case(tmp_path / "other.json")
