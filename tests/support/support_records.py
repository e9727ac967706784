"""Records of runs as the reports get them: a busy one, a fine one, one that was cut off."""

from harness.core.measurement import Measurement
from harness.core.note import Note, NoteCode
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict

NASTY = 'a|b <script>alert("x")</script> %0A `q` \x07 \N{PILE OF POO} ]]> */ \n::error::no'


def verdict(component: str, claim: str, status: Status = Status.PASSED, **values) -> Verdict:
    return Verdict(component, claim, "it is right", status, **{"cases": 5, "seconds": 0.25, **values})


def record(*verdicts: Verdict, **changes) -> RunRecord:
    slip = MistakeSummary("part.slip", "part", "You slipped: 100%, really.", "-    wrong\n+    right", ("a/b#1",))
    values = {
        "impl": "mine",
        "seed": 3,
        "planned": {v.component: 2 for v in verdicts},
        "order": ("part", "other", "whole", "absent"),
        "parts": {"whole": ("part", "other")},
        "meanings": {},
        "verdicts": list(verdicts),
        "summaries": {"part.slip": slip},
        "started": 1_700_000_000.25,
        "seconds": 2.5,
        "finished": True,
    }
    return RunRecord(**{**values, **changes})


BUSY = record(
    verdict(
        "part",
        "agrees",
        Status.FAILED,
        failed_cases=4,
        excess=12.0,
        finding=("part.slip",),
        where="src/mine.py",
        line=7,
        case_id="abcd",
        worst="out[0] = 1, expected 2",
        smallest="x = 1",
    ),
    verdict("part", "grows", error=0.5),
    verdict("other", "agrees", Status.CRASHED, failed_cases=5, message=NASTY, frames=("mine.py:3, in f\n    f(",)),
    verdict("whole", "agrees", Status.NOT_APPLICABLE, message="=HYPERLINK(1)"),
    verdict("absent", "agrees", Status.TO_DO),
    measurements=[Measurement("holds 96 bytes", "counted", 96.0, "bytes", {"a|b": 96.0}, "part", "memory")],
    notes=(Note("", NoteCode.OTHER, NASTY),),
)
FINE = record(verdict("part", "agrees", error=0.5), verdict("other", "agrees"))
EMPTY = record(finished=False)

WORST = (
    '<script>alert("x")</script><img src=x onerror=alert(1)> </style> </pre> --> {{ 7 * 7 }} {% raw %}',
    '\'"&amp; a\\b \\" `code` ``` ```` | a | b | [link](javascript:alert(1)) # heading _x_ *y* ~~~',
    "\x00\x01\x07\x08\x0b\x0c\x1f\x7f\x85\ufffe\uffff",
    "\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 \x1b[2J\x1bc",
    "lone \ud800 and \udfff, \ud83d apart from \ude00",
    "\N{PILE OF POO} \u4e2d\u6587 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 "
    "\u202egnirts\u202c \u2066x\u2069 \u200b e\u0301",
    "%0A::error::injected%0D, a=b:c,d\r\n::error file=x::no\n##[error]no",
    "=HYPERLINK(1)",
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3",
    "\t=1",
    "]]> <![CDATA[ <!-- <?xml ?> &#0; &lt;",
    "line\n" * 3000,
    "long " * 20_000,
    "x" * 100_000,
    "\n",
    " ",
)
"""What somebody's exceptions, names and files may say: markup, orders to terminals, what cannot be encoded, what
never ends."""
ALL_AT_ONCE = "\n".join(WORST[:14])
HOSTILE = record(
    verdict(
        "part",
        "agrees",
        Status.FAILED,
        failed_cases=4,
        excess=float("inf"),
        finding=("part.slip",),
        where=f"src/{WORST[1]}.py",
        line=7,
        case_id="abcd",
        worst=ALL_AT_ONCE,
        smallest=ALL_AT_ONCE,
        message=ALL_AT_ONCE,
        notes=(Note("part", NoteCode.PRECISION, ALL_AT_ONCE),),
        error_map=((0.5, float("inf")), (float("nan"), 1e300)),
    ),
    verdict(
        "part",
        "gradients_agree",
        Status.FAILED,
        error=float("nan"),
        excess=float("nan"),
        failed_cases=1,
        worst=ALL_AT_ONCE,
        message=ALL_AT_ONCE,
    ),
    verdict("other", "agrees", Status.CRASHED, failed_cases=5, message=ALL_AT_ONCE, frames=(ALL_AT_ONCE, *WORST)),
    verdict("other", "ends", Status.TIMED_OUT, message=WORST[-3]),
    verdict("whole", "agrees", Status.NOT_APPLICABLE, message=ALL_AT_ONCE),
    verdict("whole", "grows", Status.FAILED, failed_cases=1, message=ALL_AT_ONCE, excused=ALL_AT_ONCE),
    verdict("absent", "agrees", Status.TO_DO, message=ALL_AT_ONCE),
    impl=ALL_AT_ONCE,
    notes=tuple(Note("", NoteCode.OTHER, text) for text in WORST),
    variants={"part": WORST[0]},
    meanings={"part": ALL_AT_ONCE},
    signatures={"part": ALL_AT_ONCE},
    measurements=[
        Measurement(
            ALL_AT_ONCE, ALL_AT_ONCE, float("nan"), WORST[0], {WORST[0]: float("inf"), WORST[4]: 1.0}, "part", "memory"
        ),
        Measurement(
            "maps",
            "made up",
            1.0,
            "",
            {},
            "part",
            "maps",
            {f"yours, {WORST[0]}": [[float("nan"), 1.0]], f"reference, {WORST[0]}": [[0.0, -1.0]]},
        ),
    ],
    machine={"name": WORST[4], "rate": float("inf")},
)
