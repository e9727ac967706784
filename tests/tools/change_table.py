"""Plant mistakes, and print the change that is proven to fix each.  python tests/tools/change_table.py [NAME ...]

The last line sums up: proven changes (those that restore the text as it was, and others), none, and the time it took.
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

from support_lines import CASES, Planted, in_small_files, in_styles  # noqa: E402
from support_styles import inspect_style  # noqa: E402

from harness.core.errors import UsageError  # noqa: E402

RESTORED, OTHER, NONE, UNSEEN = "restored", "other", "none", "no line"
seconds: list[float] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only mistakes whose name begins so")
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    sys.argv = ["pytest"]  # scripts read it
    outcomes: Counter[str] = Counter()
    for planted in (*in_small_files(), *in_styles()):
        if not options.names or planted.name.startswith(tuple(options.names)):
            outcomes[shown(planted, options.cases)] += 1
    proven = outcomes[RESTORED] + outcomes[OTHER]
    print(
        f"\n{outcomes.total()} mistakes: {proven} changes proven ({100 * proven / max(outcomes.total(), 1):.0f} %), ",
        end="",
    )
    print(
        f"{outcomes[RESTORED]} of them the text as it was; {outcomes[NONE]} none, {outcomes[UNSEEN]} no line; ", end=""
    )
    print(f"median {statistics.median(seconds or [0]):.2f} s, most {max(seconds, default=0):.2f} s")


def shown(planted: Planted, cases: int) -> str:
    """What came of one mistake, printed."""
    result, text = UNSEEN, ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            inspection = inspect_style(str(planted.plant(Path(folder))), planted.declared, cases=cases)
        except UsageError:
            return result
        for component in planted.components:
            if component not in inspection.implementation.components or not inspection.lines.groups(component):
                continue
            started = time.thread_time()
            proven = inspection.changes.of(component)
            seconds.append(time.thread_time() - started)
            result, text = NONE, f"{component}: {seconds[-1]:.2f} s"
            if proven is not None:
                restored = proven.changes[0].after == planted.file.read_text(encoding="utf-8")
                result = RESTORED if restored else OTHER
                lines = [line for line in proven.changes[0].diff(context=0).splitlines() if line[:2] in ("- ", "+ ")]
                text += f", {proven.held} checks, cost {proven.changes[0].cost:g}\n" + "\n".join(lines)
                break
    print(f"{result:10}{planted.name:24} {text}", flush=True)
    if result in (NONE, UNSEEN):
        print(f"{'':12}{planted.right[:90]!r} -> {planted.wrong[:90]!r}", flush=True)
    return result


if __name__ == "__main__":
    main()
