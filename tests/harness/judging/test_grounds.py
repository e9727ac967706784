"""What a green rests on: cases given of those generated, arguments and settings that never were, lines not reached."""

from __future__ import annotations

from pathlib import Path

from harness.core.grounds import Grounds
from harness.core.record import RunRecord, Status, Verdict
from harness.judging.grounds import grounds_of
from harness.judging.loading import inspect_implementation
from harness.reports.grounds_text import given_cases, remarks

SOFTMAX = """
import torch
def softmax(x, temperature=1.0, mask=None):
    if mask is not None:
        x = x.masked_fill(mask, float("-inf"))
    return torch.softmax(x / temperature, -1)
"""
MODULE = """
import torch
from torch import nn
class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))
    def forward(self, x, residual=None):
        if residual is not None:
            x = x + residual
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight
"""


def judged(text: str, component: str, folder: Path) -> tuple[list[Verdict], Grounds]:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    inspection = inspect_implementation(str(folder / "mine.py"), seed=1, cases=12)
    claims = [c for c in inspection.catalogue.claims_of(component) if c.name != "non_contiguous_arguments"][:6]
    return [inspection.judge(component, claim) for claim in claims], grounds_of(inspection, component)


def test_a_function_tells_what_it_was_never_given(tmp_path: Path) -> None:
    """Arguments of its own, settings that it cannot vary, and the lines behind them."""
    verdicts, grounds = judged(SOFTMAX, "softmax", tmp_path)
    assert grounds.never_given == ("temperature", "mask") and grounds.unreached == ("mine.py:5",)
    assert 0 < grounds.given < grounds.generated
    assert sum(grounds.refused.values()) == grounds.generated - grounds.given
    assert grounds.runs_watched > 1
    record = RunRecord("mine", 1, {"softmax": 6}, ("softmax",), {}, {}, verdicts, {}, grounds={"softmax": grounds})
    (line,) = remarks(record)
    assert line.startswith("not judged in softmax: never given: temperature, mask")
    assert "mine.py:5" in line and next(iter(grounds.refused)) in given_cases(grounds)


def test_of_several_components_one_line_gives_the_names() -> None:
    """What is lacking of each stands in the record."""
    order = ("gelu", "softmax", "linear")
    grounds = {"softmax": Grounds("softmax", never_varied=("dim=-1",)), "linear": Grounds("linear", 9, 2, {"no x": 7})}
    verdicts = [Verdict(name, "agrees", "it is right", Status.PASSED) for name in order]
    record = RunRecord("mine", 1, {}, order, {}, {}, verdicts, {}, grounds=grounds)
    (line,) = remarks(record)
    assert line.startswith("not judged in 2 components: few cases given (linear); settings never varied (softmax).")


def test_a_module_tells_what_its_forward_pass_was_never_given(tmp_path: Path) -> None:
    """As it was called, whatever way that was decided."""
    _, grounds = judged(MODULE, "rms_norm", tmp_path)
    assert grounds.never_given == ("residual",) and grounds.unreached == ("mine.py:10",)
    assert grounds.given == grounds.generated and not grounds.refused


def test_two_workers_together_reach_what_either_reached() -> None:
    """And what one did not watch says nothing."""
    one, other = Grounds("a", unreached=("m.py:1", "m.py:2"), runs_watched=3), Grounds("a", unreached=("m.py:2",))
    assert one.joined(Grounds("a", unreached=("m.py:2", "m.py:3"), runs_watched=5)).unreached == ("m.py:2",)
    assert other.joined(one) == one


def test_lines_behind_an_error_are_not_counted_as_never_reached() -> None:
    """Of a component that fails: the failure says where it stopped."""
    grounds = Grounds("gelu", 3, 3, unreached=("mine.py:3",), runs_watched=3)
    told = []
    for status in (Status.CRASHED, Status.PASSED):
        verdict = Verdict("gelu", "agrees", "it agrees", status)
        told.append(remarks(RunRecord("mine", 0, {}, ("gelu",), {}, {}, [verdict], {}, grounds={"gelu": grounds})))
    assert told[0] == [] and "mine.py:3" in told[1][0]
