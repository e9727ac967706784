"""The record on disk: what any strict reader of JSON takes, told by a schema, and the same when it is read back."""

import json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import torch
from support_formats import strict
from support_records import BUSY, EMPTY, FINE, HOSTILE, WORST, verdict

from harness.core.measurement import Measurement
from harness.core.record import Status
from harness.core.workload import Benchmark, Exponent, Interval, Ratio, Timing
from harness.reports import json_file
from harness.reports.plain import to_plain

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "run.schema.json").read_text(encoding="utf-8"))
MEASURED = Benchmark(
    "part",
    "forward",
    "one call",
    (
        Timing("yours", {"T": 8}, 1e-3, 0.9e-3, 1.1e-3, 5, None, 0.25),
        Timing("reference", {"T": 8}, math.nan, 0.0, math.inf, 5),
    ),
    (Ratio("yours", "reference", {"T": 8}, Interval(1.5, 1.25, 2.0, True)),),
    (Exponent("yours", "T", "time", Interval(2.0, -math.inf, math.inf), 2.0, "as T squared"),),
    {"yours": 1e6},
    "tokens",
    {"peer": "it gives another result"},
    ("noisy",),
)
ODD = replace(
    FINE,
    machine={"name": "a processor", "rate": math.inf},
    benchmarks=[MEASURED],
    variants=None,
    measurements=[
        Measurement(
            "it is",
            "so",
            math.nan,
            "",
            {"a": math.inf, "b": -math.inf},
            "part",
            "size",
            {"m": [[math.nan, 1.0], [0.5, math.inf]]},
        )
    ],
    verdicts=[
        verdict(
            "part",
            "agrees",
            Status.FAILED,
            excess=math.inf,
            error=math.nan,
            error_map=((math.inf, 0.5), (math.nan, -math.inf)),
            message="inf",
        )
    ],
)
RECORDS = {"busy": BUSY, "fine": FINE, "empty": EMPTY, "hostile": HOSTILE, "odd": ODD}


@pytest.mark.parametrize("run", RECORDS.values(), ids=RECORDS)
def test_it_is_strict_json_and_valid(run, tmp_path) -> None:
    """No NaN, no lone surrogates, all fields and no others; whatever is in it."""
    json_file.write(run, tmp_path / "run.json")
    body = strict((tmp_path / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(body, SCHEMA)
    assert set(body) == set(SCHEMA["$defs"]["RunRecord"]["properties"])


@pytest.mark.parametrize("run", RECORDS.values(), ids=RECORDS)
def test_what_is_read_is_what_was_written(run, tmp_path) -> None:
    """Numbers that JSON cannot write come back as numbers, text that reads like one stays text; twice is once."""
    json_file.write(run, tmp_path / "run.json")
    once = json_file.read(tmp_path / "run.json")
    json_file.write(once, tmp_path / "again.json")
    assert repr(json_file.read(tmp_path / "again.json")) == repr(once)  # nan is not itself
    if run is not HOSTILE:
        assert repr(replace(once, machine={})) == repr(replace(run, machine={}))


def test_numbers_of_libraries_are_numbers() -> None:
    """NumPy's are, of every width; a tensor, which a record must not hold, is at least told."""
    import numpy

    assert to_plain([numpy.float32(0.5), numpy.int64(3), numpy.bool_(True), numpy.float64("nan"), True]) == [
        0.5,
        3,
        "True",
        "nan",
        True,
    ]
    assert to_plain(torch.tensor(1.5)) == "tensor(1.5000)"


def test_records_of_earlier_and_later_versions_are_read(tmp_path) -> None:
    """Written with NaN, as before; with fields that are not known here; another version is refused."""
    body = to_plain(ODD)
    body["news"], body["verdicts"][0]["more"] = 1, 2
    text = json.dumps(body).replace('"inf"', "Infinity", 1).replace('"nan"', "NaN", 1)
    (tmp_path / "run.json").write_text(text)
    assert json_file.read(tmp_path / "run.json").verdicts[0].excess == math.inf
    for wrong, told in (
        (json.dumps({**body, "version": 3}), "version"),
        ("[]", "version"),
        (json.dumps({**body, "verdicts": ["x"]}), "Verdict"),
    ):
        (tmp_path / "run.json").write_text(wrong)
        with pytest.raises((ValueError, TypeError), match=told):
            json_file.read(tmp_path / "run.json")


def test_the_schema_is_up_to_date() -> None:
    """Rewritten by: python -m harness.reports.json_file > docs/run.schema.json"""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert (ROOT / "docs" / "run.schema.json").read_text(encoding="utf-8") == json_file.record_schema()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "fine"),
        ("error", "many"),
        ("finding", "part.slip"),
        ("error_map", [0.5]),
        ("cases", -1),
        ("message", None),
        ("false_alarm", 2.0),
    ],
)
def test_the_schema_refuses_what_is_no_record(field, value) -> None:
    body = to_plain(BUSY)
    body["verdicts"][0][field] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, SCHEMA)


def test_a_verdict_is_kept_as_it_will_be_read() -> None:
    """Before it goes anywhere: it can be encoded, and its numbers are numbers."""
    kept = json_file.as_kept(verdict("part", "agrees", Status.CRASHED, message=WORST[4], excess=math.inf))
    kept.message.encode()
    assert kept.excess == math.inf and "\\ud800" in kept.message
