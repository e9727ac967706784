"""Labelled curves from real runs, the table of what healthy ones show, and what is seen in the others.

    python tests/tools/curve_table.py --runs DIR --make 0 30     train the runs of 30 seeds, a minute of CPU each
    python tests/tools/curve_table.py --runs DIR --calibrate     write harness/curves/envelope.json from seeds 0 to 17
    python tests/tools/curve_table.py --runs DIR --table         judge the other seeds, as docs/CURVES.md shows
    python tests/tools/curve_table.py --runs DIR --follow        the same runs as logs that grow
    python tests/tools/curve_table.py --runs DIR --peers BIN     the same curves before other tools

Limits come from seeds below 18, which were looked at while the checks were written; the table from the others. BIN is
the folder of the commands of an environment with runmedic, trainspotter and trainproof.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parent)]

from harness.core.curve import CurveReading, Level  # noqa: E402
from harness.curves.columns import curve_of  # noqa: E402
from harness.curves.envelope import FILE, tail_of  # noqa: E402
from harness.curves.following import Clock, Watched, follow  # noqa: E402
from harness.curves.judging import detectors, judge, measure  # noqa: E402
from harness.curves.prepared import prepare  # noqa: E402
from harness.curves.readers.json_document import table_of  # noqa: E402
from harness.curves.run_curve import RunCurve  # noqa: E402

WANTED: dict[str, tuple[tuple[str, str | None], ...]] = {
    "divergence": (("divergence", None),),
    "nan": (("nan", None),),
    "overfit": (("overfit", None),),
    "rate-low": (("plateau", "rate_too_low"),),
    "rate-high": (("plateau", "rate_too_high"), ("divergence", None)),
    "spikes": (("spikes", None),),
    "repeated": (("repeated_batches", None),),
    "resume/weights": (("resume_jump", "weights_lost"),),
    "resume/moments": (("resume_jump", "optimizer_state_lost"),),
    "leak": (("leak", None),),
    "early": (("ends_early", None),),
}
"""Kind of a fault -> the episodes and causes that name it rightly."""
ONSETS = {"divergence": 0.15, "nan": 0.0, "overfit": 0.10, "spikes": 0.05, "resume": 0.05}
"""Share of the run within which the onset must lie."""
FORMS = ("as logged", "no rate, no norm", "every 10th", "every 10th, mean of 10", "no validation")
SPLIT = 18
"""Seeds below set the limits, the others measure."""
PARTS = (0.2, 0.3, 0.5, 0.75)
"""Parts of a run, as they are seen while it goes on."""
FEWEST = 15
"""Values of the training loss that a form of a log must leave."""


def load(folder: Path, held_out: bool | None = None) -> Iterator[dict[str, Any]]:
    """The runs of a folder: of the seeds that measure, of those that set limits, or all; those whose fault left no
    trace are left out."""
    for path in sorted(folder.glob("seed-*.json.gz")):
        seed = int(path.name.split("-")[1].split(".")[0])
        if held_out is None or (seed >= SPLIT) == held_out:
            yield from (run for run in json.loads(gzip.decompress(path.read_bytes())) if run["visible"])


def make_runs(first: int, stop: int, folder: Path) -> None:
    """Train every recipe of these seeds; a file that is there already stays."""
    from curve_recipes import faults, healthy, is_visible
    from curve_runs import make

    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, stop):
        path = folder / f"seed-{seed:03d}.json.gz"
        if path.exists():
            continue
        curves = [make(recipe, seed) for recipe in (*healthy(seed), *faults(seed))]
        path.write_bytes(gzip.compress(json.dumps([as_dict(one, is_visible(one)) for one in curves]).encode()))
        print(path, flush=True)


def as_dict(curve: Any, visible: bool) -> dict[str, Any]:
    """A curve in plain values."""
    return {
        "name": curve.name,
        "kind": curve.recipe.kind,
        "shape": curve.recipe.shape,
        "seed": curve.seed,
        "onset": curve.onset,
        "unit": curve.unit,
        "visible": bool(visible),
        "columns": curve.columns(),
    }


def in_form(run: dict[str, Any], form: str) -> RunCurve | None:
    """The curve as another script would have logged it; None where too little is left."""
    columns: dict[str, list[Any]] = {name: list(values) for name, values in run["columns"].items()}
    if form == "no rate, no norm":
        columns = {name: v for name, v in columns.items() if name not in ("lr", "grad_norm")}
    if form == "no validation":
        columns = {name: v for name, v in columns.items() if name not in ("val_loss", "lr", "grad_norm")}
    if form.startswith("every 10th"):
        steps = columns.get("step", [])
        if len(steps) < 2 or steps[1] - steps[0] != 1:
            return None
        loss = columns["loss"]
        mean = [sum(loss[max(0, at - 9) : at + 1]) / len(loss[max(0, at - 9) : at + 1]) for at in range(len(loss))]
        kept = mean if "mean" in form else loss
        columns = {
            "step": steps,
            "loss": [value if step % 10 == 0 else None for step, value in zip(steps, kept, strict=True)],
            "val_loss": columns["val_loss"],
        }
    found = curve_of(table_of(columns, run["name"]), run["name"])
    return found if len(found.train) >= FEWEST else None


def until(run: RunCurve, share: float) -> RunCurve:
    """The first part of a run, as a log that grows shows it."""
    last = run.first + share * (run.last - run.first)
    parts = {role: getattr(run, role).until(last) for role in ("train", "valid", "rate", "norm")}
    return replace(run, **parts, growing=share < 1)


def calibrate(folder: Path) -> None:
    """Write the tails of every statistic over the healthy runs of the seeds that set limits, as each form of log
    shows them."""
    values: dict[str, list[float]] = defaultdict(list)
    for run in load(folder, held_out=False):
        if run["kind"] != "healthy":
            continue
        for form in FORMS:
            curve = in_form(run, form)
            if curve is None:
                continue
            for part in (1.0, *PARTS):
                for name, found in measure(prepare(until(curve, part))).items():
                    detector = detectors()[name]
                    if not isinstance(found, str) and detector.name and (part == 1 or detector.in_growing):
                        values[detector.name + found.form].append(found.statistic)
    tails = {name: asdict(tail_of(found)) for name, found in sorted(values.items())}
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    write(tails, before.get("measured", {"flagged": 0, "healthy": 0, "upper": 1.0}))
    for name, tail in tails.items():
        print(f"{name:45s} {tail}")


def write(tails: dict[str, Any], measured: dict[str, Any]) -> None:
    """The table, one statistic a line."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(tail)}" for name, tail in tails.items())
    FILE.write_text(f'{{\n "tails": {{\n{lines}\n }},\n "measured": {json.dumps(measured)}\n}}\n', encoding="utf-8")


def label(run: dict[str, Any]) -> str:
    """The row of the table that a run belongs to."""
    return f"{run['kind']}/{run['shape']}" if run["kind"] == "resume" else run["kind"]


def is_right(run: dict[str, Any], reading: CurveReading) -> bool:
    """Whether a fault is named, or a healthy run is left alone."""
    if run["kind"] == "healthy":
        return reading.is_healthy
    return any(
        one.kind.value == kind and (cause is None or one.cause.value == cause)
        for one in reading.findings
        for kind, cause in WANTED[label(run)]
    )


def onset_error(run: dict[str, Any], reading: CurveReading) -> float | None:
    """How far the onset lies from the true one, as a share of the run; None where it has none."""
    if run["onset"] is None or run["kind"] not in ONSETS:
        return None
    steps = next(iter(run["columns"].values()))
    kinds = {kind for kind, _ in WANTED[label(run)]}
    found = [one.onset for one in reading.findings if one.kind.value in kinds and one.onset is not None]
    return abs(found[0] - run["onset"]) / (steps[-1] - steps[0]) if found else None


def upper_limit(count: int, of: int) -> float:
    """Clopper and Pearson's upper 95 % limit of a share (one-sided), by bisection."""
    low, high = count / max(of, 1), 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = sum(math.comb(of, k) * middle**k * (1 - middle) ** (of - k) for k in range(count + 1))
        low, high = (middle, high) if below > 0.05 else (low, middle)
    return high


def table(folder: Path, verbose: bool) -> int:
    """Judge the held-out seeds, print the table of docs/CURVES.md, and keep how many healthy runs were flagged."""
    right: dict[str, Counter[str]] = {form: Counter() for form in FORMS}
    total: dict[str, Counter[str]] = {form: Counter() for form in FORMS}
    errors: dict[str, list[float]] = defaultdict(list)
    for run in load(folder, held_out=True):
        for form in FORMS:
            curve = in_form(run, form)
            if curve is None:
                continue
            reading = judge(curve)
            good = is_right(run, reading)
            right[form][label(run)] += good
            total[form][label(run)] += 1
            if form == FORMS[0] and (error := onset_error(run, reading)) is not None:
                errors[label(run)].append(error)
            if verbose and not good:
                print(
                    f"  {form}: {run['name']}: "
                    f"{[(one.kind.value, one.cause.value, one.onset) for one in reading.findings]}"
                )
    for line in rows(right, total, errors):
        print(line)
    flagged = total[FORMS[0]]["healthy"] - right[FORMS[0]]["healthy"]
    runs = total[FORMS[0]]["healthy"]
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    write(kept["tails"], {"flagged": flagged, "healthy": runs, "upper": round(upper_limit(flagged, runs), 4)})
    return 0


def rows(right: dict[str, Counter[str]], total: dict[str, Counter[str]], errors: dict[str, list[float]]) -> list[str]:
    """The table: a row per kind of run, a column per form of log, and the onsets."""
    kinds = list(total[FORMS[0]])
    lines = ["| runs | " + " | ".join(FORMS) + " | onset: median error, worst |", "|---" * (len(FORMS) + 2) + "|"]
    for kind in kinds:
        cells = [f"{right[form][kind]} of {total[form][kind]}" if total[form][kind] else "-" for form in FORMS]
        ordered = sorted(errors.get(kind, []))
        onset = f"{100 * ordered[len(ordered) // 2]:.1f} %, {100 * ordered[-1]:.1f} % of the run" if ordered else "-"
        lines.append(f"| {kind} | " + " | ".join(cells) + f" | {onset} |")
    faults = [kind for kind in kinds if kind != "healthy"]
    cells = []
    for form in FORMS:
        found, of = (sum(counts[form][kind] for kind in faults) for counts in (right, total))
        cells.append(f"{found} of {of} ({100 * found / max(of, 1):.0f} %)")
    lines.append("| all faults | " + " | ".join(cells) + " | |")
    return lines


def follow_runs(folder: Path) -> None:
    """Follow the held-out runs as logs that grow in sixty steps: how many are stopped or warned of before their end."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for run in load(folder, held_out=True):
        curve = in_form(run, FORMS[0])
        if curve is None:
            continue
        looks = list(_looks(curve))
        stopped = any(look.serious for look in looks if not look.is_final)
        warned = any(look.new for look in looks if not look.is_final)
        counts[label(run)].update({"runs": 1, "stopped": int(stopped), "seen": int(stopped or warned)})
    for kind, found in counts.items():
        print(f"{kind}: {found['stopped']} stopped, {found['seen']} seen before the end, of {found['runs']}")


def _looks(curve: RunCurve) -> Iterator[Watched]:
    """What ``--follow`` sees of a run that grows by a sixtieth a second."""
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    def read(growing: bool) -> CurveReading:
        return judge(replace(until(curve, min(1.0, time[0] / 60)), growing=growing))

    return follow(read, Clock(3, 1, lambda: time[0], sleep), Level.ERROR)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--make", type=int, nargs=2, metavar=("FIRST", "STOP"))
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--peers", type=Path, metavar="BIN")
    parser.add_argument("--follow", action="store_true", help="how early the held-out runs are stopped")
    parser.add_argument("--verbose", action="store_true", help="list every run that is read wrongly")
    options = parser.parse_args(arguments)
    if options.make:
        make_runs(*options.make, options.runs)
    if options.calibrate:
        calibrate(options.runs)
    if options.table:
        table(options.runs, options.verbose)
    if options.follow:
        follow_runs(options.runs)
    if options.peers:
        from curve_peers import compare

        compare(list(load(options.runs, held_out=True)), options.peers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
