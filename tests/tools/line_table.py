"""Plant mistakes whose line is known, and print which line is marked.  python tests/tools/line_table.py [NAME ...]

The last line sums up: the wrong line among those marked (two at most), another line, nothing, and the time it took.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]

from support_lines import CASES, Planted, in_small_files, in_styles, marked  # noqa: E402

from harness.judging.lines import Lines  # noqa: E402
from harness.localisation.locate import SECONDS  # noqa: E402

RIGHT, SECOND, WRONG, NOTHING, UNSEEN = "right", "second", "WRONG", "nothing", "not failing"
seconds: list[float] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only mistakes whose name begins so")
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    sys.argv = ["pytest"]  # scripts read it
    time_localisation()
    outcomes: Counter[str] = Counter()
    for planted in (*in_small_files(), *in_styles()):
        if not options.names or planted.name.startswith(tuple(options.names)):
            outcomes[shown(planted, options.cases)] += 1
    judged = outcomes.total() - outcomes[UNSEEN]
    good = outcomes[RIGHT] + outcomes[SECOND]
    print(f"\n{judged} mistakes: {good} lines right ({100 * good / max(judged, 1):.0f} %), ", end="")
    print(f"{outcomes[SECOND]} of them second; {outcomes[WRONG]} wrong, {outcomes[NOTHING]} nothing; ", end="")
    print(f"{outcomes[UNSEEN]} not failing; median {statistics.median(seconds or [0]):.2f} s, most ", end="")
    print(f"{max(seconds, default=0):.2f} s a finding")


def time_localisation() -> None:
    """Note how long each localisation takes."""
    plain = Lines.of_component

    def timed(self: Lines, component: str):  # type: ignore[no-untyped-def]
        started = time.thread_time()
        found = plain(self, component)
        if (spent := time.thread_time() - started) > 1e-3:
            seconds.append(spent)
        return found

    Lines.of_component = timed  # type: ignore[method-assign]


def shown(planted: Planted, cases: int) -> str:
    """What came of one mistake, printed."""
    with tempfile.TemporaryDirectory() as folder:
        found = marked(planted, Path(folder), cases, SECONDS)
    result, text = UNSEEN, ""
    for component, lines in found.items():
        numbers = [range(line.line, line.end_line + 1) for line in lines]
        hits = [bool(set(planted.lines) & set(marked_lines)) for marked_lines in numbers]
        result = RIGHT if hits[:1] == [True] else SECOND if any(hits) else WRONG if lines else NOTHING
        text = f"{component}: " + "; ".join(f"{x.line} {x.mark} `{x.computes}` -> `{x.expected}`" for x in lines)
        break
    spent = f"{seconds[-1]:.2f} s" if seconds else ""
    print(f"{result:12}{planted.name:24} {planted.lines.start:4}  {spent:7} {text}", flush=True)
    if result not in (RIGHT, UNSEEN):
        print(f"{'':12}{planted.right[:70]!r} -> {planted.wrong[:70]!r}", flush=True)
    return result


if __name__ == "__main__":
    main()
