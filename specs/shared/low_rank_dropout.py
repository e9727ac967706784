"""Claims about the dropout of a low-rank adapter."""

from __future__ import annotations

import torch

from harness.core.claim import Trial, Violation, claim
from harness.numerics.statistics import binomial_two_sided
from specs.shared.low_rank_cases import BITS, ROWS, dropout_cases, ordinary_cases
from specs.shared.low_rank_script import EVAL, TRAIN, changed, same_out, with_calls


@claim("in evaluation mode dropout is off", broken_by="dropout_in_evaluation", max_cases=12)
def no_dropout_in_evaluation(trial: Trial) -> None:
    build, load, forward = changed(trial.case, "build", dropout=0.5).calls
    for before in ((load, EVAL), (TRAIN, load, forward, EVAL)):  # some merge when they go to evaluation: load first
        evaluated = with_calls(trial.case, build, *before, forward)
        same_out(trial, evaluated, trial.case, "with dropout, in evaluation mode, out")


@claim(
    "in training mode dropout does not act on the base layer",
    broken_by="dropout_on_the_base",
    cases=ordinary_cases,
    max_cases=12,
    aliases=("dropout_spares_the_base",),
)
def no_dropout_on_the_base(trial: Trial) -> None:
    """With b = 0 training mode shows the base alone, and no dropout may show in it."""
    no_b = changed(trial.case, "load", b=torch.zeros_like(trial.case.calls[1].arguments["b"]))
    build, load, forward = changed(no_b, "build", dropout=0.5).calls
    trained = with_calls(trial.case, build, TRAIN, load, forward)
    same_out(trial, trained, no_b, "with b = 0, in training mode, out")


@claim(
    "in training mode dropout acts on the adapter's input",
    broken_by="dropout_never",
    cases=dropout_cases,
    max_cases=3,
    false_alarm=1e-9,
    power=0.999,
    aliases=("dropout_acts_on_what_the_adapter_reads",),
)
def dropout_on_the_adapter_input(trial: Trial) -> None:
    """Each row of x is 1, 2, 4, ... and a sums it: the change, in units of the undropped change of one unit, is a whole
    number that spells in binary which inputs were kept, over 1 - p.

    Exact: it is a whole number, and the same for every output. Random: of the 1200 inputs the kept ones are binomial;
    one in 1e10 correct layers is so far off, and two forward passes, two independent draws, must both be so.
    Power: keeping a share p for 1 - p, or every input, or none, is missed with probability below 1e-12.
    """
    build, load, forward = trial.case.calls
    share, everything = build.arguments["dropout"], float(2**BITS - 1)
    whole = trial.run(with_calls(trial.case, build, load, EVAL, forward)).value.double()
    if not bool((whole != 0).all()):
        raise Violation("in evaluation mode the adapter adds nothing to the base layer")
    answer = trial.run(with_calls(trial.case, build, TRAIN, load, forward, forward))
    draws = []
    for out in answer.outputs[-2:]:
        spelled = out.double() / whole * everything * (1 - share)
        codes = spelled.round()
        if float((spelled - spelled[:, :1]).abs().max()) > 1e-3 * everything:
            raise Violation("the outputs of a row are dropped individually: dropout acts after b; it must act before a")
        if float((spelled - codes).abs().max()) > 1e-3 or float(codes.min()) < 0 or float(codes.max()) > everything:
            found = f"{float(spelled[0, 0]):.5g} of {everything:g}"
            raise Violation("the inputs that dropout keeps are not scaled by 1 / (1 - dropout)", worst=found)
        draws.append(codes[:, 0].long())
    kept = [sum(bin(code).count("1") for code in codes.tolist()) for codes in draws]
    chance = max(binomial_two_sided(count, ROWS * BITS, 1 - share) for count in kept)
    if chance < 1e-10:
        raise Violation(f"dropout {share:g} keeps {kept[0]} and {kept[1]} of {ROWS * BITS} inputs")
    if all(bool(((codes == 0) | (codes == everything)).all()) for codes in draws):
        raise Violation("dropout acts after a; it must act before a")
    if torch.equal(*draws):
        raise Violation("two forward passes drop the same inputs: dropout is not redrawn")
