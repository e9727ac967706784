"""The search for a value that heals runs nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_lines import in_small_files, marked

from harness.core.steps import Replacement
from harness.localisation.experiment import Experiment
from harness.localisation.healing import _content


def test_no_numbers_are_tried_twice_at_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask in a loop over heads: most layouts of a mask, and of its opposite, are the same numbers."""
    tried: dict[Experiment, list[object]] = {}
    heals = Experiment.heals

    def seen(experiment: Experiment, *replacements: Replacement) -> bool:
        tried.setdefault(experiment, []).append(tuple(map(_content, replacements)))
        return heals(experiment, *replacements)

    monkeypatch.setattr(Experiment, "heals", seen)
    (planted,) = (one for one in in_small_files() if one.name == "one_head_at_a_time-4")
    assert marked(planted, tmp_path, cases=6)["attention"]
    first = max(tried.values(), key=len)
    healed_or_once = len(first) - len(set(first))
    assert len(first) > 10 and healed_or_once <= 1
