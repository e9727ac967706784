"""Label smoothing and z-loss: judged where an implementation names them; fairseq's share is a form to declare."""

from torch.nn import functional

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from specs.shared.lm_loss_options import CLAIMS, OVER_THE_OTHERS

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["lm_loss"]


def inspection(function, **declared):
    """A run of this function, with few cases."""
    executor = Executor("theirs", {CONTRACT.name: FunctionAdapter(function)}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=1, cases=4, variants=declared)


def judged(run):
    """(status by claim, the names of the mistakes) of the claims about options."""
    found, names = {}, ()
    for claim in CLAIMS:
        verdict, evidence = run.bench.judge(CONTRACT, claim, shrink=False)
        found[claim.name] = verdict.status
        if verdict.failing and (finding := run.explain(CONTRACT.name, evidence)):
            names = finding.names
    return found, names


def mean_over_everything(logits, targets, ignore_index=-100, label_smoothing=0.0):
    """The smoothed part averages over ignored positions too."""
    logp = logits.flatten(0, 1).log_softmax(-1)
    plain = functional.nll_loss(logp, targets.flatten(), ignore_index=ignore_index)
    return (1 - label_smoothing) * plain - label_smoothing * logp.mean()


def share_of_the_others(logits, targets, ignore_index=-100, label_smoothing=0.0):
    """As fairseq: the share goes to the V - 1 other ids."""
    logp, each = logits.flatten(0, 1).log_softmax(-1), label_smoothing / (logits.shape[-1] - 1)
    counted = targets.flatten() != ignore_index
    logp, ids = logp[counted], targets.flatten()[counted]
    chosen = -logp.gather(1, ids[:, None])[:, 0]
    return ((1 - label_smoothing - each) * chosen - each * logp.sum(-1)).mean()


def test_smoothing_over_ignored_positions_is_named():
    """The z-loss, which it has not, is not asked for."""
    found, names = judged(inspection(mean_over_everything))
    assert found["label_smoothing_at_counted_targets"] is Status.FAILED
    assert found["z_loss_at_counted_targets"] is Status.NOT_APPLICABLE
    assert names == ("lm_loss.smoothing_counts_what_is_ignored",)


def test_the_share_of_the_others_is_a_form():
    """Named as such, and right where it is declared."""
    assert judged(inspection(share_of_the_others))[1] == (f"lm_loss.variant={OVER_THE_OTHERS.name}",)
    found, _ = judged(inspection(share_of_the_others, lm_loss=OVER_THE_OTHERS.name))
    assert found["label_smoothing_at_counted_targets"] is Status.PASSED


def test_a_loss_without_options_is_not_asked_for_them():
    """Every claim about them is not applicable."""

    def plain(logits, targets):
        return functional.cross_entropy(logits.transpose(1, 2), targets)

    assert set(judged(inspection(plain))[0].values()) == {Status.NOT_APPLICABLE}
