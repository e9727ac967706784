"""Records of runs as the reports get them: a busy one, a fine one, one that was cut off."""

from harness.core.fact import Fact
from harness.core.verdict import Card, Record, Verdict

NASTY = 'a|b <script>alert("x")</script> %0A `q` \x07 \N{PILE OF POO} ]]> */ \n::error::no'


def verdict(component: str, claim: str, status: str = "holds", **values) -> Verdict:
    return Verdict(component, claim, "it is right", status, **{"cases": 5, "seconds": 0.25, **values})


def record(*verdicts: Verdict, **changes) -> Record:
    slip = Card("part.slip", "part", "You slipped: 100%, really.", "-    right\n+    wrong", ("a/b#1",))
    values = {
        "impl": "mine", "seed": 3, "planned": {v.component: 2 for v in verdicts}, "order": ("part", "other", "whole", "absent"),
        "parts": {"whole": ("part", "other")}, "meanings": {}, "verdicts": list(verdicts), "cards": {"part.slip": slip},
        "started": 1_700_000_000.25, "seconds": 2.5, "finished": True,
    }  # fmt: skip
    return Record(**{**values, **changes})


BUSY = record(
    verdict("part", "agrees", "violated", violated=4, excess=12.0, finding=("part.slip",), where="src/mine.py", line=7,
            case_id="abcd", worst="out[0] = 1, expected 2", smallest="x = 1"),
    verdict("part", "grows", error=0.5),
    verdict("other", "agrees", "crashed", violated=5, message=NASTY, frames=("mine.py:3, in f\n    f(",)),
    verdict("whole", "agrees", "not offered", message="=HYPERLINK(1)"),
    verdict("absent", "agrees", "to do"),
    facts=[Fact("holds 96 bytes", "counted", 96.0, "bytes", {"a|b": 96.0}, "part", "memory")], notes=(NASTY,),
)  # fmt: skip
FINE = record(verdict("part", "agrees", error=0.5), verdict("other", "agrees"))
EMPTY = record(finished=False)
