"""Code that differs in legal ways: red with one declaration, green with it pasted, and a mistake beside it is named.

Forms that several axes have at once: tests/harness/diagnosis/test_forms.py.
"""

from __future__ import annotations

import re
from pathlib import Path

from support_runs import Runs

FORMS = """
import torch

def gelu(x):
    return torch.nn.functional.gelu(x)

def rms_norm(x, weight, eps=1e-5):
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    normal = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return normal.to(x.dtype) * (1 + weight)

def lr_schedule(step, warmup, total, peak, floor=0.0):
    fall = max(1, round(0.2 * (total - warmup)))
    if step < warmup:
        return peak * step / warmup
    if step <= total - fall:
        return peak
    return floor + (peak - floor) * max(0, total - step) / fall
"""
RUN = ("--impl=mine", "-m", "gelu or rms_norm or lr_schedule", "--impl-cases=10")


def told(output: str) -> str:
    """The option in the last line of advice."""
    (option,) = re.findall(r"next: declare legal forms of .*?(--impl-variant=\S+)", " ".join(output.split()))
    return option


def test_what_the_run_tells_makes_it_green(runs: Runs, tmp_path: Path) -> None:
    """One declaration for three components, on the command line and in pyproject.toml."""
    (tmp_path / "mine.py").write_text(FORMS)
    red = runs.start(tmp_path, RUN)
    assert red.code == 1
    option = told(red.output)
    assert option == "--impl-variant=activation=gelu_erf,norm=unit_offset,schedule=wsd"
    green = runs.start(tmp_path, (*RUN, option))
    assert green.code == 0, green.output
    (lines,) = re.findall(r"under \[tool\.plumbline\]: (.*?)\)\.", " ".join(red.output.split()))
    (tmp_path / "pyproject.toml").write_text("[tool.plumbline]\n" + lines.replace("; ", "\n"))
    assert runs.start(tmp_path, RUN).code == 0


def test_several_options_count_and_a_mistake_beside_the_forms_is_named(runs: Runs, tmp_path: Path) -> None:
    """The last one does not replace the first."""
    (tmp_path / "mine.py").write_text(FORMS.replace("mean(-1", "sum(-1"))
    options = ("--impl-variant=activation=gelu_erf", "--impl-variant=norm=unit_offset,schedule=wsd")
    done = runs.start(tmp_path, (*RUN, *options))
    assert done.code == 1 and "next: fix rms_norm first" in done.output and "euclidean_norm_for_rms" in done.output
    assert re.findall(r"^FAILED (\w+)::", done.output, re.MULTILINE) == ["rms_norm"]
