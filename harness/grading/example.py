"""A rubric to begin with, written from the catalogue, every key explained."""

from __future__ import annotations

from harness.grading.checks import Checks
from harness.grading.rubric import HINTS, OURS, VISIBILITIES, Limits

COLUMN = 42
"""Where comments begin."""
HEAD = """\
# What counts how much. `plumbline grade submissions/ --rubric rubric.toml --jobs 4` reads it; docs/GRADING.md explains it.

title = "Assignment 1"
effort = "default"            # quick (a first look), default, or thorough (five times the cases)
hints = "finding"             # what students read: {hints}
visibility = "visible"        # in Gradescope: {visibilities}
entry = "mymodel.py"          # the file to judge, where a submission is a folder; without it, its only module
forbidden = {forbidden}    # who imports one of these is not judged; torch.nn.functional may stand here, too
# seed = 7                    # without it a fresh one is drawn and kept in the folder of the grades; students are not told

[limits]                      # of one submission
seconds = {seconds:g}                 # of the clock, for all of it
check_seconds = {check_seconds:g}           # for one check: then its process is ended, and the rest goes on in a new one
case_seconds = {case_seconds:g}             # for one case of a check; twice that for the import
memory_mb = {memory_mb:g}              # of all its processes
file_mb = {file_mb:g}                  # of the largest file that it may write
output_mb = {output_mb:g}                # of what it may print
processes = {processes}
restarts = {restarts}                  # new processes for one that died; each goes on without the component that was in flight
"""

FIRST = """
[components.{name}]           # `plumbline list` has their names, `plumbline list {name}` the claims of one
points = 10                   # in shares of its claims: those that hold, by weight, of those that were judged
required = ["{claim}"]        # where one of these does not hold, the component counts 0
{variant}
[components.{name}.weights]   # 1 where nothing is said; 0 leaves a claim out
{claim} = 3
{other} = 0.5
"""

SECOND = """
[components.{name}]
points = 5
all_or_nothing = true         # all its points, or none
visibility = "after_due_date"  # in Gradescope, for this component alone
"""


def example(checks: Checks) -> str:
    """The text of a valid rubric of two components."""
    first = next((name for name in checks.claims if checks.variants.get(name)), next(iter(checks.claims)))
    second = next((name for name in checks.claims if name != first), first)
    claims, legal = list(checks.claims[first]), checks.variants.get(first, ())
    variant = (
        f"variants = {_list(legal)}            # legal variants that a submission may declare itself (all without this line)\n"
        f'# variant = "{legal[0]}"             # or: the variant that was asked for\n'
        if legal
        else ""
    )
    head = HEAD.format(
        hints=", ".join(HINTS), visibilities=", ".join(VISIBILITIES), forbidden=_list(OURS), **vars(Limits())
    )
    text = head + FIRST.format(name=first, claim=claims[0], other=claims[-1], variant=variant)
    return _aligned(text + (SECOND.format(name=second) if second != first else ""))


def _aligned(text: str) -> str:
    """The comments of lines that hold something else, in one column."""
    lines = []
    for line in text.splitlines():
        value, mark, comment = (
            line.rpartition("  # ") if not line.startswith("#") or line.count("  # ") else (line, "", "")
        )
        lines.append(f"{value.rstrip():<{COLUMN - 2}}  # {comment}" if mark else line)
    return "\n".join(lines) + "\n"


def _list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
