"""min-p and the penalties of previous ids: judged where an implementation names them, and there alone."""

import torch

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from specs.shared.next_token_options import CLAIMS

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["next_token_distribution"]


def inspection(function):
    """A run of this function, with few cases."""
    executor = Executor("theirs", {CONTRACT.name: FunctionAdapter(function)}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=1, cases=4)


def statuses(judged):
    """What came of each claim about an option."""
    return {c.name: judged.bench.judge(CONTRACT, c, shrink=False)[0].status for c in CLAIMS}


def plain(logits, temperature=1.0, top_k=None, top_p=None, **unused):
    """No option; keywords that are swallowed are none."""
    assert not unused
    return torch.softmax(logits / temperature, -1)


def once_per_occurrence(logits, temperature=1.0, top_k=None, generated=None, rep_penalty=1.0):
    """A loop over the ids, in which an id that stands twice is met twice."""
    logits = logits.clone()
    for row, ids in enumerate(generated.tolist() if generated is not None else []):
        for index in ids:
            logits[row, index] = logits[row, index] * (1 / rep_penalty if logits[row, index] > 0 else rep_penalty)
    if top_k is not None:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], float("-inf"))
    return torch.softmax(logits / temperature, -1)


def test_code_without_the_options_is_not_asked_for_them():
    """Not applicable, with the name of what it does not take."""
    judged = inspection(plain)
    assert set(statuses(judged).values()) == {Status.NOT_APPLICABLE}
    verdict, _ = judged.bench.judge(CONTRACT, CLAIMS[0], shrink=False)
    assert "min_p" in verdict.message


def test_a_penalty_for_every_occurrence_is_named():
    """Under names of its own for both arguments; min-p and the counted penalties are not asked for."""
    judged = inspection(once_per_occurrence)
    found = statuses(judged)
    assert found["repetition_penalty_once_per_id"] is Status.FAILED
    assert found["min_p_at_its_ends"] is Status.NOT_APPLICABLE
    assert found["presence_and_frequency_penalties"] is Status.NOT_APPLICABLE
    claim = next(c for c in CLAIMS if c.name == "repetition_penalty_once_per_id")
    _, evidence = judged.bench.judge(CONTRACT, claim, shrink=False)
    finding = judged.explain(CONTRACT.name, evidence)
    assert finding is not None
    assert finding.names == ("next_token_distribution.repetition_penalty_per_occurrence",)
