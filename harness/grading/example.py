"""An example rubric, written from the catalogue, with every key explained."""

from __future__ import annotations

from harness.grading.checks import Checks
from harness.grading.rubric import HINTS, ISOLATIONS, OURS, VISIBILITIES, Limits

COLUMN = 42
"""Where comments begin."""
HEAD = """\
# Points and limits for `plumbline grade submissions/ --rubric rubric.toml --jobs 4`. See docs/GRADING.md.

title = "Assignment 1"
effort = "default"            # quick (few cases), default, or thorough (five times as many)
hints = "finding"             # what students see: {hints}
visibility = "visible"        # in Gradescope: {visibilities}
entry = "mymodel.py"          # the file to check if a submission is a folder; default: its only module
forbidden = {forbidden}    # modules that a submission must not import, such as torch.nn.functional
isolation = "none"            # {isolations}: see docs/ISOLATION.md
# seed = 7                    # default: a random one, kept in the folder of the grades and hidden from students

[limits]                      # per submission
seconds = {seconds:g}                 # wall time in total
check_seconds = {check_seconds:g}           # wall time per check; beyond it the process is replaced by a new one
case_seconds = {case_seconds:g}             # time per case of a check; the import has twice that
memory_mb = {memory_mb:g}              # memory of all its processes together
file_mb = {file_mb:g}                  # size of the largest file it may write
output_mb = {output_mb:g}                # how much it may print
processes = {processes}                # how many processes it may run
restarts = {restarts}                  # new processes after one died; each skips the component that was running
"""

FIRST = """
[components.{name}]           # `plumbline list` lists components, `plumbline list {name}` its claims
points = 10                   # times the weighted share of the checks that passed
required = ["{claim}"]        # if one of these fails, the component scores 0
{variant}
[components.{name}.weights]   # default: 1; a weight of 0 leaves a claim out
{claim} = 3
{other} = 0.5
"""

SECOND = """
[components.{name}]
points = 5
all_or_nothing = true         # full points or none
visibility = "after_due_date"  # in Gradescope, for this component only
"""


def example(checks: Checks) -> str:
    """The text of a valid rubric of two components."""
    first = next((name for name in checks.claims if checks.variants.get(name)), next(iter(checks.claims)))
    second = next((name for name in checks.claims if name != first), first)
    claims, legal = list(checks.claims[first]), checks.variants.get(first, ())
    variant = (
        f"variants = {_list(legal)}            # legal variants that a submission may declare (default: all)\n"
        f'# variant = "{legal[0]}"             # or: the variant that the assignment asks for\n'
        if legal
        else ""
    )
    head = HEAD.format(
        hints=", ".join(HINTS),
        isolations=", ".join(ISOLATIONS),
        visibilities=", ".join(VISIBILITIES),
        forbidden=_list(OURS),
        **vars(Limits()),
    )
    text = head + FIRST.format(name=first, claim=claims[0], other=claims[-1], variant=variant)
    return _aligned(text + (SECOND.format(name=second) if second != first else ""))


def _aligned(text: str) -> str:
    """The text with its trailing comments in one column."""
    lines = []
    for line in text.splitlines():
        value, mark, comment = (
            line.rpartition("  # ") if not line.startswith("#") or line.count("  # ") else (line, "", "")
        )
        lines.append(f"{value.rstrip():<{COLUMN - 2}}  # {comment}" if mark else line)
    return "\n".join(lines) + "\n"


def _list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
