"""The one case of a seed is the same in every process, whatever is loaded there; sizes can be set."""

import subprocess
import sys
from pathlib import Path

from hypothesis import strategies as st

from harness.core.case import Case
from harness.judging.catalogue import load_catalogue
from harness.strategies.sampling import draw, shrunk, single
from harness.strategies.shapes import distinct_sizes, sizes_set

CASES = {name: load_catalogue().contracts[name].cases for name in ("layer_norm", "tokenizer", "lr_schedule")}
NUMBERS = st.integers(0, 10**6).map(lambda n: Case.of({"n": n}))
KEYS = """
import sys
sys.path[:0] = sys.argv[1:3]
import constants_of_somebody
import test_single as t
print(t.keys())
"""


def keys() -> list[str]:
    """Of single draws, and of many cases of one seed."""
    singles = [single(CASES[name](), seed) for name in CASES for seed in range(9)]
    many = [case for name in CASES for case in draw(CASES[name](), 5, 25)]
    return [case.key for case in (*singles, *many)]


def test_it_is_the_same_in_another_process_with_other_modules(tmp_path: Path) -> None:
    """Hypothesis takes constants from local modules; none is wanted: a seed means the same cases everywhere."""
    (tmp_path / "constants_of_somebody.py").write_text(f"THEIRS = {list(range(3, 900))}\n", encoding="utf-8")
    command = [sys.executable, "-c", KEYS, str(tmp_path), str(Path(__file__).parent)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(keys())


def test_other_seeds_give_other_cases_and_not_the_simplest() -> None:
    values = [single(NUMBERS, seed).arguments["n"] for seed in range(20)]
    assert len(set(values)) > 15 and 0 not in values


def test_a_strategy_that_gives_nothing_gives_none() -> None:
    assert single(NUMBERS.filter(lambda case: False), 0) is None


def test_sizes_can_be_set_beyond_the_limits() -> None:
    strategy = distinct_sizes(batch=(1, 3), time=(1, 4)).map(lambda sizes: Case.of({}, **sizes))
    assert single(strategy, 0, {"time": 129}).dimensions["time"] == 129
    assert single(strategy, 0).dimensions["time"] <= 4, "afterwards the limits are what they were"
    with sizes_set({"batch": 2}):
        assert single(strategy, 1, {}).dimensions["batch"] <= 3


def test_the_search_for_a_smaller_case_begins_with_single_draws() -> None:
    """A violation that the usual draws do not meet is found, and shrunk."""
    known = single(NUMBERS, 7).arguments["n"]
    found: list[int] = []

    def violates(case: Case) -> bool:
        if known // 2 <= case.arguments["n"] <= known:
            found.append(case.arguments["n"])
            return True
        return False

    shrunk(NUMBERS, 0, 0, violates, 10.0, [(3, {}), (7, {})])
    assert found[0] == known and min(found) < known
