"""Earlier names: looked up, remembered, and reported in one note."""

from support_records import verdict

from harness.core.record import Status
from harness.project.names import Names

CLAIMS = {"part": {"is_near": "agrees"}}
MISTAKES = {"part.slid": "part.slip"}


def test_todays_names_stay_and_need_no_note() -> None:
    """Of claims, checks, components and mistakes."""
    names = Names(CLAIMS, MISTAKES)
    assert names.claim("part", "agrees") == "agrees" and names.claim("other", "is_near") == "is_near"
    assert names.check("part::agrees") == "part::agrees" and names.check("part") == "part"
    assert names.mistake("part.slip") == "part.slip" and names.mistake("other.slid") == "other.slid"
    assert names.note() == ""


def test_a_verdict_of_an_earlier_run_gets_todays_names() -> None:
    """Its claim, its finding and what explains it equally well."""
    old = verdict("part", "is_near", Status.FAILED, finding=("part.slid",), or_else=("part.slid", "other.slid"))
    names = Names(CLAIMS, MISTAKES)
    new = names.verdict(old)
    assert (new.claim, new.finding, new.or_else) == ("agrees", ("part.slip",), ("part.slip", "other.slid"))
    assert names.note() == "names that have changed: part::is_near is now part::agrees, part.slid is now part.slip"


def test_a_long_note_counts() -> None:
    """A baseline of an earlier version may hold hundreds of earlier names."""
    names = Names({}, {f"part.old_{n}": f"part.new_{n}" for n in range(9)})
    for n in range(9):
        names.mistake(f"part.old_{n}")
    assert names.note().count("is now") == 4 and names.note().endswith(", and 5 more")
