"""Print what is said of every style beside what is true.  python tests/tools/style_table.py [--seed N] [NAME ...]

The last lines are totals: false alarms, wrong silence, and how many whole models were plugged in.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]

from support_styles import FAILS, PASSES, STYLES, Expected, Outcome, expected_of, outcomes  # noqa: E402

WHOLES = ("gpt2", "llama")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--table", type=Path, default=STYLES / "expected.toml")
    parser.add_argument("--waits", action="store_true", help="print the tables of what is wrong, to paste")
    options = parser.parse_args()
    sys.argv = ["pytest"]  # scripts read it
    table = expected_of(options.table)
    rows = {name: row for name, row in table.items() if not options.names or name in options.names}
    print_totals({name: judged(name, row, options) for name, row in rows.items()}, rows)


def judged(name: str, row: Expected, options: argparse.Namespace) -> dict[str, Outcome]:
    """One file's outcomes, printed."""
    started = time.process_time()
    declared, unknown = row.known_forms()
    found = outcomes(row.file, declared, options.seed, options.cases)
    wrong = row.wrong(found, unknown)
    print(f"{name}  {declared}  {time.process_time() - started:.1f} s", flush=True)
    if options.waits:
        print(f"[{name}.waits]" if wrong else "")
    for component in dict.fromkeys((*found, *wrong)):
        one = found.get(component, Outcome("absent"))
        if options.waits:
            if component in wrong:
                print(f'{component if component.isidentifier() else repr(component)} = "{wrong[component][:90]}"')
        elif component in wrong or component in row.passes or component in row.fails:
            mark = "  " if component not in wrong else "x " if component not in row.waits else "- "
            print(f"  {mark}{component:30} {one.status:14} {one.passed:3} {', '.join(one.failing) or one.why}"[:230])
    return found


def print_totals(found: dict[str, dict[str, Outcome]], rows: dict[str, Expected]) -> None:
    """False alarms must be 0; of what must pass, how much did; whole models plugged in."""
    alarms = [
        f"{name}: {component}"
        for name, components in found.items()
        for component, one in components.items()
        if one.status == FAILS and component not in rows[name].fails
    ]
    must = [(name, component) for name, row in rows.items() for component in row.passes]
    done = [pair for pair in must if found[pair[0]].get(pair[1], Outcome("absent")).status == PASSES]
    missed = [
        f"{name}: {component}"
        for name, row in rows.items()
        for component in row.fails
        if found[name].get(component, Outcome("absent")).status != FAILS
    ]
    print(f"\n{len(rows)} files; {len(done)} of {len(must)} components that are right are judged, and pass")
    print(f"false alarms: {len(alarms)}  {'; '.join(alarms)}")
    print(f"mistakes not reported: {len(missed)}  {'; '.join(missed)}")
    for whole in WHOLES:
        right = [name for name, row in rows.items() if whole in row.passes]
        plugged = [name for name in right if (name, whole) in done]
        print(f"whole {whole}: {len(plugged)} of {len(right)} plugged in and right")


if __name__ == "__main__":
    main()
